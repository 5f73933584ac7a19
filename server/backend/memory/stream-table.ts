import type { NamePage, NameQuery } from "../contract.ts";
import { type EventAppend, type EventsAppended, type StreamConfig, streamOfAppend } from "../streams.ts";
import { EventLog } from "./event-log.ts";
import { OrderedKeys } from "./ordered-keys.ts";
import { type Place, SortedChunks } from "./sorted-chunks.ts";

/** The most chunks of events that one {@link StreamTable.reclaim} drops. */
const RECLAIM_SLICE = 256;

/** When a stream has a chunk to drop. They are in order of their times. */
interface Due {
  readonly atMs: number;
  /** Tells those of one millisecond apart. */
  readonly number: number;
  readonly stream: Stream;
}

interface Stream {
  readonly log: EventLog;
  due: Due | undefined;
}

/**
 * The streams of one namespace. An expired event is invisible at once; {@link StreamTable.reclaim}
 * frees its room later. All times are in milliseconds since 1970.
 */
export class StreamTable {
  readonly #streams = new OrderedKeys<Stream>();
  readonly #dues = new SortedChunks<Due>();
  #dueNumber = 0;

  /** The number of streams. An empty one is there until it is deleted. */
  get size(): number {
    return this.#streams.size;
  }

  /** Reads one page of the names. */
  page(query: NameQuery): NamePage {
    return this.#streams.page(query);
  }

  /** The events of a stream. `undefined` = it is not there. */
  get(name: string): EventLog | undefined {
    return this.#streams.get(name)?.log;
  }

  /** The answer, and when the stream has something to reclaim; `undefined` = never. */
  append(
    { stream: name, events, retentionMs }: EventAppend,
    nowMs: number,
  ): { readonly appended: EventsAppended; readonly dueAtMs: number | undefined } {
    const stream = this.#streams.get(name) ?? this.#make(name, streamOfAppend({ retentionMs }), nowMs);
    const appended = stream.log.append(events, nowMs);
    return { appended, dueAtMs: this.#plan(stream) };
  }

  /**
   * Makes the stream, or changes what holds for it. Answers when it has something to reclaim;
   * `undefined` = never.
   */
  create(name: string, config: StreamConfig, nowMs: number): number | undefined {
    const stream = this.#streams.get(name) ?? this.#make(name, config, nowMs);
    stream.log.config = config;
    return this.#plan(stream);
  }

  /** Whether the stream was there. */
  delete(name: string): boolean {
    const stream = this.#streams.get(name);
    if (stream === undefined) {
      return false;
    }
    this.#streams.delete(name);
    this.#unplan(stream);
    return true;
  }

  /**
   * Drops some events that are expired at `nowMs`. Answers when the next are due; `undefined` =
   * none will be.
   */
  reclaim(nowMs: number): number | undefined {
    for (let left = RECLAIM_SLICE; left > 0; ) {
      const due = this.#dues.first();
      if (due === undefined || due.atMs > nowMs) {
        break;
      }
      // At least one, because each step does something.
      left -= Math.max(due.stream.log.reclaim(nowMs, left), 1);
      this.#plan(due.stream);
    }
    return this.#dues.first()?.atMs;
  }

  #make(name: string, config: StreamConfig, nowMs: number): Stream {
    const stream = { log: new EventLog(config, nowMs), due: undefined };
    this.#streams.add(name, stream);
    return stream;
  }

  #plan(stream: Stream): number | undefined {
    const atMs = stream.log.expiresAtMs;
    if (atMs !== stream.due?.atMs) {
      this.#unplan(stream);
      if (atMs !== undefined) {
        const due = { atMs, number: ++this.#dueNumber, stream };
        stream.due = due;
        this.#dues.add(due, placeOfDue(due));
      }
    }
    return atMs;
  }

  #unplan(stream: Stream): void {
    if (stream.due !== undefined) {
      this.#dues.remove(placeOfDue(stream.due));
      stream.due = undefined;
    }
  }
}

function placeOfDue({ atMs, number }: Due): Place<Due> {
  return (due) => due.atMs - atMs || due.number - number;
}
