/**
 * Owns the parts of one HTTP/2 connection: makes them, and tells one part what happened in another.
 */
import type { Duplex } from "node:stream";
import { ControlBudget } from "./control-budget.ts";
import { Ending } from "./ending.ts";
import { ConnectionError, ErrorCode } from "./errors.ts";
import { PREFACE } from "./frame.ts";
import { FrameHandler } from "./frame-handler.ts";
import { FrameWriter } from "./frame-writer.ts";
import { HpackEncoder } from "./hpack-encoder.ts";
import { type Limits, resolveLimits } from "./limits.ts";
import { MessageReader } from "./message-reader.ts";
import { OpenStreams } from "./open-streams.ts";
import { Output } from "./output.ts";
import { Pings } from "./pings.ts";
import { ReceiveWindows } from "./receive-windows.ts";
import { Receiver } from "./receiver.ts";
import type { Role } from "./role.ts";
import { Sender } from "./sender.ts";
import { ownSettings, PeerSettings } from "./settings.ts";
import type { Stream } from "./stream.ts";
import type { StreamHost } from "./stream-host.ts";
import { Timeouts } from "./timeouts.ts";

/** What both roles take, beside the limits. */
export interface ConnectionOptions extends Partial<Limits> {
  /**
   * A callback of a stream or connection threw; its stream is reset. Default: an uncaught
   * exception.
   */
  readonly onCallbackError?: (error: unknown) => void;
}

/**
 * One HTTP/2 connection over a socket. Errors of the peer are answered with RST_STREAM or GOAWAY
 * (RFC 9113 section 5.4); nothing that it sends makes the engine throw.
 */
export class Connection<R extends Role = Role> implements StreamHost<Stream> {
  readonly socket: Duplex;
  readonly limits: Limits;
  /** What the peer said in its SETTINGS. */
  readonly peer: PeerSettings;
  readonly budget: ControlBudget;
  readonly output: Output;
  readonly frames: FrameWriter;
  readonly sender: Sender;
  readonly windows: ReceiveWindows;
  readonly streams: OpenStreams;
  readonly role: R;
  readonly messages: MessageReader;
  readonly pings: Pings;
  readonly ending: Ending;
  readonly handler: FrameHandler;
  readonly receiver: Receiver;
  readonly timeouts: Timeouts;
  /** Called once, when the socket is closed; undefined = in good order. */
  onClose: ((error: Error | undefined) => void) | undefined = undefined;
  readonly #onCallbackError: (error: unknown) => void;

  /**
   * `createRole` is called once, with the connection when it can send but does not receive yet.
   * Throws RangeError for options that are out of range.
   */
  constructor(
    socket: Duplex,
    options: ConnectionOptions,
    isClient: boolean,
    createRole: (connection: Connection) => R,
  ) {
    const { onCallbackError, ...given } = options;
    const limits = resolveLimits(given);
    const encoder = new HpackEncoder(limits.headerTableBytes);
    this.#onCallbackError = onCallbackError ?? throwLater;
    this.socket = socket;
    this.limits = limits;
    this.peer = new PeerSettings(isClient, encoder);
    this.budget = new ControlBudget(limits.controlFramesPerSecond, limits.maxConcurrentStreams);
    this.output = new Output(socket);
    this.frames = new FrameWriter(this.output, encoder, this.peer);
    this.sender = new Sender(this.output, this.frames, this.peer, this.budget, limits.streamHighWaterBytes);
    this.windows = new ReceiveWindows(limits.streamWindowBytes, limits.connectionWindowBytes, this.frames);
    this.streams = new OpenStreams(this.frames, this.budget, limits.maxConcurrentStreams, (stream) =>
      this.#streamClosed(stream),
    );
    this.role = createRole(this);
    this.messages = new MessageReader(this);
    this.pings = new Pings(this.frames);
    this.ending = new Ending(this);
    this.handler = new FrameHandler(this);
    this.receiver = new Receiver(this, isClient);
    this.timeouts = new Timeouts(this);
    this.timeouts.schedule();
    if (isClient) {
      this.output.append(PREFACE);
    }
    this.frames.settings(ownSettings(limits, isClient));
    this.windows.open();
  }

  // For its user.

  /** Streams that are open. */
  get streamCount(): number {
    return this.streams.size;
  }

  /** Body bytes that wait to be sent, of all streams. */
  get bufferedBytes(): number {
    return this.sender.bufferedBytes;
  }

  /** The connection takes no new streams, or is closed. */
  get closing(): boolean {
    return this.ending.closing;
  }

  /** The socket is closed, and `onClose` was called. */
  get closed(): boolean {
    return this.ending.closed;
  }

  /** Resolves with the round trip in milliseconds; undefined = the connection closed before. */
  ping(): Promise<number | undefined> {
    return this.ending.ended ? Promise.resolve(undefined) : this.pings.send();
  }

  /**
   * Lets the streams that there are end and takes no new ones, without losing any (section 6.8).
   * Resolves when the connection is closed. It does not bound the time of the streams: `destroy`
   * does.
   */
  drain(): Promise<void> {
    return this.ending.drain();
  }

  /** Closes now, with GOAWAY. Streams end with `code`, or CANCEL for NO_ERROR. */
  destroy(code: ErrorCode = ErrorCode.NO_ERROR): void {
    this.ending.fail(
      code,
      "",
      code === ErrorCode.NO_ERROR ? undefined : new ConnectionError(code, "destroyed"),
    );
  }

  // For its parts.

  get started(): boolean {
    return this.receiver.started;
  }

  resetStream(stream: Stream, code: ErrorCode): void {
    this.streams.reset(stream, code);
  }

  callbackFailed(stream: Stream, error: unknown): void {
    if (!stream.closed) {
      this.streams.reset(stream, ErrorCode.INTERNAL_ERROR);
    }
    this.#onCallbackError(error);
  }

  reportError(error: unknown): void {
    this.#onCallbackError(error);
  }

  blockBegan(): void {
    this.timeouts.schedule();
  }

  timeBegan(): void {
    this.timeouts.schedule();
  }

  socketClosed(error: Error | undefined): void {
    this.timeouts.stop();
    this.pings.close();
    const { onClose } = this;
    try {
      onClose?.(error);
    } catch (thrown) {
      this.#onCallbackError(thrown);
    }
  }

  #streamClosed(stream: Stream): void {
    if (this.streams.size === 0) {
      this.timeouts.becameIdle(this.receiver.receivedAt);
      this.ending.endIfDrained();
    }
    this.role.streamClosed(stream);
  }
}

/** A connection as its user sees it, without its parts. */
export type UserConnection = Pick<
  Connection,
  "socket" | "onClose" | "streamCount" | "bufferedBytes" | "closing" | "closed" | "ping" | "drain" | "destroy"
>;

function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
