import { abortError, asPrismError, PrismError } from "../../errors.ts";
import {
  answerOf,
  type Backend,
  type Call,
  createCall,
  type StreamId,
  type StreamListener,
  type StreamStore,
} from "../contract.ts";
import { sumFigures } from "../figures.ts";
import { createLane, within } from "../lane.ts";
import type { EventWait, OffsetPage } from "../streams.ts";
import { PageMemory, partOf, READ_BYTES, READ_EVENTS, StreamPages } from "./page-memory.ts";
import { type TailAnswer, TailPlace, WaitingTail } from "./waiting-tail.ts";

/** The most calls that wait for events of one store; further ones fail as `overloaded`. */
const MAX_WAITING_CALLS = 16_384;

/** The most streams of which something is known though nobody waits there now. */
const MAX_QUIET_STREAMS = 4_096;

/** The most reads for calls that wait that are under way at the store. */
const MAX_READS = 64;

/**
 * How long the store is watched after the last call that waited: a reader that got events comes
 * back for the next ones.
 */
const REST_MS = 30_000;

/**
 * What was read is forgotten after this time or twice as long. A reader who comes that much later
 * reads for itself.
 */
const SWEEP_MS = 1_000;

/**
 * Adds reads that wait to a store that tells which streams changed. Nobody looks again and again.
 * Those who wait at one place share a read, and those who come a little later get what it found.
 * Other stores pass unchanged.
 *
 * `close` ends the calls that wait (`shutting_down`) before it closes the store.
 */
export function createTailsBackend(inner: Backend): Backend {
  const { streams, watchStreams, streamTails } = inner;
  if (streams === undefined || watchStreams === undefined || streamTails !== undefined) {
    return inner;
  }
  const room = new TailRoom(streams, watchStreams);
  const figures = sumFigures([inner, { figures: () => ({ waitingTails: room.calls }) }]);
  return {
    ...inner,
    ...(figures && { figures }),
    streamTails: { waitEvents: (namespace, wait, call) => room.wait(namespace, wait, call) },
    close() {
      // At once if possible, because a call that comes after this one must find the store closed.
      const busy = room.close();
      return busy === undefined ? inner.close() : busy.then(() => inner.close());
    },
  };
}

/**
 * A stream that is tailed, and what is known of it. What is known counts only until the stream
 * changes: then one look at it tells whether it is still there.
 */
class TailedStream {
  readonly namespace: string;
  readonly name: string;
  readonly places = new Map<number, TailPlace>();
  /** The places with no read: they wait for a change, or for what a look at another place finds. */
  readonly resting = new Set<TailPlace>();
  /**
   * The place of those whose read of the end is under way. It is none of `places`: who comes later
   * would hear what was appended before. `undefined` = there is no such read.
   */
  endRead: TailPlace | undefined;
  readonly pages = new StreamPages();
  /** Where it ended at the last look. */
  end: number | undefined;
  calls = 0;
  /** True: somebody came since the last sweep. */
  wasUsed = true;
  /** How often it changed. */
  #changes = 0;
  /** How often it had when it was replaced: what was read before counts no more. */
  #replacedAt = 0;
  /** How often it had when the last look began that found it. -1 = nobody has looked. */
  #lookedAt = -1;
  /** The looks that wait for their turn, and those that began after the last change. */
  #waitingLooks = 0;
  #freshLooks = 0;

  constructor(namespace: string, name: string) {
    this.namespace = namespace;
    this.name = name;
  }

  /** Whether somebody has looked since the last change. */
  get isFresh(): boolean {
    return this.#lookedAt === this.#changes;
  }

  /** Whether a look is on its way that makes it so. */
  get isLookedAt(): boolean {
    return this.#waitingLooks + this.#freshLooks > 0;
  }

  placeAt(offset: number): TailPlace {
    const place = this.places.get(offset) ?? new TailPlace(offset);
    this.places.set(offset, place);
    return place;
  }

  change(): void {
    this.#changes++;
    this.#freshLooks = 0;
  }

  replace(): void {
    this.change();
    this.#replacedAt = this.#changes;
    this.end = undefined;
  }

  /** Whether a look that began then may have seen what was there before it was replaced. */
  isOutdated(began: number): boolean {
    return began < this.#replacedAt;
  }

  queueLook(): void {
    this.#waitingLooks++;
  }

  /** Answers what {@link endLook} and {@link found} need. */
  beginLook(): number {
    this.#waitingLooks--;
    this.#freshLooks++;
    return this.#changes;
  }

  endLook(began: number): void {
    if (began === this.#changes) {
      this.#freshLooks--;
    }
  }

  /**
   * A look found that it ends here; `undefined` = not, or it is not there. False = another look
   * that began after a later change knows better.
   */
  found(began: number, end: number | undefined): boolean {
    if (began < this.#lookedAt) {
      return false;
    }
    if (began > this.#lookedAt || end !== undefined) {
      this.end = end;
    }
    this.#lookedAt = began;
    return true;
  }
}

/** The calls that wait at one store. */
class TailRoom implements StreamListener {
  readonly #store: StreamStore;
  readonly #watchStreams: (listener: StreamListener) => () => void;
  /** The reads belong to no caller: others wait for them too. */
  readonly #call = createCall();
  readonly #lane = createLane(MAX_READS);
  readonly #streams = new Map<string, TailedStream>();
  readonly #memory = new PageMemory();
  #calls = 0;
  #looks = 0;
  #stopWatching: (() => void) | undefined;
  #rest: NodeJS.Timeout | undefined;
  #sweep: NodeJS.Timeout | undefined;
  #whenIdle: (() => void) | undefined;

  constructor(store: StreamStore, watchStreams: (listener: StreamListener) => () => void) {
    this.#store = store;
    this.#watchStreams = watchStreams;
  }

  /** How many calls wait. */
  get calls(): number {
    return this.#calls;
  }

  async wait(namespace: string, wait: EventWait, call: Call): Promise<TailAnswer> {
    if (call.aborted) {
      throw abortError(call.signal);
    }
    if (this.#calls >= MAX_WAITING_CALLS) {
      throw new PrismError("overloaded", "too many calls wait for events of streams");
    }
    const id = idOf(namespace, wait.stream);
    const stream = this.#streams.get(id) ?? new TailedStream(namespace, wait.stream);
    this.#streams.set(id, stream);
    // Watched first, so that no event comes between the read and the wait.
    this.#watch();
    return new Promise((resolve, reject) => {
      const leave = () => this.#leave(stream, waiting);
      const waiting: WaitingTail = new WaitingTail(wait, call, { resolve, reject }, leave);
      stream.calls++;
      this.#calls++;
      this.#arrive(stream, stream.placeAt(wait.offset), waiting);
    });
  }

  *wanted(): Generator<StreamId, void> {
    // Also those where nobody waits just now: something is known of them.
    for (const { namespace, name: stream } of this.#streams.values()) {
      yield { namespace, stream };
    }
  }

  changed(namespace: string, name: string): void {
    const stream = this.#streams.size === 0 ? undefined : this.#streams.get(idOf(namespace, name));
    if (stream !== undefined) {
      this.#change(stream);
    }
  }

  replaced(namespace: string, name: string): void {
    const stream = this.#streams.get(idOf(namespace, name));
    if (stream !== undefined) {
      this.#replace(stream);
    }
  }

  missed(): void {
    for (const stream of this.#streams.values()) {
      this.#replace(stream);
    }
  }

  /** Ends all that wait. Resolves when no read is under way any more; `undefined` = none was. */
  close(): Promise<void> | undefined {
    this.#endAll();
    if (this.#looks === 0) {
      return undefined;
    }
    return new Promise<void>((resolve) => (this.#whenIdle = resolve)).then(() => {
      this.#whenIdle = undefined;
      this.#endAll();
    });
  }

  #endAll(): void {
    for (const stream of this.#streams.values()) {
      for (const place of [...stream.places.values(), ...(stream.endRead ? [stream.endRead] : [])]) {
        end(place, (waiting) => waiting.fail(new PrismError("shutting_down", "the store is closed")));
      }
    }
    this.#endWatch();
  }

  #arrive(stream: TailedStream, place: TailPlace, waiting: WaitingTail): void {
    place.add(waiting);
    if (!place.isRead) {
      this.#settle(stream, place);
    }
  }

  #leave(stream: TailedStream, waiting: WaitingTail): void {
    const { place } = waiting;
    if (place !== undefined) {
      place.delete(waiting);
      forgetIfLeft(stream, place);
    }
    stream.calls--;
    stream.wasUsed = true;
    this.#calls--;
    if (stream.calls === 0) {
      if (this.#streams.size > this.#calls + MAX_QUIET_STREAMS) {
        this.#forget(stream);
      }
      this.#sweepLater();
    }
    if (this.#calls === 0) {
      this.#rest ??= setTimeout(() => this.#endWatch(), REST_MS).unref();
    }
  }

  #watch(): void {
    clearTimeout(this.#rest);
    this.#rest = undefined;
    this.#stopWatching ??= this.#watchStreams(this);
  }

  /** From now on nothing is told of changes, so nothing is known any more. */
  #endWatch(): void {
    clearTimeout(this.#rest);
    clearTimeout(this.#sweep);
    this.#rest = undefined;
    this.#sweep = undefined;
    for (const stream of this.#streams.values()) {
      this.#forget(stream);
    }
    this.#stopWatching?.();
    this.#stopWatching = undefined;
  }

  #replace(stream: TailedStream): void {
    stream.replace();
    this.#memory.clear(stream.pages);
    this.#settleAll(stream);
  }

  #change(stream: TailedStream): void {
    stream.change();
    this.#settleAll(stream);
  }

  #settleAll(stream: TailedStream): void {
    for (const place of stream.resting) {
      this.#settle(stream, place);
    }
  }

  /** Answers those who wait at a place if they can be, lets them wait, or looks for events. */
  #settle(stream: TailedStream, place: TailPlace): void {
    const page = stream.pages.at(place.offset);
    const isEnd = stream.end === place.offset;
    place.isEnd = stream.isFresh && isEnd;
    if (stream.isFresh && page !== undefined) {
      answerAll(place, page);
    } else if (place.isEnd) {
      stream.resting.add(place);
      place.endLate();
    } else if (stream.isLookedAt && (isEnd || page !== undefined)) {
      stream.resting.add(place);
    } else if (asksEnd(place) && stream.endRead !== undefined) {
      stream.resting.add(place);
    } else {
      stream.resting.delete(place);
      place.isRead = true;
      void this.#look(stream, place);
    }
  }

  /** Reads the events at a place. Does not throw. */
  async #look(stream: TailedStream, place: TailPlace): Promise<void> {
    let began = -1;
    this.#looks++;
    stream.queueLook();
    try {
      const page = await within(this.#lane, undefined, () => {
        began = stream.beginLook();
        beginEndRead(stream, place);
        return this.#read(stream, place);
      });
      stream.endLook(began);
      endEndRead(stream, place);
      place.isRead = false;
      this.#found(stream, place, page, began);
    } catch (error) {
      stream.endLook(began);
      endEndRead(stream, place);
      place.isRead = false;
      // Each that comes later learns for itself how the store is.
      end(place, (waiting) => waiting.fail(asPrismError(error)));
    }
    forgetIfLeft(stream, place);
    for (const other of stream.resting) {
      this.#settle(stream, other);
    }
    this.#looks--;
    if (this.#looks === 0) {
      this.#whenIdle?.();
    }
  }

  async #read(
    { namespace, name: stream }: TailedStream,
    { offset }: TailPlace,
  ): Promise<OffsetPage | undefined> {
    const bounds = { maxEvents: READ_EVENTS, maxBytes: READ_BYTES };
    const read = { stream, offset, tags: {}, minTimestampMs: 0, ...bounds };
    const [answer] = await this.#store.readEvents(namespace, [read], this.#call);
    return answerOf(answer);
  }

  #found(stream: TailedStream, place: TailPlace, page: OffsetPage | undefined, began: number): void {
    const { offset } = place;
    if (stream.isOutdated(began)) {
      this.#lookAgain(stream, place);
      return;
    }
    if (page === undefined || (page.next < offset && !asksEnd(place))) {
      // It is not there, or it was made again and is not the one that they have read.
      if (stream.found(began, undefined)) {
        this.#memory.clear(stream.pages);
      }
      end(place, (waiting) => waiting.answer(undefined));
      return;
    }
    const { events, next, ended } = page;
    if (stream.found(began, ended ? next : undefined) && events.length > 0) {
      this.#memory.add(stream.pages, offset, page);
      this.#sweepLater();
    }
    if (asksEnd(place)) {
      end(place, (waiting) => {
        place.delete(waiting);
        this.#arrive(stream, stream.placeAt(next), waiting);
      });
    } else if (next > offset || !ended) {
      answerAll(place, page);
    } else {
      this.#lookAgain(stream, place);
    }
  }

  #lookAgain(stream: TailedStream, place: TailPlace): void {
    if (place.first !== undefined) {
      this.#settle(stream, place);
    }
  }

  #sweepLater(): void {
    this.#sweep ??= setTimeout(() => {
      this.#sweep = undefined;
      this.#memory.forgetBefore(performance.now() - SWEEP_MS);
      let isQuiet = false;
      for (const stream of this.#streams.values()) {
        if (stream.calls === 0 && !stream.wasUsed) {
          this.#forget(stream);
        }
        isQuiet ||= stream.calls === 0;
        stream.wasUsed = false;
      }
      if (this.#memory.bytes > 0 || isQuiet) {
        this.#sweepLater();
      }
    }, SWEEP_MS).unref();
  }

  #forget(stream: TailedStream): void {
    this.#memory.clear(stream.pages);
    this.#streams.delete(idOf(stream.namespace, stream.name));
  }
}

/** Takes all from a place. `take` takes one. */
function end(place: TailPlace, take: (waiting: WaitingTail) => void): void {
  for (let waiting = place.first; waiting !== undefined; waiting = place.first) {
    take(waiting);
  }
}

function answerAll(place: TailPlace, page: OffsetPage): void {
  end(place, (waiting) => waiting.answer(partOf(page, place.offset, waiting.wait)));
}

/** Forgets a place where nobody waits and no read is under way. */
function forgetIfLeft(stream: TailedStream, place: TailPlace): void {
  if (place.first === undefined && !place.isRead) {
    stream.resting.delete(place);
    removePlace(stream, place);
  }
}

function removePlace({ places }: TailedStream, place: TailPlace): void {
  if (places.get(place.offset) === place) {
    places.delete(place.offset);
  }
}

/** Whether those at a place wait at the end of the stream, wherever it is. */
function asksEnd({ offset }: TailPlace): boolean {
  return offset === Infinity;
}

function beginEndRead(stream: TailedStream, place: TailPlace): void {
  if (asksEnd(place)) {
    removePlace(stream, place);
    stream.endRead = place;
  }
}

function endEndRead(stream: TailedStream, place: TailPlace): void {
  if (stream.endRead === place) {
    stream.endRead = undefined;
  }
}

/** A namespace's name has no slash. */
function idOf(namespace: string, stream: string): string {
  return `${namespace}/${stream}`;
}
