import type { Redis } from "ioredis";

/**
 * A connection with a waiting command counts as lost when nothing arrives or leaves for this long:
 * its server is frozen or gone. Bytes in the kernel's buffers, a few megabytes, count as left, so
 * they must arrive in this time too.
 */
const SILENCE_MS = 5_000;

/** How often the connection is checked in that time. */
const LOOKS = 5;

/**
 * Starts ending the connections of a client that are silent for that long. The driver's own
 * `socketTimeout` would mistake a long request on its way for silence.
 */
export function endSilent(client: Redis, silenceMs = SILENCE_MS): void {
  client.on("connect", () => {
    const { stream } = client;
    const end = () => {
      if (client.commandQueue.length === 0) {
        return;
      }
      stream.destroy(new Error(`nothing came and nothing left in ${silenceMs} ms`));
    };
    // Catches a write that makes no progress. But Node restarts this timer at each write, and
    // unanswered writes are no sign of life:
    stream.setTimeout(silenceMs, end);
    let readBytes = 0;
    let quietLooks = 0;
    const timer = setInterval(() => {
      const isQuiet =
        client.commandQueue.length > 0 && stream.writableLength === 0 && stream.bytesRead === readBytes;
      quietLooks = isQuiet ? quietLooks + 1 : 0;
      readBytes = stream.bytesRead;
      if (quietLooks > LOOKS) {
        end();
      }
    }, silenceMs / LOOKS).unref();
    stream.once("close", () => clearInterval(timer));
  });
}
