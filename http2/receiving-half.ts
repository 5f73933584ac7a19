/** Owns the peer's half of a stream: the body bytes that came, who reads them, and their window. */
import { type BodyBudget, BodyCollector, type OnWhole } from "./body-collector.ts";
import { ChunkQueue, NO_CHUNKS } from "./chunk-queue.ts";
import { ErrorCode } from "./errors.ts";
import type { ReceiveWindows } from "./receive-windows.ts";

/** What the half needs of its stream. */
export interface ReceivingOwner {
  readonly id: number;
  readonly closed: boolean;
  /** The peer's half is whole. False = its end is handed out only at `release`. */
  mayEnd(): boolean;
  /** The body was read to its end. */
  readToEnd(): void;
  /** The reader of the body threw. */
  failed(error: unknown): void;
}

/** Takes body bytes as they come. `end` comes once, with the last chunk or with an empty one. */
export type OnChunk<S> = (stream: S, chunk: Buffer, end: boolean) => void;

const EMPTY = Buffer.alloc(0);

/**
 * The half that the peer sends. Chunks are views of what the socket brought: copy what is kept for
 * long.
 */
export class ReceivingHalf<S extends ReceivingOwner> {
  readonly #owner: S;
  readonly #windows: ReceiveWindows;
  /** What the peer may still send on this stream. */
  #window: number;
  /** Bytes that were read, of which the peer has not been told yet. */
  #unannounced = 0;
  #hasHeaders = false;
  /** Body bytes that content-length still promises; -1 = not said. */
  #bodyLeft = -1;
  #onChunk: OnChunk<S> | undefined = undefined;
  #collector: BodyCollector<S> | undefined = undefined;
  #paused = false;
  /** What waits for a reader; undefined = neither bytes nor an end. */
  #inbox: ChunkQueue | undefined = undefined;
  /** The peer has sent the end. */
  #ended = false;
  /** The end came, and waits for `release`. */
  #held = false;
  /** The end was handed out. */
  #read = false;

  constructor(owner: S, windows: ReceiveWindows, window: number) {
    this.#owner = owner;
    this.#windows = windows;
    this.#window = window;
  }

  get ended(): boolean {
    return this.#ended;
  }

  get held(): boolean {
    return this.#held;
  }

  get wasRead(): boolean {
    return this.#read;
  }

  /** The final headers came; a client waits for them. */
  get hasHeaders(): boolean {
    return this.#hasHeaders;
  }

  /** Content-length promises more than has come. */
  get isShort(): boolean {
    return this.#bodyLeft > 0;
  }

  /** The stream has its id now, and its window with it. */
  open(window: number): void {
    this.#window = window;
  }

  /** The final headers came. `contentLength` -1 = not said. */
  expect(contentLength: number): void {
    this.#hasHeaders = true;
    this.#bodyLeft = contentLength;
  }

  /** Counts a DATA frame. Answers what is wrong with it (RFC 9113 sections 5.1, 6.9.1 and 8.1). */
  check(frameBytes: number, bodyBytes: number, end: boolean): ErrorCode | undefined {
    this.#window -= frameBytes;
    if (this.#ended) {
      return ErrorCode.STREAM_CLOSED;
    }
    if (this.#window < 0) {
      return ErrorCode.FLOW_CONTROL_ERROR;
    }
    if (!this.#hasHeaders) {
      return ErrorCode.PROTOCOL_ERROR;
    }
    if (this.#bodyLeft >= 0) {
      this.#bodyLeft -= bodyBytes;
      if (this.#bodyLeft < 0 || (end && this.#bodyLeft > 0)) {
        return ErrorCode.PROTOCOL_ERROR;
      }
    }
    return undefined;
  }

  /** Takes body bytes that `check` has counted: hands them out, or keeps them for a reader. */
  receive(chunk: Buffer, end: boolean): void {
    if (end) {
      this.#ended = true;
      this.#held = !this.#owner.mayEnd();
    }
    if (this.#onChunk !== undefined && !this.#paused && this.#inbox === undefined) {
      this.#deliver(chunk, end && !this.#held);
    } else if (chunk.length > 0 || end) {
      this.#inbox ??= new ChunkQueue();
      this.#inbox.push(chunk);
    }
  }

  /** Headers came that end the half: there is no body. */
  receiveNoBody(): void {
    this.#ended = true;
    this.#inbox = NO_CHUNKS;
  }

  /** Hands out the end that was held back. */
  release(): void {
    this.#held = false;
    this.#inbox ??= NO_CHUNKS;
    this.#deliverInbox();
  }

  /** From now on body bytes go to `onChunk`. */
  read(onChunk: OnChunk<S>): void {
    this.#onChunk = onChunk;
    this.#deliverInbox();
  }

  /** Reads the whole body; `onChunk` has to hand each chunk to `collected`. */
  collect(maxBytes: number, done: OnWhole<S>, budget: BodyBudget | undefined, onChunk: OnChunk<S>): void {
    this.#collector = new BodyCollector(maxBytes, budget, done);
    this.read(onChunk);
  }

  collected(chunk: Buffer, end: boolean): void {
    this.#collector?.add(this.#owner, chunk, end);
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#deliverInbox();
  }

  /** Reads and drops what still comes. */
  discard(): void {
    this.#paused = false;
    this.read(ignoreChunk);
  }

  /** The stream closed: nobody reads any more. */
  close(): void {
    this.#ended = true;
    this.#onChunk = undefined;
    this.#collector?.abandon();
    if (this.#inbox !== undefined && this.#inbox.bytes > 0) {
      this.consumed(this.#inbox.bytes);
    }
  }

  /** Bytes were read or dropped. The peer is told when half of a window is used. */
  consumed(bytes: number): void {
    this.#windows.give(bytes);
    if (!this.#ended) {
      this.#unannounced += bytes;
      if (this.#unannounced >= this.#windows.streamBytes / 2) {
        this.#window += this.#unannounced;
        this.#windows.announce(this.#owner.id, this.#unannounced);
        this.#unannounced = 0;
      }
    }
  }

  #deliver(chunk: Buffer, end: boolean): void {
    this.#read ||= end;
    try {
      this.#onChunk?.(this.#owner, chunk, end);
    } catch (error) {
      this.#owner.failed(error);
    }
    if (chunk.length > 0) {
      this.consumed(chunk.length);
    }
    if (end && !this.#owner.closed) {
      this.#owner.readToEnd();
    }
  }

  #deliverInbox(): void {
    const inbox = this.#inbox;
    if (inbox === undefined) {
      return;
    }
    while (inbox.bytes > 0) {
      if (this.#paused || this.#onChunk === undefined) {
        return;
      }
      const chunk = inbox.shift(inbox.bytes);
      this.#deliver(chunk, this.#ended && !this.#held && inbox.bytes === 0);
    }
    this.#inbox = undefined;
    if (this.#ended && !this.#read && !this.#owner.closed) {
      if (this.#paused || this.#held) {
        this.#inbox = inbox;
      } else {
        this.#deliver(EMPTY, true);
      }
    }
  }
}

function ignoreChunk(): void {}
