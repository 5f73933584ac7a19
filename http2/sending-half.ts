/** Owns our half of a stream: what waits to be sent, the window for it, and how the half ends. */
import { ChunkQueue, NO_CHUNKS } from "./chunk-queue.ts";
import { MAX_31_BITS } from "./frame.ts";
import type { EncodedHeaders } from "./hpack-encoder.ts";
import type { Outgoing, Sender } from "./sender.ts";

/** What the half needs of its stream. */
export interface SendingOwner {
  /** 0 = the stream waits for its id, and nothing can be sent. */
  readonly id: number;
  readonly closed: boolean;
  /** An answer begins. `bytes` is all of it, or its first piece; undefined = not known yet. */
  answering(bytes: number | undefined): void;
  /** Everything was sent, with the end. */
  sentToEnd(): void;
  /** `write` answered false, and the queue is half empty now. */
  drained(): void;
  /** More waits than before; the stream may be closed when this returns. */
  buffered(): void;
}

/** The half that we send. Nothing can be written once its end is said. */
export class SendingHalf implements Outgoing {
  readonly #owner: SendingOwner;
  readonly #sender: Sender;
  /**
   * What the peer lets us send; below zero after a SETTINGS that took some back (RFC 9113 section
   * 6.9.2).
   */
  #window: number;
  #queue: ChunkQueue = NO_CHUNKS;
  /** An answer was begun, and its size told or left open. */
  #responded = false;
  /** The size of the answer, or of its first piece, was told. */
  #measured = false;
  /**
   * The end is said, or the stream closed: nothing more is taken. After the queue comes the end.
   */
  #ending = false;
  #trailers: EncodedHeaders | undefined = undefined;
  /** The end was sent, or is not to be sent any more. */
  #ended = false;
  #wantsDrain = false;
  #movedAt = 0;

  constructor(owner: SendingOwner, sender: Sender, window: number) {
    this.#owner = owner;
    this.#sender = sender;
    this.#window = window;
  }

  get id(): number {
    return this.#owner.id;
  }

  get window(): number {
    return this.#window;
  }

  get queuedBytes(): number {
    return this.#queue.bytes;
  }

  get ending(): boolean {
    return this.#ending;
  }

  get ended(): boolean {
    return this.#ended;
  }

  get trailers(): EncodedHeaders | undefined {
    return this.#trailers;
  }

  /** An answer was begun. */
  get responded(): boolean {
    return this.#responded;
  }

  /** When some of the queue was last sent, or began to wait, by `performance.now()`. */
  get movedAt(): number {
    return this.#movedAt;
  }

  /** The stream has its id now, and its window with it. */
  open(window: number): void {
    this.#window = window;
  }

  /** What was written before the stream had its id goes out. */
  start(): void {
    if (this.#queue.bytes > 0 || this.#ending) {
      this.#sender.schedule(this);
    }
  }

  /** False = the window would be above 2^31-1 (section 6.9.1). */
  grow(bytes: number): boolean {
    this.#window += bytes;
    return this.#window <= MAX_31_BITS;
  }

  /**
   * Sends the headers of an answer. False = nothing follows: `end` is true, or the half is over.
   */
  respond(headers: EncodedHeaders, end: boolean): boolean {
    if (this.#ending) {
      return false;
    }
    this.#answering(undefined);
    this.#sender.headers(this.#owner.id, headers, end);
    if (end) {
      this.#end();
    }
    return !end;
  }

  /** Sends a whole answer. False = something is in its way: it has to go in pieces. */
  reply(headers: EncodedHeaders, data: Uint8Array, trailers: EncodedHeaders | undefined): boolean {
    if (this.#ending) {
      return true;
    }
    this.#measured = true;
    this.#answering(data.length);
    if (!this.#sender.reply(this, headers, data, trailers)) {
      return false;
    }
    this.#end();
    return true;
  }

  /**
   * Sends or queues body bytes. False = more waits than the high-water mark, or the half is over.
   */
  write(data: Uint8Array): boolean {
    if (this.#ending) {
      return false;
    }
    if (!this.#measured) {
      this.#measured = true;
      this.#owner.answering(data.length);
    }
    if (data.length === 0 || this.#sendNow(data, false)) {
      return true;
    }
    this.#enqueue(data);
    this.#wantsDrain = this.#queue.bytes >= this.#sender.highWaterBytes;
    return !this.#wantsDrain;
  }

  /** Says the end, behind what waits. */
  end(trailers: EncodedHeaders | undefined): void {
    if (!this.#ending) {
      this.#ending = true;
      this.#trailers = trailers;
      this.#flush();
    }
  }

  /** Sends or queues the last of the body and the end, in one frame where it can be. */
  endWith(data: Uint8Array, trailers: EncodedHeaders | undefined): void {
    if (this.#ending) {
      return;
    }
    if (trailers === undefined && this.#sendNow(data, true)) {
      this.#end();
      return;
    }
    this.#ending = true;
    this.#trailers = trailers;
    if (data.length > 0) {
      this.#enqueue(data);
    } else {
      this.#flush();
    }
  }

  /** The peer wants no more: drops what waits, and ends the half without a frame. */
  stop(): void {
    this.#sender.forget(this);
    this.#queue.clear();
    this.#ending = true;
    this.#ended = true;
  }

  /** The stream closed: what waits is not sent, and does not count any more. */
  close(): void {
    this.#ending = true;
    this.#ended = true;
    this.#sender.forget(this);
  }

  /** For the sender: takes from the window what goes out without having waited. */
  use(bytes: number): void {
    this.#window -= bytes;
  }

  /** For the sender: takes from the queue and the window. */
  shift(maxBytes: number): Buffer {
    const chunk = this.#queue.shift(maxBytes);
    this.#window -= chunk.length;
    return chunk;
  }

  /** For the sender: a frame of what waited went out; `done` = it was the last. */
  sent(done: boolean): void {
    this.#movedAt = performance.now();
    if (done) {
      this.#ended = true;
      this.#owner.sentToEnd();
    } else if (this.#wantsDrain && this.#queue.bytes < this.#sender.highWaterBytes / 2) {
      this.#wantsDrain = false;
      this.#owner.drained();
    }
  }

  #answering(bytes: number | undefined): void {
    if (!this.#responded) {
      this.#responded = true;
      this.#owner.answering(bytes);
    }
  }

  #end(): void {
    this.#ending = true;
    this.#ended = true;
    this.#owner.sentToEnd();
  }

  #sendNow(data: Uint8Array, end: boolean): boolean {
    return this.#owner.id !== 0 && this.#queue.bytes === 0 && this.#sender.sendNow(this, data, end);
  }

  #enqueue(data: Uint8Array): void {
    if (this.#queue === NO_CHUNKS) {
      this.#queue = new ChunkQueue();
    }
    if (this.#queue.bytes === 0) {
      this.#movedAt = performance.now();
    }
    this.#queue.push(
      data instanceof Buffer ? data : Buffer.from(data.buffer, data.byteOffset, data.byteLength),
    );
    this.#sender.queued(data.length);
    this.#flush();
    if (this.#queue.bytes > 0 && !this.#owner.closed) {
      this.#owner.buffered();
    }
  }

  #flush(): void {
    if (this.#owner.id !== 0) {
      this.#sender.schedule(this);
    }
  }
}
