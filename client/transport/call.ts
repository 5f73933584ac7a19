import type { DescMessage, DescMethod, MessageShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { type ClientConnection, ErrorCode, type HeaderBlock, type Stream } from "../../http2/index.ts";
import type { Channel, PendingCall } from "./channel.ts";
import type { TimedCall } from "./deadlines.ts";
import { markNotRun, refusalPauseMs } from "./not-run.ts";
import { resetError } from "./reset.ts";

/** With more than this unread, the server waits for the reader of the stream. */
export const READ_AHEAD_BYTES = 64 * 1024;

/** What all calls of a method have in common. */
export interface CallTarget<M extends DescMethod, O extends DescMessage> {
  readonly method: M;
  /** Reads a response; throws ConnectError. */
  readonly parse: (bytes: Uint8Array) => MessageShape<O>;
  readonly readMaxBytes: number;
}

/** The parts of an AbortSignal that a call uses. Any object with these parts will do. */
export interface CallSignal {
  /** True: it aborts when the call's time is over, so that the call needs no timer. */
  readonly keepsDeadline?: boolean;
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(type: "abort", listener: { handleEvent(): void }): void;
  removeEventListener(type: "abort", listener: { handleEvent(): void }): void;
}

/** What a call has of its own. */
export interface CallRequest {
  /** Fields that come again from call to call. */
  readonly fields: HeaderBlock;
  /** The fields of this call alone. */
  readonly ownFields: HeaderBlock | undefined;
  /** At most 31 bits; `undefined` = any time. */
  readonly timeoutMs: number | undefined;
  readonly signal: CallSignal | undefined;
  /** Whether `opened` can send the request again, where the server did not run it. */
  readonly canSendAgain: boolean;
}

/**
 * A call from its request to its end: a stream on one of a channel's connections, ended by its
 * deadline and its signal. A request is sent again only if the server says that it did not run it
 * (RFC 9113 sections 6.8 and 8.7).
 */
export abstract class Call implements PendingCall, TimedCall {
  protected stream: Stream | undefined = undefined;
  /** The call is over: answered, or failed. */
  protected over = false;
  readonly #channel: Channel;
  readonly #request: CallRequest;
  /** The pause before a refused call is sent again. */
  #pause: NodeJS.Timeout | undefined = undefined;
  #refusals = 0;
  /** Of a call with a deadline only. */
  endMs = 0;

  constructor(channel: Channel, request: CallRequest) {
    this.#channel = channel;
    this.#request = request;
  }

  /** A stream for the call: sends the request and reads the response. `context` is the call. */
  protected abstract opened(stream: Stream): void;
  /** The call is over, with an error. */
  protected abstract failed(error: ConnectError): void;

  /** Makes the call; once. */
  protected start(): void {
    this.#channel.begin();
    const { signal, timeoutMs } = this.#request;
    if (signal?.aborted === true) {
      this.fail(aborted(signal));
      return;
    }
    signal?.addEventListener("abort", this);
    if (timeoutMs !== undefined) {
      this.endMs = performance.now() + timeoutMs;
      if (signal?.keepsDeadline !== true) {
        this.#channel.deadlines.add(this);
      }
    }
    this.#channel.acquire(this);
  }

  /** For the channel: a connection with room for the call. */
  connected(connection: ClientConnection): void {
    const stream = connection.request(this.#request.fields, this.#request.ownFields);
    this.stream = stream;
    stream.setContext(this);
    stream.whenClosed(onClose);
    this.opened(stream);
  }

  /** For the signal: it was aborted. */
  handleEvent(): void {
    const { signal } = this.#request;
    if (signal !== undefined) {
      this.fail(aborted(signal));
    }
  }

  /** For the stream: it closed. */
  closed(stream: Stream, code: ErrorCode | undefined): void {
    if (this.over) {
      return;
    }
    if (stream.refused) {
      this.#refused(code);
    } else if (code === ErrorCode.CANCEL && this.#isLate()) {
      // The server's timer was the first to run out.
      this.fail(deadlineExceeded());
    } else {
      this.fail(resetError(code));
    }
  }

  /** The server says that it did not run the call. */
  #refused(code: ErrorCode | undefined): void {
    const pauseMs = this.#request.canSendAgain ? refusalPauseMs(++this.#refusals) : undefined;
    if (pauseMs === undefined) {
      this.fail(markNotRun(resetError(code), "refused"));
    } else if (pauseMs === 0) {
      this.#channel.acquire(this, true);
    } else {
      this.#pause = setTimeout(() => this.#channel.acquire(this, true), pauseMs);
    }
  }

  /**
   * Whether the deadline has passed. Timers count whole milliseconds, so the two sides may differ
   * by a part of one.
   */
  #isLate(): boolean {
    return this.#request.timeoutMs !== undefined && performance.now() > this.endMs - 1;
  }

  /** For the channel: the call's time is over. */
  late(): void {
    const { where } = this.#channel;
    this.fail(
      this.stream === undefined
        ? deadlineExceeded(`the operation timed out before a connection to ${where} took it`)
        : deadlineExceeded(),
    );
  }

  /** Ends the call with an error, if it is not over. */
  fail(error: ConnectError): void {
    if (!this.over) {
      this.end();
      this.stream?.reset();
      this.failed(error);
    }
  }

  /** Ends the call; nothing happens to it any more. */
  protected end(): void {
    this.over = true;
    if (this.#request.timeoutMs !== undefined) {
      this.#channel.deadlines.delete(this);
    }
    if (this.#pause !== undefined) {
      clearTimeout(this.#pause);
    }
    this.#request.signal?.removeEventListener("abort", this);
    this.#channel.end(this);
  }
}

/** One function for all streams: a call needs no closure of its own. */
function onClose(stream: Stream, code: ErrorCode | undefined): void {
  (stream.context as Call).closed(stream, code);
}

/** What the caller said when it aborted, as the error of the call. */
function aborted({ reason }: CallSignal): ConnectError {
  // The error of AbortSignal.timeout().
  return reason instanceof Error && reason.name === "TimeoutError"
    ? deadlineExceeded()
    : ConnectError.from(reason, Code.Canceled);
}

/** The usual message is Connect's. */
function deadlineExceeded(message = "the operation timed out"): ConnectError {
  return new ConnectError(message, Code.DeadlineExceeded);
}
