/** Owns the PINGs that a user of the connection waits for (RFC 9113 section 6.7). */
import type { FrameWriter } from "./frame-writer.ts";

/** Tells the user's PINGs from those of a drain and of the keepalive. */
const PAYLOAD = Buffer.from("ping    ", "latin1");

/** Each PING that was sent and not answered, in the order of sending. */
export class Pings {
  readonly #frames: FrameWriter;
  readonly #sent: { readonly sentAt: number; readonly done: (ms: number | undefined) => void }[] = [];

  constructor(frames: FrameWriter) {
    this.#frames = frames;
  }

  /** Resolves with the round trip in milliseconds; undefined = the connection closed before. */
  send(): Promise<number | undefined> {
    return new Promise((done) => {
      this.#sent.push({ sentAt: performance.now(), done });
      this.#frames.ping(PAYLOAD, false);
    });
  }

  /** An acknowledgement came, of one of these or of another PING. */
  acked(payload: Buffer): void {
    if (payload.equals(PAYLOAD)) {
      const ping = this.#sent.shift();
      ping?.done(performance.now() - ping.sentAt);
    }
  }

  /** The connection is closed. */
  close(): void {
    for (const { done } of this.#sent.splice(0)) {
      done(undefined);
    }
  }
}
