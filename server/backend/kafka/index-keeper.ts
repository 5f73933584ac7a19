import { setTimeout as delay } from "node:timers/promises";
import { type Call, createCall, type StoreLog } from "../contract.ts";
import type { NewEvent } from "../streams.ts";
import { EARLIEST, type Fetcher, StaleTopicError, type TopicPart, untilAborted } from "./fetcher.ts";
import type { IndexStore, StoredIndex } from "./index-store.ts";
import { walkBatch } from "./record-batch.ts";
import { TimeIndex } from "./time-index.ts";

/** Of how many streams the index is kept: those used last. */
const MAX_STREAMS = 256;

/** How much is fetched at once to bring an index up to date. */
const CATCH_UP_BYTES = 4 * 1024 * 1024;

/** An index is stored when it has so many events more, and when it has changed for so long. */
const STORE_AFTER_EVENTS = 100_000;
const STORE_AFTER_MS = 10_000;

/** The longest that a store which closes waits for it. */
const CLOSE_MS = 2000;

/** The longest that a save waits to hear of one log. It stores what it has then. */
const REFRESH_MS = 1000;

/** The log of a stream with fewer events is read again after a start. */
const MIN_STORED_EVENTS = 1000;

/** A read that serves several callers ends with none of them. */
const NOBODY = createCall();

/** The index of a stream, as far as it goes. */
interface Kept {
  /** As it was when it was used last. */
  topic: TopicPart;
  index: TimeIndex;
  /**
   * The leader epoch in which the log was last known to have the index's events. In later ones it
   * may have lost some and have others there. -1 = none is known.
   */
  epoch: number;
  /** Whether what is stored was looked for, or would tell nothing. */
  isLoaded: boolean;
  /** When Kafka was last asked where the log ends, and what it said. */
  askedAtMs: number;
  endOffset: number;
  /** Up to which offset it is stored. */
  storedOffset: number;
  /** The read that brings it further. It serves all who wait. */
  step: Promise<void> | undefined;
}

/** Keeps the time indexes of the streams that were used last. */
export class IndexKeeper {
  readonly #fetcher: Pick<Fetcher, "fetch" | "offsetAt" | "endOf" | "endOfEpoch">;
  readonly #store: Pick<IndexStore, "load" | "save">;
  readonly #log: StoreLog;
  /** By the topic's id. The one used last comes last. */
  readonly #kept = new Map<string, Kept>();
  #timer: NodeJS.Timeout | undefined;
  /** The storing that is under way. */
  #storing: Promise<void> | undefined;
  /** Whether the last try to store failed. The next one is made later. */
  #isFailing = false;
  #hasFailed = false;

  constructor(
    fetcher: Pick<Fetcher, "fetch" | "offsetAt" | "endOf" | "endOfEpoch">,
    store: Pick<IndexStore, "load" | "save">,
    log: StoreLog,
  ) {
    this.#fetcher = fetcher;
    this.#store = store;
    this.#log = log;
  }

  /** Begins to store what changes. */
  open(): void {
    this.#timer = setInterval(() => this.#save(1), STORE_AFTER_MS).unref();
  }

  /** Stores what has changed, and forgets everything. It can be opened again. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    const stored = (this.#storing ?? Promise.resolve()).then(() => this.#save(1));
    const waiting = new AbortController();
    await Promise.race([stored, delay(CLOSE_MS, undefined, { signal: waiting.signal }).catch(() => {})]);
    waiting.abort();
    this.#kept.clear();
  }

  /**
   * Tells of events that this gateway has appended: what follows on the index need not be read.
   * `nowMs` is the time of events that have none.
   */
  appended(
    topic: TopicPart,
    firstOffset: number,
    events: readonly Pick<NewEvent, "timestampMs">[],
    nowMs: number,
  ): void {
    const kept = this.#kept.get(topic.id) ?? (firstOffset === 0 ? this.#keep(topic) : undefined);
    if (kept === undefined) {
      return;
    }
    kept.topic = topic;
    kept.endOffset = Math.max(kept.endOffset, firstOffset + events.length);
    if (kept.index.nextOffset !== firstOffset) {
      return;
    }
    // There is nothing before the first event, so nothing was stored.
    kept.isLoaded ||= firstOffset === 0;
    for (const [i, { timestampMs }] of events.entries()) {
      kept.index.add(firstOffset + i, timestampMs || nowMs);
    }
    this.#changed(kept);
  }

  /**
   * The index with all events that were in the stream at the call, or at most `maxAgeMs` before it
   * if others appended them. Throws as {@link Fetcher.fetch}, and the abort's error when the call
   * ends; what was read until then is kept.
   */
  async complete(topic: TopicPart, call: Call, maxAgeMs = 0): Promise<TimeIndex> {
    const kept = this.#kept.get(topic.id) ?? this.#keep(topic);
    kept.topic = topic;
    this.#used(kept);
    const endOffset = await this.#endOf(topic, kept, call, maxAgeMs);
    while (kept.index.nextOffset < endOffset) {
      kept.step ??= this.#step(topic, kept, endOffset).finally(() => {
        kept.step = undefined;
      });
      await untilAborted(kept.step, call);
    }
    return kept.index;
  }

  /** Where the log ends: behind what this gateway appended, and what others did before then. */
  async #endOf(topic: TopicPart, kept: Kept, call: Call, maxAgeMs: number): Promise<number> {
    const askedAtMs = performance.now();
    if (askedAtMs - kept.askedAtMs < maxAgeMs) {
      return kept.endOffset;
    }
    const before = kept.index.nextOffset;
    const { offset: endOffset, epoch } = await this.#fetcher.endOf(topic, call);
    if (epoch > kept.epoch) {
      await this.#follow(topic, kept, epoch, call);
    }
    if (endOffset < before) {
      // Kafka has lost the end of the log. Others may have appended there since.
      kept.index = new TimeIndex(0);
      kept.storedOffset = 0;
    }
    kept.askedAtMs = Math.max(kept.askedAtMs, askedAtMs);
    kept.endOffset = endOffset < before ? endOffset : Math.max(kept.endOffset, endOffset);
    return endOffset;
  }

  /** In a later leader epoch: forgets what the log may have lost. */
  async #follow(topic: TopicPart, kept: Kept, epoch: number, call: Call): Promise<void> {
    const { index, epoch: known } = kept;
    // Appends do not tell in which epoch they are. There was none before the first one.
    const last = known === -1 ? epoch - 1 : known;
    const isNew = index.nextOffset === 0 || last === -1;
    const endOffset = isNew ? Infinity : await this.#fetcher.endOfEpoch(topic, last, call);
    if (kept.epoch !== known) {
      return;
    }
    kept.epoch = epoch;
    if (endOffset < kept.index.nextOffset) {
      kept.index = kept.index.before(endOffset);
      kept.storedOffset = 0;
    }
  }

  #keep(topic: TopicPart): Kept {
    const kept: Kept = {
      topic,
      index: new TimeIndex(0),
      epoch: -1,
      isLoaded: false,
      askedAtMs: -Infinity,
      endOffset: 0,
      storedOffset: 0,
      step: undefined,
    };
    this.#used(kept);
    return kept;
  }

  #used(kept: Kept): void {
    this.#kept.delete(kept.topic.id);
    this.#kept.set(kept.topic.id, kept);
    const [oldest] = this.#kept.values();
    if (this.#kept.size > MAX_STREAMS && oldest !== undefined) {
      this.#kept.delete(oldest.topic.id);
    }
  }

  /** Reads on. Appends of this gateway may bring the index further meanwhile. */
  async #step(topic: TopicPart, kept: Kept, endOffset: number): Promise<void> {
    if (!kept.isLoaded && endOffset >= MIN_STORED_EVENTS) {
      await this.#load(topic, kept);
    }
    kept.isLoaded = true;
    const { index } = kept;
    const from = index.nextOffset;
    if (from >= endOffset) {
      return;
    }
    const part = await this.#fetcher.fetch(topic, from, NOBODY, CATCH_UP_BYTES);
    index.dropBefore(part.startOffset);
    if (part.nextOffset <= from) {
      throw new StaleTopicError(`the log ends at ${part.nextOffset}, before ${from}`);
    }
    if (kept.index !== index || index.nextOffset > Math.max(from, part.startOffset)) {
      return;
    }
    for (const batch of part.batches) {
      walkBatch(batch, index.nextOffset, (offset, timeMs) => {
        index.add(offset, timeMs);
        return true;
      });
    }
    index.skipTo(part.nextOffset);
    this.#changed(kept);
  }

  async #load(topic: TopicPart, kept: Kept): Promise<void> {
    const { epoch } = kept;
    let stored: StoredIndex | undefined;
    try {
      stored = await this.#store.load(topic);
    } catch (error) {
      this.#failed(error);
    }
    if (stored === undefined) {
      return;
    }
    const index = stored.index.before(await this.#fetcher.endOfEpoch(topic, stored.epoch, NOBODY));
    if (index.nextOffset > kept.index.nextOffset) {
      kept.index = index;
      kept.epoch = Math.min(epoch, kept.epoch);
      kept.storedOffset = index.nextOffset;
    }
  }

  #changed({ index, storedOffset }: Kept): void {
    if (index.nextOffset - storedOffset >= STORE_AFTER_EVENTS && !this.#isFailing) {
      void this.#save(STORE_AFTER_EVENTS);
    }
  }

  /** Stores the indexes that have so many events more than what is stored. */
  #save(minEvents: number): Promise<void> {
    this.#storing ??= this.#saveNow(minEvents).finally(() => {
      this.#storing = undefined;
    });
    return this.#storing;
  }

  async #saveNow(minEvents: number): Promise<void> {
    const changed = [...this.#kept.values()].filter(
      ({ index: { nextOffset }, storedOffset }) =>
        nextOffset >= MIN_STORED_EVENTS && nextOffset - storedOffset >= minEvents,
    );
    if (changed.length === 0) {
      return;
    }
    await Promise.all(changed.map((kept) => this.#refresh(kept)));
    const offsets = changed.map(({ index }) => index.nextOffset);
    try {
      for (const id of await this.#store.save(changed)) {
        this.#kept.delete(id);
      }
      this.#isFailing = false;
      for (const [i, kept] of changed.entries()) {
        kept.storedOffset = offsets[i] ?? 0;
      }
    } catch (error) {
      this.#isFailing = true;
      this.#failed(error);
    }
  }

  /**
   * Forgets the events that Kafka has removed or lost: no reader tells of them where nobody reads.
   * Where Kafka cannot be asked, they are forgotten later.
   */
  async #refresh(kept: Kept): Promise<void> {
    const { topic } = kept;
    const call = createCall(AbortSignal.timeout(REFRESH_MS));
    try {
      const [startOffset] = await Promise.all([
        this.#fetcher.offsetAt(topic, EARLIEST, call),
        this.#endOf(topic, kept, call, 0),
      ]);
      kept.index.dropBefore(startOffset);
    } catch {
      // The index is as right as before, and its epoch tells up to when it was.
    }
  }

  #failed(error: unknown): void {
    if (!this.#hasFailed) {
      this.#hasFailed = true;
      const message =
        "The time indexes of streams cannot be kept in Kafka; logs are read again after a start";
      this.#log.warn({ err: error }, message);
    }
  }
}
