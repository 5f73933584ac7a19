/** An HTTP request and its answer, as the direct path sees them, whatever carries them. */

/** Names and values of header or trailer fields: name, value, name, value; names in lower case. */
export type FieldPairs = readonly string[];

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

/** One request that waits for its answer. */
export interface Exchange {
  readonly requestId: string;
  /** Whether an answer can have trailers. */
  readonly hasTrailers: boolean;
  /** The value of a request header, by its name in lower case; `undefined` = not sent. */
  header(name: string): string | undefined;
  /**
   * Reads the body whole and calls `done` once: now, later, or not at all if the exchange closes before; without a body
   * where that is longer than `maxBytes`.
   */
  collect(maxBytes: number, done: (body: Uint8Array | undefined) => void): void;
  /** Answers; nothing else may be sent. */
  reply(answer: Answer): void;
  /** Starts an answer that comes in pieces: then any number of `write`, then `end`. */
  begin(head: AnswerHead): void;
  /** False = enough waits to be sent: go on at `onDrain`. The bytes must not change afterwards. */
  write(bytes: Uint8Array): boolean;
  end(trailer: FieldPairs | undefined): void;
  /** Set by whoever answers. */
  onDrain: (() => void) | undefined;
  /** Set by whoever answers; called once, when nothing more can be read or sent, also after an answer. */
  onClose: (() => void) | undefined;
}
