import type { FieldPairs } from "../calls/metadata.ts";

/** An HTTP request and its answer as the direct path sees them, over any transport. */

/**
 * The start of an answer, without what its transport adds (date, X-Request-Id, CORS). The object is
 * constant for one kind of answer, so that a transport can cache what it makes of it.
 */
export interface AnswerHead {
  readonly status: number;
  readonly fields: FieldPairs;
  /** The body is complete, so its length is sent. */
  readonly sized: boolean;
}

/** A whole answer. */
export interface Answer {
  readonly head: AnswerHead;
  /** `undefined` = no body, not even an empty one with a length. */
  readonly body: Uint8Array | undefined;
  /** For gRPC only. */
  readonly trailer: FieldPairs | undefined;
}

/** Why there is no body: it exceeds its bound, or the server has no memory left now. */
export type NoBody = "too long" | "no room";

/** Hears what happens to an exchange. */
export interface ExchangeListener {
  /** The whole body arrived, or is not available. Not called if the exchange closes first. */
  onBody(body: Uint8Array | NoBody): void;
  /** More can be written, after `write` answered false. */
  onDrain(): void;
  /** Called once, last, also after an answer: nothing more can be read or sent. */
  onClose(): void;
}

/** One request that waits for its answer. */
export interface Exchange {
  readonly requestId: string;
  /** The connection's socket, only for looking at. */
  readonly socket: object;
  /** The value of a request header, by its name in lower case; `undefined` = not sent. */
  header(name: string): string | undefined;
  /**
   * Takes the exchange: reads the body, up to `maxBytes`, and tells the listener. Must come before
   * any answer.
   */
  collect(maxBytes: number, listener: ExchangeListener): void;
  /**
   * The request is there, and its answer comes when something happens, perhaps in minutes: no other
   * request needs to wait for it. Absent = none does in any case.
   */
  awaitEvent?(): void;
  /**
   * Answers; nothing may be sent after it. Like all calls below, does nothing if the exchange is
   * closed.
   */
  reply(answer: Answer): void;
  /** Starts an answer in pieces: any number of `write`, then `end`. */
  begin(head: AnswerHead): void;
  /**
   * False = enough waits to be sent: continue at `onDrain`. The bytes must not change afterwards.
   */
  write(bytes: Uint8Array): boolean;
  end(trailer: FieldPairs | undefined): void;
  /** Breaks off, so that nobody waits for an answer that cannot come. */
  abort(): void;
}
