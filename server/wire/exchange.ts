import type { FieldPairs } from "../calls/metadata.ts";

/** An HTTP request and its answer, as the direct path sees them, whatever carries them. */

/**
 * How an answer starts, but for what its transport adds (date, X-Request-Id, CORS). One object stands for one kind
 * of answer, so that a transport can keep what it made of it.
 */
export interface AnswerHead {
  readonly status: number;
  readonly fields: FieldPairs;
  /** The body is all there is, so its length is said. */
  readonly sized: boolean;
}

/** A whole answer. */
export interface Answer {
  readonly head: AnswerHead;
  /** `undefined` = none, not even an empty one with a length. */
  readonly body: Uint8Array | undefined;
  /** For gRPC only. */
  readonly trailer: FieldPairs | undefined;
}

/** Why there is no whole body: it is longer than its bound, or the server has no memory left for it now. */
export type NoBody = "too long" | "no room";

/** Told what becomes of an exchange. */
export interface ExchangeListener {
  /** The whole body came, or it cannot be had. Not called if the exchange closes before. */
  onBody(body: Uint8Array | NoBody): void;
  /** `write` answered false before, and more can be written now. */
  onDrain(): void;
  /** Called once, last: nothing more can be read or sent. Also after an answer. */
  onClose(): void;
}

/** One request that waits for its answer. */
export interface Exchange {
  readonly requestId: string;
  /** Of its connection, for looking at. */
  readonly socket: object;
  /** The value of a request header, by its name in lower case; `undefined` = not sent. */
  header(name: string): string | undefined;
  /** Takes the exchange: reads the body, up to `maxBytes`, and tells the listener. Before any answer. */
  collect(maxBytes: number, listener: ExchangeListener): void;
  /** Answers; nothing else may be sent. No effect on an exchange that is closed, as for the calls below. */
  reply(answer: Answer): void;
  /** Starts an answer that comes in pieces: then any number of `write`, then `end`. */
  begin(head: AnswerHead): void;
  /** False = enough waits to be sent: go on at `onDrain`. The bytes must not change afterwards. */
  write(bytes: Uint8Array): boolean;
  end(trailer: FieldPairs | undefined): void;
  /** Breaks off: an answer that cannot be given is not to be waited for. */
  abort(): void;
}
