import type { Call } from "../contract.ts";
import {
  bytesOfEvent,
  type EventPage,
  type EventPlace,
  type EventQuery,
  type EventRead,
  expiredUntilMs,
  type HeldEvent,
  type OffsetPage,
  type StreamState,
} from "../streams.ts";
import { EARLIEST, type Fetcher, LATEST, type LogPart, type TopicPart } from "./fetcher.ts";
import type { IndexKeeper } from "./index-keeper.ts";
import type { LogCache } from "./log-cache.ts";
import { isBefore, QueryPage } from "./query-page.ts";
import { type Cursor, readEvent, walkBatch } from "./record-batch.ts";
import type { TimeBlock } from "./time-index.ts";

/** After about so many events a page answers what it has, if that brings its reader further. */
const MAX_LOOKS = 65_536;

/** To read so many bytes counts as a look at one event. */
const LOOK_BYTES = 256;

/**
 * A block with no more events is read from its start: that costs less than to ask for the place.
 */
const SMALL_BLOCK_EVENTS = 512;

/**
 * A query that goes on where this gateway ended a page need not hear of what others appended in
 * this time: that was not there during all pages.
 */
const GOING_ON_MS = 50;

/** How many ends of pages are remembered. */
const MAX_ENDS = 256;

/** Behind every event of a time. */
const AFTER_ALL = Number.MAX_SAFE_INTEGER;

/** Where a stream begins and ends. */
export type StreamBounds = Pick<
  StreamState,
  "firstOffset" | "nextOffset" | "firstTimestampMs" | "lastTimestampMs"
>;

/** Reads the events of streams. Everything throws StaleTopicError and PrismError. */
export class EventReader {
  readonly #fetcher: Pick<Fetcher, "offsetAt">;
  readonly #logs: LogCache;
  readonly #indexes: IndexKeeper;
  readonly #maxLooks: number;
  /** Where pages ended last, with the ids of their topics. */
  readonly #ends = new Set<string>();

  constructor(
    fetcher: Pick<Fetcher, "offsetAt">,
    logs: LogCache,
    indexes: IndexKeeper,
    maxLooks = MAX_LOOKS,
  ) {
    this.#fetcher = fetcher;
    this.#logs = logs;
    this.#indexes = indexes;
    this.#maxLooks = maxLooks;
  }

  /** One page of a query, by time. */
  async query(
    topic: TopicPart,
    retentionMs: number,
    query: EventQuery,
    nowMs: number,
    call: Call,
  ): Promise<EventPage> {
    const goesOn = query.after !== undefined && this.#ends.delete(endOf(topic, query.after));
    const page = await this.#query(topic, retentionMs, query, nowMs, call, goesOn);
    if (page.next !== undefined) {
      this.#ends.add(endOf(topic, page.next));
      const [oldest] = this.#ends;
      if (this.#ends.size > MAX_ENDS && oldest !== undefined) {
        this.#ends.delete(oldest);
      }
    }
    return page;
  }

  async #query(
    topic: TopicPart,
    retentionMs: number,
    query: EventQuery,
    nowMs: number,
    call: Call,
    goesOn: boolean,
  ): Promise<EventPage> {
    const after = placeBefore(query, expiredUntilMs({ retentionMs }, nowMs));
    if (after.timestampMs >= query.endMs) {
      return { events: [], next: undefined };
    }
    const index = await this.#indexes.complete(topic, call, goesOn ? GOING_ON_MS : 0);
    const blocks = index
      .overlapping(after.timestampMs, query.endMs)
      .filter(({ maxMs, nextOffset }) => isBefore(after, { timestampMs: maxMs, offset: nextOffset - 1 }));
    const page = new QueryPage(query);
    let looks = 0;
    for (const [i, block] of blocks.entries()) {
      if (page.limit !== undefined && isBefore(page.limit, startOf(block))) {
        break;
      }
      const scan = new BlockScan(block, after, query, page);
      let offset = await this.#startIn(block, topic, after, call, goesOn);
      while (offset < block.nextOffset && !scan.isDone) {
        const part = await this.#logs.at(topic, offset, call);
        if (part.nextOffset <= offset) {
          // Kafka has lost the end of the log.
          break;
        }
        index.dropBefore(part.startOffset);
        scan.read(part, offset);
        offset = part.nextOffset;
        const rest = blocks[i + 1];
        const unseen = earlier(scan.isDone ? undefined : scan.seen, rest && justBefore(rest));
        // A full page has given away what lies behind its limit.
        const safe = earlier(unseen, page.limit);
        if (looks + scan.looks >= this.#maxLooks && safe !== undefined && isBefore(after, safe)) {
          page.cut(safe);
          return { events: page.events, next: { timestampMs: safe.timestampMs, offset: safe.offset } };
        }
      }
      looks += scan.looks;
    }
    const { limit } = page;
    return { events: page.events, next: limit && { timestampMs: limit.timestampMs, offset: limit.offset } };
  }

  /** One page of a read, by offset. */
  async read(
    topic: TopicPart,
    retentionMs: number,
    read: EventRead,
    nowMs: number,
    call: Call,
  ): Promise<OffsetPage> {
    const minMs = Math.max(read.minTimestampMs, expiredUntilMs({ retentionMs }, nowMs) + 1);
    const events: HeldEvent[] = [];
    let bytes = 0;
    let looks = 0;
    let next = read.offset === Infinity ? await this.#fetcher.offsetAt(topic, LATEST, call) : read.offset;
    for (let mayJump = minMs > 1; ; ) {
      const part = await this.#logs.at(topic, next, call);
      if (part.nextOffset <= next) {
        return { events, next: part.nextOffset, ended: true };
      }
      // A batch may begin with events that are gone.
      const from = Math.max(next, part.startOffset);
      let found = false;
      let stoppedAt: number | undefined;
      for (const batch of part.batches) {
        if (batch.nextOffset <= from || batch.maxMs < minMs) {
          continue;
        }
        found = true;
        stoppedAt = walkBatch(batch, from, (offset, timestampMs, record) => {
          const event = timestampMs < minMs ? undefined : readEvent(offset, timestampMs, record, read.tags);
          if (event !== undefined) {
            events.push(event);
            bytes += bytesOfEvent(event);
          }
          return events.length < read.maxEvents && bytes < read.maxBytes;
        });
        if (stoppedAt !== undefined) {
          break;
        }
      }
      next = stoppedAt === undefined ? part.nextOffset : stoppedAt + 1;
      if (!found && mayJump) {
        mayJump = false;
        // Nothing before this end is of that time, if Kafka tells of nothing.
        const offset = await this.#fetcher.offsetAt(topic, minMs, call);
        next = Math.max(next, offset === -1 ? part.endOffset : offset);
        continue;
      }
      // Events that were skipped with their batch count too: they were fetched.
      looks += Math.max(part.nextOffset - from, part.bytes / LOOK_BYTES);
      if (stoppedAt !== undefined || looks >= this.#maxLooks) {
        return { events, next, ended: false };
      }
    }
  }

  /** Where a stream begins and ends, as far as its events are visible. */
  async bounds(topic: TopicPart, retentionMs: number, nowMs: number, call: Call): Promise<StreamBounds> {
    const startOffset = await this.#fetcher.offsetAt(topic, EARLIEST, call);
    const index = await this.#indexes.complete(topic, call);
    index.dropBefore(startOffset);
    const { nextOffset } = index;
    const untilMs = expiredUntilMs({ retentionMs }, nowMs);
    const first = index.blocks.find(({ maxMs }) => maxMs > untilMs);
    const firstOffset = first?.firstOffset ?? nextOffset;
    const all = { stream: "", tags: {}, startMs: 0, endMs: Infinity, after: undefined };
    let { events, next } = await this.query(
      topic,
      retentionMs,
      { ...all, maxEvents: 1, maxBytes: 1 },
      nowMs,
      call,
    );
    while (events.length === 0 && next !== undefined) {
      const query = { ...all, after: next, maxEvents: 1, maxBytes: 1 };
      ({ events, next } = await this.query(topic, retentionMs, query, nowMs, call));
    }
    const [earliest] = events;
    if (earliest === undefined) {
      return { firstOffset: nextOffset, nextOffset, firstTimestampMs: undefined, lastTimestampMs: undefined };
    }
    const lastTimestampMs = await this.#lastMs(topic, index.blocks, call);
    return { firstOffset, nextOffset, firstTimestampMs: earliest.timestampMs, lastTimestampMs };
  }

  /**
   * The offset at which a block's events after a place begin, or an earlier one. `goesOn`: a page
   * of this very log ended at the place.
   */
  async #startIn(
    block: TimeBlock,
    topic: TopicPart,
    after: EventPlace,
    call: Call,
    goesOn: boolean,
  ): Promise<number> {
    const { firstOffset, nextOffset, minMs, latenessMs, count } = block;
    if (goesOn && latenessMs === 0 && after.offset >= firstOffset && after.offset < nextOffset) {
      // The place is that of an event, and none before it in the block is later.
      return after.offset + 1;
    }
    if (minMs >= after.timestampMs || count <= SMALL_BLOCK_EVENTS) {
      return firstOffset;
    }
    const offset = await this.#fetcher.offsetAt(topic, after.timestampMs, call);
    return Math.max(firstOffset, offset === -1 ? firstOffset : offset);
  }

  /** The greatest time. The first block may tell of events that are gone. */
  async #lastMs(topic: TopicPart, [first, ...others]: readonly TimeBlock[], call: Call): Promise<number> {
    let lastMs = 0;
    for (const { maxMs } of others) {
      lastMs = Math.max(lastMs, maxMs);
    }
    if (first === undefined || first.maxMs <= lastMs) {
      return lastMs;
    }
    if (first.nextOffset - first.firstOffset >= first.count) {
      return first.maxMs;
    }
    for (let offset = first.firstOffset; offset < first.nextOffset; ) {
      const part = await this.#logs.at(topic, offset, call);
      if (part.nextOffset <= offset) {
        break;
      }
      for (const batch of part.batches) {
        walkBatch(batch, Math.max(offset, part.startOffset), (at, timeMs) => {
          lastMs = at < first.nextOffset ? Math.max(lastMs, timeMs) : lastMs;
          return true;
        });
      }
      offset = part.nextOffset;
    }
    return lastMs;
  }
}

/** Reads the events of a block for a page. */
class BlockScan {
  readonly #block: TimeBlock;
  readonly #after: EventPlace;
  readonly #query: EventQuery;
  readonly #page: QueryPage;
  /** The greatest time so far, and the last event of this time. */
  #lastMs = -Infinity;
  #lastOffset = -1;
  /** True: no event behind is wanted. */
  isDone = false;
  /** How many events were looked at. */
  looks = 0;

  constructor(block: TimeBlock, after: EventPlace, query: EventQuery, page: QueryPage) {
    this.#block = block;
    this.#after = after;
    this.#query = query;
    this.#page = page;
  }

  /** All events of the block at this place or before were looked at. */
  get seen(): EventPlace {
    const { latenessMs } = this.#block;
    return latenessMs === 0
      ? { timestampMs: this.#lastMs, offset: this.#lastOffset }
      : { timestampMs: this.#lastMs - latenessMs - 1, offset: AFTER_ALL };
  }

  /** Reads the events of a part from an offset on. */
  read({ batches, startOffset }: LogPart, offset: number): void {
    // A batch may begin with events that are gone.
    const fromOffset = Math.max(offset, startOffset);
    for (const batch of batches) {
      if (batch.nextOffset <= fromOffset || batch.maxMs < this.#after.timestampMs) {
        continue;
      }
      walkBatch(batch, fromOffset, (at, timestampMs, record) => this.#visit(at, timestampMs, record));
      if (this.isDone) {
        return;
      }
    }
  }

  /** Answers whether the next event may be wanted too. */
  #visit(offset: number, timestampMs: number, record: Cursor): boolean {
    if (offset >= this.#block.nextOffset) {
      this.isDone = true;
      return false;
    }
    this.looks++;
    if (timestampMs >= this.#lastMs) {
      this.#lastMs = timestampMs;
      this.#lastOffset = offset;
    }
    const { endMs, tags } = this.#query;
    if (timestampMs < endMs && this.#isAhead(timestampMs, offset) && this.#isWithin(timestampMs, offset)) {
      const event = readEvent(offset, timestampMs, record, tags);
      if (event !== undefined) {
        this.#page.add(event);
      }
    }
    // No event behind this one is earlier.
    const earliestMs = this.#lastMs - this.#block.latenessMs;
    this.isDone = earliestMs >= endMs || !this.#isWithin(earliestMs, offset + 1);
    return !this.isDone;
  }

  /** Whether a place comes after that from which the query goes on. */
  #isAhead(timestampMs: number, offset: number): boolean {
    const after = this.#after;
    return timestampMs > after.timestampMs || (timestampMs === after.timestampMs && offset > after.offset);
  }

  /** Whether the page still takes an event at a place. */
  #isWithin(timestampMs: number, offset: number): boolean {
    const { limit } = this.#page;
    return (
      limit === undefined ||
      timestampMs < limit.timestampMs ||
      (timestampMs === limit.timestampMs && offset <= limit.offset)
    );
  }
}

function endOf({ id }: TopicPart, { timestampMs, offset }: EventPlace): string {
  return `${id}:${timestampMs}:${offset}`;
}

/** The place after which the wanted events come. */
function placeBefore({ startMs, after }: EventQuery, expiredMs: number): EventPlace {
  const start = { timestampMs: Math.max(startMs, expiredMs + 1), offset: -1 };
  return after === undefined || isBefore(after, start) ? start : after;
}

function startOf({ minMs, firstOffset }: TimeBlock): EventPlace {
  return { timestampMs: minMs, offset: firstOffset };
}

/** A place that every event of a block comes after. */
function justBefore({ minMs }: TimeBlock): EventPlace {
  return { timestampMs: minMs - 1, offset: AFTER_ALL };
}

function earlier(a: EventPlace | undefined, b: EventPlace | undefined): EventPlace | undefined {
  if (a === undefined || b === undefined) {
    return a ?? b;
  }
  return isBefore(a, b) ? a : b;
}
