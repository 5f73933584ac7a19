import { PrismError } from "../../errors.ts";

/** An address counts units of this many bytes, so that 32 bits reach over 32 GiB. */
export const UNIT_BYTES = 8;
/** What is taken from the system at once. Larger ones are given back later, smaller ones waste more at their end. */
export const SEGMENT_BYTES = 1024 * 1024;

const SEGMENT_SHIFT = 17;
const SEGMENT_UNITS = SEGMENT_BYTES / UNIT_BYTES;
const MAX_SEGMENTS = 2 ** (32 - SEGMENT_SHIFT);

/** Units of a segment that are never handed out: no address is {@link NOWHERE}. */
const FIRST_UNIT = 1;

/** Memory outside V8's heap. */
export interface Segment {
  readonly memory: ArrayBuffer;
  /** The same memory, by bytes and by words of four. */
  readonly bytes: Buffer;
  readonly words: Int32Array;
  /** The address of its first unit. */
  readonly base: number;
  /** Units in use or freed; the next allocation starts there. */
  filled: number;
  /** Units in use. */
  live: number;
  /** Whether it was found to be in use by less than half. */
  sparse: boolean;
}

/** The address that nothing has. */
export const NOWHERE = 0;

const NO_SEGMENT = createSegment(0, 0);

/**
 * Allocates by filling one segment after another, and gives a segment back when nothing in it is in use. Those in use by less than
 * half are the sparse ones: whoever moves out what they hold bounds the whole to about twice of what is in use.
 */
export class Segments {
  readonly #segments: Segment[] = [];
  /** Places in `#segments` of what was given back. */
  readonly #vacant: number[] = [];
  readonly #sparse: Segment[] = [];
  readonly #maxSegments: number;
  /** The one that is being filled. */
  #head: Segment;

  /** @param maxSegments So many can be held at once. */
  constructor(maxSegments = MAX_SEGMENTS) {
    this.#maxSegments = maxSegments;
    this.#head = this.#append();
  }

  /** Bytes taken from the system. */
  get bytes(): number {
    return (this.#segments.length - this.#vacant.length) * SEGMENT_BYTES;
  }

  /** Whether `count` allocations of at most so many bytes each are sure to find room. */
  hasRoom(count: number, bytes: number): boolean {
    const segments = this.#maxSegments - this.#segments.length + this.#vacant.length;
    return count <= segments * Math.floor((SEGMENT_UNITS - FIRST_UNIT) / unitsOf(bytes));
  }

  /** Room for so many bytes, less than a segment has; answers its address. Throws {@link PrismError} `store_full`. */
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

  /** Gives back what was allocated with so many bytes. */
  free(address: number, bytes: number): void {
    const segment = this.of(address);
    segment.live -= unitsOf(bytes);
    if (segment !== this.#head) {
      this.#settle(segment);
    } else if (segment.live === 0) {
      segment.filled = FIRST_UNIT;
    }
  }

  /** The segment of an address; its word there is `wordOf(address)`. */
  of(address: number): Segment {
    return this.#segments[address >>> SEGMENT_SHIFT] ?? NO_SEGMENT;
  }

  /** A sparse segment, always the same until it was given back; `undefined` = there is none. */
  sparse(): Segment | undefined {
    for (let segment = this.#sparse[0]; segment !== undefined; segment = this.#sparse[0]) {
      if (segment.live > 0) {
        return segment;
      }
      // Given back meanwhile.
      this.#sparse.shift();
    }
    return undefined;
  }

  #append(): Segment {
    const index = this.#vacant.pop() ?? this.#segments.length;
    if (index === this.#maxSegments) {
      throw new PrismError("store_full", "the store has no room left");
    }
    const segment = createSegment(index, SEGMENT_BYTES);
    this.#segments[index] = segment;
    return segment;
  }

  /** Does with a segment that is not being filled what its use asks for. */
  #settle(segment: Segment): void {
    if (segment.live === 0) {
      // Frees the memory now; the garbage collector would when it gets there.
      segment.memory.transfer(0);
      this.#segments[segment.base / SEGMENT_UNITS] = NO_SEGMENT;
      this.#vacant.push(segment.base / SEGMENT_UNITS);
    } else if (segment.live < SEGMENT_UNITS / 2 && !segment.sparse) {
      segment.sparse = true;
      this.#sparse.push(segment);
    }
  }
}

/** Where the word of an address is in its segment. */
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
