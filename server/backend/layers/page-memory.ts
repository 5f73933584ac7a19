import { bytesOfEvent, type EventRead, type HeldEvent, hasTags, type OffsetPage } from "../streams.ts";

/** The bounds of a page that serves all readers: those of a page of a scan. */
export const READ_EVENTS = 1024;
export const READ_BYTES = 256 * 1024;

/** The most bytes that the pages of one stream keep in memory, and those of all together. */
const MAX_STREAM_BYTES = 2 * 1024 * 1024;
export const MAX_MEMORY_BYTES = 32 * 1024 * 1024;

/** A page of all events behind an offset. */
interface KnownPage {
  readonly of: StreamPages;
  /** The offset that was asked for. */
  readonly from: number;
  readonly page: OffsetPage;
  readonly bytes: number;
  /** When it was read, by `performance.now()`. */
  readonly atMs: number;
}

/** The pages of one stream that are remembered. Only {@link PageMemory} changes them. */
export class StreamPages {
  /** In the order of `from`. They may overlap. */
  readonly inOrder: KnownPage[] = [];
  /** The oldest first. */
  readonly byAge = new Set<KnownPage>();
  bytes = 0;

  /** The page that holds what is at an offset. */
  at(offset: number): OffsetPage | undefined {
    const known = this.inOrder[this.placeBehind(offset) - 1];
    return known !== undefined && offset < known.page.next ? known.page : undefined;
  }

  /** How many pages begin at this offset or before. */
  placeBehind(offset: number): number {
    let low = 0;
    let high = this.inOrder.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.inOrder[middle]?.from ?? Infinity) <= offset) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }
}

/** The last pages that were read of streams. Bounded by bytes: the oldest page goes first. */
export class PageMemory {
  readonly #byAge = new Set<KnownPage>();
  #bytes = 0;

  /** What its pages keep in memory. 0 = there is none. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Remembers a page of all events from this offset on. */
  add(of: StreamPages, from: number, page: OffsetPage): void {
    const bytes = keptBytes(page.events);
    if (bytes > MAX_STREAM_BYTES) {
      return;
    }
    const same = of.inOrder[of.placeBehind(from) - 1];
    if (same?.from === from) {
      this.#delete(same);
    }
    const known = { of, from, page, bytes, atMs: performance.now() };
    of.inOrder.splice(of.placeBehind(from), 0, known);
    of.byAge.add(known);
    of.bytes += bytes;
    this.#byAge.add(known);
    this.#bytes += bytes;
    this.#trim(of.byAge, () => of.bytes > MAX_STREAM_BYTES);
    this.#trim(this.#byAge, () => this.#bytes > MAX_MEMORY_BYTES);
  }

  /** Forgets the pages of a stream. */
  clear(of: StreamPages): void {
    this.#trim(of.byAge, () => true);
  }

  /** Forgets what was read before a moment of `performance.now()`. */
  forgetBefore(ms: number): void {
    this.#trim(this.#byAge, ({ atMs }) => atMs < ms);
  }

  /** Forgets the oldest as long as `isTooMuch`. */
  #trim(byAge: ReadonlySet<KnownPage>, isTooMuch: (oldest: KnownPage) => boolean): void {
    for (const known of byAge) {
      if (!isTooMuch(known)) {
        return;
      }
      this.#delete(known);
    }
  }

  #delete(known: KnownPage): void {
    const { of, from, bytes } = known;
    of.inOrder.splice(of.placeBehind(from) - 1, 1);
    of.byAge.delete(known);
    of.bytes -= bytes;
    this.#byAge.delete(known);
    this.#bytes -= bytes;
  }
}

/**
 * What a reader at `offset` gets of a page of all events that holds it. The page keeps to {@link
 * READ_EVENTS} and {@link READ_BYTES}.
 */
export function partOf(page: OffsetPage, offset: number, read: EventRead): OffsetPage {
  const { events, next, ended } = page;
  const { tags, minTimestampMs, maxEvents, maxBytes } = read;
  const isWhole = (events[0]?.offset ?? offset) >= offset;
  const wantsAll = minTimestampMs === 0 && Object.keys(tags).length === 0;
  if (isWhole && wantsAll && maxEvents >= READ_EVENTS && maxBytes >= READ_BYTES) {
    return page;
  }
  const wanted: HeldEvent[] = [];
  let bytes = 0;
  for (const event of events) {
    if (event.offset < offset || event.timestampMs < minTimestampMs || !hasTags(event, tags)) {
      continue;
    }
    wanted.push(event);
    bytes += bytesOfEvent(event);
    if (wanted.length >= maxEvents || bytes >= maxBytes) {
      const after = event.offset + 1;
      return { events: wanted, next: after, ended: ended && after === next };
    }
  }
  return { events: wanted, next, ended };
}

/** What events keep in memory, with all of the buffers that their payloads are parts of. */
function keptBytes(events: readonly HeldEvent[]): number {
  let bytes = 0;
  let last: ArrayBufferLike | undefined;
  for (const event of events) {
    const { buffer, length } = event.payload;
    bytes += bytesOfEvent(event) - length;
    // Those of one append mostly lie together.
    if (buffer !== last) {
      last = buffer;
      bytes += buffer.byteLength;
    }
  }
  return bytes;
}
