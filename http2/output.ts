import type { Duplex } from "node:stream";

/** Frames are written into slabs of this size. */
const SLAB_BYTES = 32 * 1024;
/** A slab with less room is left to the garbage collector. */
const MIN_ROOM_BYTES = 1024;
/** So many slabs are kept for the next connection that writes. */
const MAX_SPARE_SLABS = 64;
/** A payload of this size or more goes to the socket by reference. Below, a copy is cheaper. */
export const REFERENCE_BYTES = 4096;
/** With so much gathered, the socket gets it before the turn is over. */
const FLUSH_BYTES = 128 * 1024;

interface Slab {
  readonly bytes: Buffer;
  used: number;
}

/**
 * Slabs that no connection uses now: idle connections hold none. A slab belongs to a connection
 * from its first frame of a turn to its flush. Bytes that were written are never written again,
 * since the socket may still hold them.
 */
const spare: Slab[] = [];

/**
 * Every output with something to flush in this turn. setImmediate flushes them when all input of
 * the turn was read and most handlers have answered. A microtask measured the same where handlers
 * answer at once.
 */
let dirty: Output[] = [];

function flushAll(): void {
  const outputs = dirty;
  dirty = [];
  for (const output of outputs) {
    output.endTurn();
  }
}

/**
 * Owns what was framed and not written: one write for each turn of the event loop. Knows when the
 * socket is full.
 */
export class Output {
  /**
   * The socket asked for a pause: DATA has to wait, control frames do not. `onDrain` comes when it
   * takes more.
   */
  blocked = false;
  /** When that began, by `performance.now()`. Without meaning while not blocked. */
  blockedAt = 0;
  onDrain: () => void = () => {};
  /** The socket holds more or less than when this was last called. */
  onHeld: () => void = () => {};
  /** What the socket held at that call. */
  heldBytes = 0;
  readonly #socket: Duplex;
  #slab: Slab | undefined;
  #start = 0;
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #scheduled = false;
  #drained = false;

  constructor(socket: Duplex) {
    this.#socket = socket;
    socket.on("drain", () => {
      this.blocked = false;
      this.#look();
      // Not now: a socket that takes all at once and a writer that always has more would never
      // yield.
      this.#drained = true;
      this.#touch();
    });
  }

  /** Bytes that the peer has not taken: gathered here, and held by the socket. */
  get waitingBytes(): number {
    return this.#gatheredBytes + this.#socket.writableLength;
  }

  /**
   * Makes room for `length` bytes in `bytes` at the returned offset. Write all of them before the
   * next call.
   */
  reserve(length: number): number {
    let slab = this.#slab;
    if (slab === undefined || slab.bytes.length - slab.used < length) {
      slab = this.#nextSlab(length);
    }
    const at = slab.used;
    slab.used = at + length;
    this.bytes = slab.bytes;
    this.#touch();
    return at;
  }

  /** The buffer of the last reservation. */
  bytes: Buffer = Buffer.alloc(0);

  /**
   * Puts a large payload behind the last reservation, by reference: it must not change until it is
   * sent.
   */
  append(payload: Uint8Array): void {
    this.#seal();
    this.#queue.push(payload);
    this.#queuedBytes += payload.length;
    if (this.#queuedBytes >= FLUSH_BYTES) {
      this.flush();
    }
  }

  /** At the end of a turn: lets writers that waited for the socket write, and flushes. */
  endTurn(): void {
    this.#scheduled = false;
    if (this.#drained) {
      this.#drained = false;
      this.onDrain();
    }
    this.flush();
  }

  /** Hands everything to the socket now. */
  flush(): void {
    this.#seal();
    if (this.#slab !== undefined) {
      if (this.#slab.bytes.length - this.#slab.used >= MIN_ROOM_BYTES && spare.length < MAX_SPARE_SLABS) {
        spare.push(this.#slab);
      }
      this.#slab = undefined;
    }
    const queue = this.#queue;
    const socket = this.#socket;
    if (queue.length === 0) {
      return;
    }
    this.#queue = [];
    this.#queuedBytes = 0;
    if (!socket.writable) {
      return;
    }
    let more = true;
    const [first] = queue;
    if (queue.length === 1 && first !== undefined) {
      more = socket.write(first);
    } else {
      socket.cork();
      for (const bytes of queue) {
        more = socket.write(bytes);
      }
      socket.uncork();
    }
    if (!more && !this.blocked) {
      this.blocked = true;
      this.blockedAt = performance.now();
    }
    this.#look();
  }

  #look(): void {
    const { writableLength } = this.#socket;
    if (writableLength !== this.heldBytes) {
      this.heldBytes = writableLength;
      this.onHeld();
    }
  }

  get #gatheredBytes(): number {
    return this.#queuedBytes + (this.#slab === undefined ? 0 : this.#slab.used - this.#start);
  }

  #touch(): void {
    if (!this.#scheduled) {
      this.#scheduled = true;
      if (dirty.push(this) === 1) {
        setImmediate(flushAll);
      }
    }
  }

  #nextSlab(length: number): Slab {
    this.#seal();
    if (this.#queuedBytes >= FLUSH_BYTES) {
      this.flush();
    }
    let slab = spare.pop();
    if (slab === undefined || slab.bytes.length - slab.used < length) {
      slab = { bytes: Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, length)), used: 0 };
    }
    this.#slab = slab;
    this.#start = slab.used;
    return slab;
  }

  /** Moves what was written into the slab to the end of the queue. */
  #seal(): void {
    const slab = this.#slab;
    if (slab !== undefined && slab.used > this.#start) {
      this.#queue.push(slab.bytes.subarray(this.#start, slab.used));
      this.#queuedBytes += slab.used - this.#start;
      this.#start = slab.used;
    }
  }
}
