import { storeError } from "../store-errors.ts";

/** An address counts units of this size, so that 32 bits reach 32 GiB. */
export const UNIT_BYTES = 8;
/**
 * The size of a segment. Larger ones are given back later; smaller ones waste more at their ends.
 */
export const SEGMENT_BYTES = 1024 * 1024;

const SEGMENT_SHIFT = 17;
const SEGMENT_UNITS = SEGMENT_BYTES / UNIT_BYTES;
const MAX_SEGMENTS = 2 ** (32 - SEGMENT_SHIFT);

/**
 * The units at a segment's start that are never handed out, so that no address is {@link NOWHERE}.
 */
const FIRST_UNIT = 1;

/** Memory outside V8's heap. */
export interface Segment {
  readonly memory: ArrayBuffer;
  /** The same memory as bytes and as four-byte words. */
  readonly bytes: Buffer;
  readonly words: Int32Array;
  /** The address of its first unit. */
  readonly base: number;
  /** Units in use or freed. The next allocation starts after them. */
  filled: number;
  /** Units in use. */
  live: number;
  /** Whether less than half of it is in use. */
  sparse: boolean;
}

/** The address of nothing. */
export const NOWHERE = 0;

const NO_SEGMENT = createSegment(0, 0);

/**
 * Allocates by filling one segment after another. A segment with nothing in use is given back. A
 * sparse segment has less than half in use: a caller that moves out its content keeps the total
 * below about twice the use.
 */
export class Segments {
  readonly #segments: Segment[] = [];
  /** Free places in `#segments`. */
  readonly #vacant: number[] = [];
  readonly #sparse: Segment[] = [];
  readonly #maxSegments: number;
  /** The segment that is being filled. */
  #head: Segment;

  /** @param maxSegments The most segments held at once. */
  constructor(maxSegments = MAX_SEGMENTS) {
    this.#maxSegments = maxSegments;
    this.#head = this.#append();
  }

  /** Bytes taken from the system. */
  get bytes(): number {
    return (this.#segments.length - this.#vacant.length) * SEGMENT_BYTES;
  }

  /** Whether `count` allocations of at most this many bytes surely fit. */
  hasRoom(count: number, bytes: number): boolean {
    const segments = this.#maxSegments - this.#segments.length + this.#vacant.length;
    return count <= segments * Math.floor((SEGMENT_UNITS - FIRST_UNIT) / unitsOf(bytes));
  }

  /**
   * Allocates less than a segment's bytes; answers the address. Throws {@link PrismError}
   * `store_full`.
   */
  allocate(bytes: number): number {
    const units = unitsOf(bytes);
    if (this.#head.filled + units > SEGMENT_UNITS) {
      const full = this.#head;
      this.#head = this.#append();
      this.#settle(full);
    }
    const head = this.#head;
    const address = head.base + head.filled;
    head.filled += units;
    head.live += units;
    return address;
  }

  /** Frees an allocation. `bytes` must be the size it was allocated with. */
  free(address: number, bytes: number): void {
    const segment = this.of(address);
    segment.live -= unitsOf(bytes);
    if (segment !== this.#head) {
      this.#settle(segment);
    } else if (segment.live === 0) {
      segment.filled = FIRST_UNIT;
    }
  }

  /** The segment of an address. The address's word in it is `wordOf(address)`. */
  of(address: number): Segment {
    return this.#segments[address >>> SEGMENT_SHIFT] ?? NO_SEGMENT;
  }

  /** A sparse segment, the same one until it is given back. `undefined` = none. */
  sparse(): Segment | undefined {
    for (let segment = this.#sparse[0]; segment !== undefined; segment = this.#sparse[0]) {
      if (segment.live > 0) {
        return segment;
      }
      // It was given back meanwhile.
      this.#sparse.shift();
    }
    return undefined;
  }

  #append(): Segment {
    const index = this.#vacant.pop() ?? this.#segments.length;
    if (index === this.#maxSegments) {
      throw storeError("store_full");
    }
    const segment = createSegment(index, SEGMENT_BYTES);
    this.#segments[index] = segment;
    return segment;
  }

  /** Marks a segment as sparse or gives it back, depending on its use. Not for the head. */
  #settle(segment: Segment): void {
    if (segment.live === 0) {
      // Releases the memory now instead of at the next garbage collection.
      segment.memory.transfer(0);
      this.#segments[segment.base / SEGMENT_UNITS] = NO_SEGMENT;
      this.#vacant.push(segment.base / SEGMENT_UNITS);
    } else if (segment.live < SEGMENT_UNITS / 2 && !segment.sparse) {
      segment.sparse = true;
      this.#sparse.push(segment);
    }
  }
}

/** The index of an address's word in its segment. */
export function wordOf(address: number): number {
  return (address & (SEGMENT_UNITS - 1)) * 2;
}

function unitsOf(bytes: number): number {
  return Math.ceil(bytes / UNIT_BYTES);
}

function createSegment(index: number, bytes: number): Segment {
  const memory = new ArrayBuffer(bytes);
  return {
    memory,
    bytes: Buffer.from(memory),
    words: new Int32Array(memory),
    base: index * SEGMENT_UNITS,
    filled: FIRST_UNIT,
    live: 0,
    sparse: false,
  };
}
