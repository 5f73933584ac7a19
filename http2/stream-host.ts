/** What a stream (`S`) needs of the rest of its connection. */
import type { Duplex } from "node:stream";
import type { ErrorCode } from "./errors.ts";
import type { ReceiveWindows } from "./receive-windows.ts";
import type { Sender } from "./sender.ts";

/** What server and client do differently about a stream. */
export interface StreamRole<S> {
  /** A message of the peer's is whole. False = its end is handed out only at `release`. */
  mayEnd(stream: S): boolean;
  /** The answer to a request begins. `bytes` is all of it; undefined = it comes in pieces. */
  answered(stream: S, bytes: number | undefined): void;
  /** More waits to be sent than before. Closes a stream that is over a limit. */
  buffered(stream: S): void;
  /**
   * Our half was sent to its end, or the peer's was read to its end: closes the stream when it is
   * over.
   */
  halfEnded(stream: S): void;
}

/** The connection of a stream. */
export interface StreamHost<S> {
  readonly socket: Duplex;
  readonly sender: Sender;
  readonly windows: ReceiveWindows;
  readonly role: StreamRole<S>;
  /** Sends RST_STREAM and closes. */
  resetStream(stream: S, code: ErrorCode): void;
  /** A callback threw: resets the stream and reports the error. */
  callbackFailed(stream: S, error: unknown): void;
}

/**
 * Requests of one path on a connection, which have answers of about the same size; for
 * `admission.ts`.
 */
export interface AnswerKind<S> {
  /** Until one was answered, a guess. */
  known: boolean;
  expectedBytes: number;
  /** How many of them are being answered. */
  unanswered: number;
  readonly waiting: S[];
}
