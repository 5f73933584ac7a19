/** Neighbouring events of a stream, and where their times lie. */
export interface TimeBlock {
  readonly firstOffset: number;
  /** The first offset after the block. Offsets may be missing in it. */
  readonly nextOffset: number;
  /** How many events it has, or had: Kafka may have removed the first ones. */
  readonly count: number;
  readonly minMs: number;
  readonly maxMs: number;
  /** The most by which an event of the block is earlier than one before it in the block. */
  readonly latenessMs: number;
}

/** More blocks than this are never kept. */
export const MAX_BLOCKS = 1024;

/** How many events a block has at first. It doubles when there are too many blocks. */
const FIRST_BLOCK_EVENTS = 64;

/** The first character of an encoded index: how the rest is written. */
const FORMAT = "1";

/**
 * Where the times of a stream's events lie, without the events: a bounded number of blocks in the
 * order of offsets. A block tells the least it must: an event is never earlier or later than its
 * block says.
 */
export class TimeIndex {
  #blocks: TimeBlock[] = [];
  #blockEvents = FIRST_BLOCK_EVENTS;
  #nextOffset: number;
  /** Whether a block begins no earlier than the one before it. */
  #inOrder = true;

  /** An index of the events from this offset on. */
  constructor(firstOffset: number) {
    this.#nextOffset = firstOffset;
  }

  /** The blocks in the order of offsets. */
  get blocks(): readonly TimeBlock[] {
    return this.#blocks;
  }

  /** Every event before this offset is in the index. */
  get nextOffset(): number {
    return this.#nextOffset;
  }

  /** Adds an event behind all others. */
  add(offset: number, timestampMs: number): void {
    this.#nextOffset = offset + 1;
    const last = this.#blocks.at(-1);
    if (last === undefined || last.count >= this.#blockEvents) {
      this.#push({
        firstOffset: offset,
        nextOffset: offset + 1,
        count: 1,
        minMs: timestampMs,
        maxMs: timestampMs,
        latenessMs: 0,
      });
      return;
    }
    const block: Writable<TimeBlock> = last;
    block.nextOffset = offset + 1;
    block.count++;
    if (timestampMs >= block.maxMs) {
      block.maxMs = timestampMs;
      return;
    }
    block.latenessMs = Math.max(block.latenessMs, block.maxMs - timestampMs);
    if (timestampMs < block.minMs) {
      block.minMs = timestampMs;
      this.#inOrder &&= timestampMs >= (this.#blocks.at(-2)?.minMs ?? timestampMs);
    }
  }

  /** There is no event between the last one and this offset. */
  skipTo(offset: number): void {
    this.#nextOffset = Math.max(this.#nextOffset, offset);
  }

  /** Events before this offset are gone. */
  dropBefore(offset: number): void {
    const kept = this.#blocks.findIndex(({ nextOffset }) => nextOffset > offset);
    this.#blocks.splice(0, kept === -1 ? this.#blocks.length : kept);
    const [first] = this.#blocks;
    if (first !== undefined && first.firstOffset < offset) {
      this.#blocks[0] = { ...first, firstOffset: offset };
    }
    this.skipTo(offset);
  }

  /** An index of the events before an offset, or of fewer: only whole blocks. */
  before(offset: number): TimeIndex {
    const index = new TimeIndex(0);
    const cut = this.#blocks.find(({ nextOffset }) => nextOffset > offset);
    index.#blocks = this.#blocks
      .filter(({ nextOffset }) => nextOffset <= offset)
      .map((each) => ({ ...each }));
    index.#blockEvents = this.#blockEvents;
    index.#inOrder = this.#inOrder;
    index.#nextOffset = Math.max(0, Math.min(offset, this.#nextOffset, cut?.firstOffset ?? offset));
    return index;
  }

  /** The blocks that may have events of a span, in the order of their least times. */
  overlapping(startMs: number, endMs: number): TimeBlock[] {
    const found = this.#blocks.filter(({ minMs, maxMs }) => maxMs >= startMs && minMs < endMs);
    const last = found.at(-1);
    if (last !== undefined) {
      // The last block changes when events are added.
      found[found.length - 1] = { ...last };
    }
    return this.#inOrder ? found : found.sort((a, b) => a.minMs - b.minMs || a.firstOffset - b.firstOffset);
  }

  /**
   * The index of a topic as text of at most `maxBytes` bytes: neighbours are joined until it fits.
   */
  encode(topicId: string, maxBytes: number): string {
    for (let blocks = this.#blocks, size = this.#blockEvents; ; size *= 2) {
      const text = `${FORMAT}${topicId}:${encodeBlocks(blocks, this.#blockEvents, this.#nextOffset)}`;
      if (text.length <= maxBytes || blocks.length < 2) {
        return text;
      }
      blocks = joined(blocks, size);
    }
  }

  /** Reads what `encode` wrote. `undefined` = it is of another topic, or nothing that is known. */
  static decode(text: string, topicId: string): TimeIndex | undefined {
    const head = `${FORMAT}${topicId}:`;
    return text.startsWith(head) ? TimeIndex.#decodeBlocks(text.slice(head.length)) : undefined;
  }

  static #decodeBlocks(text: string): TimeIndex | undefined {
    const numbers = readNumbers(Buffer.from(text, "base64"));
    const [blockEvents, nextOffset] = numbers ?? [];
    if (numbers === undefined || blockEvents === undefined || nextOffset === undefined) {
      return undefined;
    }
    const index = new TimeIndex(0);
    let offset = 0;
    let fromMs = 0;
    for (let at = HEAD_NUMBERS; at < numbers.length; at += BLOCK_NUMBERS) {
      const [gap = 0, span = 0, count, time, spanMs = 0, latenessMs] = numbers.slice(at, at + BLOCK_NUMBERS);
      if (count === undefined || time === undefined || latenessMs === undefined) {
        return undefined;
      }
      const firstOffset = offset + gap;
      offset = firstOffset + span;
      fromMs += unfold(time);
      index.#push({
        firstOffset,
        nextOffset: offset,
        count,
        minMs: fromMs,
        maxMs: fromMs + spanMs,
        latenessMs,
      });
    }
    if (nextOffset < offset || blockEvents < 1 || !index.#blocks.every(isWhole)) {
      return undefined;
    }
    index.#blockEvents = blockEvents;
    index.#nextOffset = nextOffset;
    return index;
  }

  #push(block: TimeBlock): void {
    this.#inOrder &&= block.minMs >= (this.#blocks.at(-1)?.minMs ?? block.minMs);
    this.#blocks.push(block);
    while (this.#blocks.length > MAX_BLOCKS) {
      this.#blockEvents *= 2;
      this.#blocks = joined(this.#blocks, this.#blockEvents);
      this.#inOrder = this.#blocks.every(({ minMs }, i, all) => minMs >= (all[i - 1]?.minMs ?? minMs));
    }
  }
}

type Writable<T> = { -readonly [Name in keyof T]: T[Name] };

/** Joins neighbours that have no more than `maxEvents` events together. */
function joined(blocks: readonly TimeBlock[], maxEvents: number): TimeBlock[] {
  const result: TimeBlock[] = [];
  for (const block of blocks) {
    const last = result.at(-1);
    if (last !== undefined && last.count + block.count <= maxEvents) {
      result[result.length - 1] = {
        firstOffset: last.firstOffset,
        nextOffset: block.nextOffset,
        count: last.count + block.count,
        minMs: Math.min(last.minMs, block.minMs),
        maxMs: Math.max(last.maxMs, block.maxMs),
        latenessMs: Math.max(last.latenessMs, block.latenessMs, last.maxMs - block.minMs),
      };
    } else {
      result.push(block);
    }
  }
  return result;
}

/** The numbers at the head of an encoded index, and of each block. */
const HEAD_NUMBERS = 2;
const BLOCK_NUMBERS = 6;

/** Each number in groups of 7 bits, the lowest first; the high bit says that more follow. */
function encodeBlocks(blocks: readonly TimeBlock[], blockEvents: number, nextOffset: number): string {
  const bytes: number[] = [];
  let offset = 0;
  let fromMs = 0;
  writeNumber(bytes, blockEvents);
  writeNumber(bytes, nextOffset);
  for (const block of blocks) {
    writeNumber(bytes, block.firstOffset - offset);
    writeNumber(bytes, block.nextOffset - block.firstOffset);
    writeNumber(bytes, block.count);
    writeNumber(bytes, fold(block.minMs - fromMs));
    writeNumber(bytes, block.maxMs - block.minMs);
    writeNumber(bytes, block.latenessMs);
    offset = block.nextOffset;
    fromMs = block.minMs;
  }
  return Buffer.from(bytes).toString("base64");
}

/** The least number that takes one group more. */
const GROUP = 128;

function writeNumber(bytes: number[], value: number): void {
  let rest = value;
  for (; rest >= GROUP; rest = Math.floor(rest / GROUP)) {
    bytes.push((rest % GROUP) + GROUP);
  }
  bytes.push(rest);
}

/** `undefined` = the bytes are no numbers. */
function readNumbers(bytes: Buffer): number[] | undefined {
  const numbers: number[] = [];
  let value = 0;
  let scale = 1;
  for (const byte of bytes) {
    value += (byte % GROUP) * scale;
    if (!Number.isSafeInteger(value)) {
      return undefined;
    }
    if (byte >= GROUP) {
      scale *= GROUP;
    } else {
      numbers.push(value);
      value = 0;
      scale = 1;
    }
  }
  return scale === 1 ? numbers : undefined;
}

/** A number of either sign as one that is not negative: 0, -1, 1, -2, ... are 0, 1, 2, 3, ... */
function fold(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value;
}

function unfold(value: number): number {
  return value % 2 === 1 ? -(value + 1) / 2 : value / 2;
}

function isWhole({ firstOffset, nextOffset, count, minMs, maxMs }: TimeBlock): boolean {
  return nextOffset > firstOffset && count > 0 && Number.isSafeInteger(minMs) && Number.isSafeInteger(maxMs);
}
