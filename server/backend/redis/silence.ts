import type { Redis } from "ioredis";

/**
 * A connection over which nothing comes and nothing leaves for longer, though a command waits for its answer, counts as lost: its server is
 * frozen or gone. What the kernel has taken has left, so its buffers, a few megabytes, have to arrive in that time too.
 */
const SILENCE_MS = 5_000;

/** How often in that time it is looked at. */
const LOOKS = 5;

/** From now on ends the connections of a client that are silent for so long. The driver's own `socketTimeout` takes a request that is long on its way for silence. */
export function endSilent(client: Redis, silenceMs = SILENCE_MS): void {
  client.on("connect", () => {
    const { stream } = client;
    const end = () => {
      if (client.commandQueue.length === 0) {
        return;
      }
      stream.destroy(new Error(`nothing came and nothing left in ${silenceMs} ms`));
    };
    // A write that does not get ahead. Node starts this anew with each write, though, and those that nobody answers are no sign of life:
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
