import { PrismError } from "../errors.ts";
import { isRefusalReason, type RefusalReason } from "../reasons.ts";
import type { Commit, CommitAnswer, HeldEntry, Read } from "./commit.ts";
import type { Figures } from "./figures.ts";
import type {
  ListInsert,
  ListInsertAnswer,
  ListMove,
  ListPage,
  ListPlace,
  ListPop,
  ListPush,
  ListPut,
  ListPutAnswer,
  ListRange,
  ListRemove,
  ListSlice,
  ListWait,
} from "./lists.ts";
import type {
  HeldItem,
  ItemPage,
  ItemRange,
  ItemSwap,
  ItemsDelete,
  ItemsDeleted,
  ItemsRead,
  RecordPut,
  SwapAnswer,
} from "./records.ts";
import type { StoreReason } from "./store-errors.ts";
import type {
  EventAppend,
  EventPage,
  EventQuery,
  EventRead,
  EventsAppended,
  EventWait,
  OffsetPage,
  StreamCreate,
  StreamState,
} from "./streams.ts";
import type { Values } from "./values.ts";

/**
 * The contract between a store and the rest of Prism. Rooms (`memory/`, `sqlite/`, ...) implement
 * it and import nothing else of the server. Handlers call it and know no store.
 *
 * - Batch first: every call takes many keys or mutations and answers in their order. One key is a
 *   batch of one.
 * - A write of several items takes effect whole or not at all, as far as the store's {@link
 *   Atomicity} reaches. A call with `each` is the exception. A write that took effect for some keys
 *   only and then failed rejects as `outcome_unknown`.
 * - Not found is `undefined` or `false`, never an error.
 * - A {@link Refusal} is an answer too: its item had no effect, and the store is not at fault. When
 *   one item of an atomic write is refused, every item gets that refusal.
 * - Errors are {@link PrismError}s of a closed set of reasons. An error means that the store
 *   failed, and the whole call with it.
 * - Keys are well-formed strings of 1 to MAX_KEY_BYTES bytes of UTF-8, ordered by those bytes.
 * - Entries, lists, records and streams are separate key spaces of a namespace. Namespaces never
 *   see each other's data.
 * - An expired entry is invisible to every call from that moment on.
 * - A store copies each value that it keeps: the bytes it was handed are a view of a request
 *   buffer. Callers may read a value that a store hands out, but not change it.
 */

/** What every call to a store carries. */
export interface Call {
  /** The caller went away or the deadline passed. Work that has not begun is dropped. */
  readonly aborted: boolean;
  /**
   * Aborts when `aborted` becomes true. The first read creates it, so a store that answers at once
   * reads only `aborted`.
   */
  readonly signal: AbortSignal;
  /**
   * When the deadline passes, on the clock of `performance.now()`. Absent = no deadline is known.
   */
  readonly deadlineMs?: number | undefined;
  /**
   * The events of `signal` without creating it: creating it costs as much as half a call to a
   * plugin. Absent = use `signal`.
   */
  readonly events?: AbortEvents | undefined;
  /**
   * Counts this call as a user of `use` until the call is over; does nothing if it is over already.
   * Absent = nobody counts this call.
   */
  hold?(use: CallUse): void;
  /**
   * The call may touch only keys that start with one of these. Absent = all keys. It holds when the
   * call is routed to a store, so stores never look at it.
   */
  keyPrefixes?: readonly string[] | undefined;
  /** The trace that the call is a part of. Absent = none: it has no caller, or several. */
  readonly trace?: CallTrace | undefined;
  /**
   * True: the items come from several callers. Each item takes effect, or is refused, on its own.
   */
  readonly each?: boolean;
}

/** What a call knows of its trace. */
export interface CallTrace {
  /**
   * The header for a call that is made on its behalf (w3.org/TR/trace-context). `undefined` = it
   * belongs to no trace.
   */
  readonly traceparent: string | undefined;
  /** The header that goes with it. `undefined` = none. */
  readonly tracestate: string | undefined;
  /** Hears where the call's time goes. `undefined` = nobody wants to know, as for most calls. */
  readonly times: PartTimer | undefined;
}

/** Hears of each part of a call when it begins. */
export interface PartTimer {
  /** A call of a store, its waits included. */
  store(operation: StoreOperation): PartOfCall;
  /** A wait for the turn at a store. */
  queue(): PartOfCall;
}

/** A part of a call that has begun. */
export interface PartOfCall {
  end(): void;
}

/** A method of the contract and the type of its store. */
export interface StoreOperation {
  readonly store: string;
  readonly method: string;
}

/** Something that counts the calls that use it. It may end them. */
export interface CallUse {
  begin(call: EndableCall): void;
  end(call: EndableCall): void;
}

/** A call that somebody else than its caller can end. */
export interface EndableCall {
  /** Ends the call with this error; only the first one counts. */
  abort(reason: PrismError): void;
}

/** The part of AbortSignal that stores use. */
export interface AbortEvents {
  /** True: it aborts when the deadline passes, so nobody else needs a timer. */
  readonly keepsDeadline?: boolean;
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(type: "abort", listener: { handleEvent(): void }): void;
  removeEventListener(type: "abort", listener: { handleEvent(): void }): void;
}

/** A call that ends when `signal` aborts. Without a signal it never ends. */
export function createCall(signal: AbortSignal = new AbortController().signal): Call {
  return {
    signal,
    get aborted() {
      return signal.aborted;
    },
  };
}

/**
 * The answer for an item that had no effect or cannot be read, with the reason. Not an Error:
 * nobody needs its stack. The reason is one of a store that failed ({@link StoreReason}) where the
 * part that has the item is away and others are not; only as `outcome_unknown` the item may have
 * had an effect.
 */
export class Refusal {
  readonly reason: RefusalReason | StoreReason;
  /** For the caller of the API, like the message of a {@link PrismError}. */
  readonly message: string;
  /** The request field that is at fault, in the proto's spelling. */
  readonly field: string | undefined;
  /** For the log only. */
  readonly cause: unknown;

  constructor(
    reason: RefusalReason | StoreReason,
    message: string,
    { field, cause }: { readonly field?: string | undefined; readonly cause?: unknown } = {},
  ) {
    this.reason = reason;
    this.message = message;
    this.field = field;
    this.cause = cause;
  }
}

/**
 * One answer for each item of a call, in the order of the items. `undefined` = the item is absent.
 */
export type Answers<T> = readonly (T | Refusal)[];

/** Whether an item was refused. */
export function isRefusal(answer: unknown): answer is Refusal {
  return answer instanceof Refusal;
}

/** Gives an item's answer back. Throws a refusal as {@link PrismError}. */
export function answerOf<T>(answer: T | Refusal): T {
  if (isRefusal(answer)) {
    const { reason, message, field, cause } = answer;
    throw new PrismError(reason, message, { cause, ...(field !== undefined && { field }) });
  }
  return answer;
}

/**
 * The refusal that a failed call means for its items. `undefined` = the store failed, or the whole
 * call did.
 */
export function refusalOf(error: unknown): Refusal | undefined {
  if (!(error instanceof PrismError)) {
    return undefined;
  }
  const { reason, message, field, cause } = error;
  return isRefusalReason(reason) ? new Refusal(reason, message, { field, cause }) : undefined;
}

/** One entry to write. */
export interface EntryWrite {
  readonly key: string;
  /** May be empty: 0 bytes is a value like any other. */
  readonly value: Uint8Array;
  /**
   * Milliseconds from now until the entry expires, by the store's own clock; 0 = never. Replaces an
   * older expiry. A store that counts in larger units may keep it up to one unit longer.
   */
  readonly ttlMs: number;
}

/** Flat key -> value. */
export interface EntryStore {
  /** The values; `undefined` where there is no entry. */
  get(namespace: string, keys: readonly string[], call: Call): Promise<Answers<Uint8Array | undefined>>;
  /** Whether each key holds a value (an empty one included). */
  exists(namespace: string, keys: readonly string[], call: Call): Promise<Answers<boolean>>;
  /**
   * Writes; the later of two writes to one key wins. `undefined` = no item was refused, so nobody
   * has to look at the answers.
   */
  set(namespace: string, entries: readonly EntryWrite[], call: Call): Promise<Answers<undefined> | undefined>;
  /**
   * Deletes; tells for each key whether it held a value. When one key comes twice, only the first
   * delete finds it.
   */
  delete(namespace: string, keys: readonly string[], call: Call): Promise<Answers<boolean>>;
}

/** Conditional writes of entries, and reads of several entries at one moment. */
export interface CommitStore {
  /**
   * Reads the keys of each item at one moment. Answers the entries in the order of its keys;
   * `undefined` where there is none.
   */
  read(
    namespace: string,
    reads: readonly Read[],
    call: Call,
  ): Promise<Answers<readonly (HeldEntry | undefined)[]>>;
  /**
   * Makes commits, in their order. Unlike other writes, each takes effect or not on its own, with
   * or without `each` in the call: a refused one has no effect and undoes no other.
   */
  commit(namespace: string, commits: readonly Commit[], call: Call): Promise<Answers<CommitAnswer>>;
}

/** The keys that a scan reads, and in which order. It reads the keys that keep all bounds. */
export interface ScanRange {
  /** Keys that start with this; "" = all. */
  readonly prefix: string;
  /** Only this key and greater ones. Absent = from the least. */
  readonly start?: string | undefined;
  /** Only keys less than this. At or before `start`: none. Absent = to the greatest. */
  readonly end?: string | undefined;
  /** True: the greatest key comes first. Absent = the least. */
  readonly reverse?: boolean;
}

/** One step of a scan. */
export interface PageQuery extends ScanRange {
  /** Only keys that come after this one in the order of the scan. `undefined` = from the first. */
  readonly after: string | undefined;
  /** Most entries wanted, 1 or more. */
  readonly maxEntries: number;
  /** The page ends with the entry that brings keys and values to this many bytes or more. */
  readonly maxBytes: number;
  /** True leaves `values` empty. */
  readonly keysOnly: boolean;
  /**
   * The store may leave out values of more bytes than this (see `later` in {@link Page}). The page
   * holds the same entries either way. Absent = no value may be left out.
   */
  readonly inlineBytes?: number;
  /** True asks for `ttlsMs` of the {@link Page}. Absent = it is left out. */
  readonly withTtls?: boolean;
}

/** One page of a scan, in byte order of the keys: ascending, or descending if `reverse` is set. */
export interface Page {
  readonly keys: string[];
  /** As long as `keys`, or empty where only keys were asked for. */
  readonly values: Values;
  /**
   * The values that were left out: place in `values` -> size in bytes. `values` is empty there.
   * Absent = none.
   */
  readonly later?: ReadonlyMap<number, number>;
  /**
   * The time to live of each entry, in milliseconds, at the moment at which its value was read; 0 =
   * it never expires. Absent = nobody asked, or the store does not tell with a page: then each
   * entry has to be read again.
   */
  readonly ttlsMs?: Float64Array;
  /**
   * The `after` of the next page. `undefined` = this is the last page. A page may be empty without
   * being the last.
   */
  readonly next: string | undefined;
}

/** Ordered reads over the entries. */
export interface ScanStore {
  /**
   * Reads one page. Our stores keep nothing between pages, so a slow reader costs nothing; of a
   * plugin a bounded number of scans stay open. An entry that exists during the whole scan is in
   * exactly one page. An entry written or deleted meanwhile may be in one page or in none.
   *
   * A plugin may know prefixes in ascending order only. Then other ranges throw {@link PrismError}
   * `interface_unsupported`.
   */
  scanPage(namespace: string, query: PageQuery, call: Call): Promise<Page>;
  /** The exact number of unexpired entries whose key starts with `prefix`. */
  count(namespace: string, prefix: string, call: Call): Promise<number>;
}

/** One step of reading which lists or records there are. */
export interface NameQuery extends Omit<ScanRange, "reverse"> {
  /** Only names that come after this one. `undefined` = from the first. */
  readonly after: string | undefined;
  /** Most names wanted, 1 or more. */
  readonly maxNames: number;
}

/** Some of the names in a range, in ascending byte order. */
export interface NamePage {
  readonly names: readonly string[];
  /**
   * The `after` of the next page. `undefined` = this is the last page. A page may be empty without
   * being the last.
   */
  readonly next: string | undefined;
}

/** Which lists there are. */
export interface ListNameStore {
  /**
   * Reads one page of the keys of lists. It costs what it holds. A list that exists during all
   * pages is in exactly one of them.
   */
  pageNames(namespace: string, query: NameQuery, call: Call): Promise<NamePage>;
}

/** Which records there are. */
export interface RecordIdStore {
  /** Reads one page of the ids of records, as {@link ListNameStore.pageNames}. */
  pageIds(namespace: string, query: NameQuery, call: Call): Promise<NamePage>;
}

/**
 * Double-ended queues. Every operation is as fast on a list of a million as on a list of ten. A
 * plugin's operations are as fast as the plugin makes them.
 */
export interface ListStore {
  /**
   * Adds values to each list in order. Answers each list's length after that push. The first push
   * creates the list.
   */
  push(namespace: string, pushes: readonly ListPush[], call: Call): Promise<Answers<number>>;
  /**
   * Takes values off; `undefined` where the list is empty or absent. An emptied list no longer
   * exists.
   */
  pop(namespace: string, pops: readonly ListPop[], call: Call): Promise<Answers<Uint8Array | undefined>>;
  /** Lengths; 0 for an absent list. */
  length(namespace: string, keys: readonly string[], call: Call): Promise<Answers<number>>;
}

/** Ids that hold sorted items. They share no key space with entries and lists. */
export interface RecordStore {
  /** Writes items. The later of two puts of one item wins. `undefined` = no put was refused. */
  putItems(
    namespace: string,
    puts: readonly RecordPut[],
    call: Call,
  ): Promise<Answers<undefined> | undefined>;
  /** The items in the order of each read's keys; `undefined` where there is none. */
  getItems(
    namespace: string,
    reads: readonly ItemsRead[],
    call: Call,
  ): Promise<Answers<readonly (HeldItem | undefined)[]>>;
  /**
   * One page of each range. Stores keep nothing between pages. An item that exists during all pages
   * is in exactly one of them.
   */
  pageItems(namespace: string, ranges: readonly ItemRange[], call: Call): Promise<Answers<ItemPage>>;
  /** Deletes items. When one item comes twice, only the first delete counts it. */
  deleteItems(namespace: string, deletes: readonly ItemsDelete[], call: Call): Promise<Answers<ItemsDeleted>>;
  /** Compares and swaps items, in order: each swap sees the earlier ones. */
  swapItem(namespace: string, swaps: readonly ItemSwap[], call: Call): Promise<Answers<SwapAnswer>>;
}

/** Ranges of lists. */
export interface ListRangeStore {
  /**
   * Reads one page of each range. Nothing is kept between pages, so a slow reader costs nothing. A
   * change between two pages moves values: those that come to the left of the next page are left
   * out, and those that leave it to the right come twice.
   */
  slice(namespace: string, slices: readonly ListSlice[], call: Call): Promise<Answers<ListPage>>;
  /** Removes what is outside of each range. Answers each list's length then; 0 = it is gone. */
  trim(namespace: string, ranges: readonly ListRange[], call: Call): Promise<Answers<number>>;
}

/**
 * Places and values within lists. `insert` and `remove` can take time in proportion to the list.
 */
export interface ListIndexStore {
  /** The value in each place; `undefined` where there is none. */
  at(namespace: string, places: readonly ListPlace[], call: Call): Promise<Answers<Uint8Array | undefined>>;
  /** Replaces values. */
  put(namespace: string, puts: readonly ListPut[], call: Call): Promise<Answers<ListPutAnswer>>;
  /** Inserts values. An absent list stays absent. */
  insert(namespace: string, inserts: readonly ListInsert[], call: Call): Promise<Answers<ListInsertAnswer>>;
  /** Removes values. Answers how many. An emptied list is gone. */
  remove(namespace: string, removes: readonly ListRemove[], call: Call): Promise<Answers<number>>;
}

/** Moves between lists, as LMOVE of Redis. */
export interface ListMoveStore {
  /**
   * Moves values. Nobody sees a value in both lists or in none. Answers each value; `undefined`
   * where the source is absent, and then nothing is done.
   */
  move(namespace: string, moves: readonly ListMove[], call: Call): Promise<Answers<Uint8Array | undefined>>;
}

/** Pops that wait for a value. */
export interface ListBlockingStore {
  /**
   * Takes a value off a list. While the list is empty it waits, and the longest waiting of a
   * gateway gets the next value. Answers `undefined` when `waitMs` have passed. A call that aborts
   * takes no value: one that was on its way goes to the next who waits, or back to the list.
   */
  blockingPop(namespace: string, wait: ListWait, call: Call): Promise<Uint8Array | undefined>;
}

/**
 * Streams of events. A stream is one sequence: its events have the offsets 0, 1, 2, ... An event
 * that is older than the retention of its stream is invisible to every call from that moment on,
 * and the store gives its space back by itself.
 */
export interface StreamStore {
  /**
   * Appends events. Those of an append get offsets one after the other. Makes the stream if it is
   * not there. A reader that sees an offset sees every smaller one, also on another gateway.
   */
  appendEvents(
    namespace: string,
    appends: readonly EventAppend[],
    call: Call,
  ): Promise<Answers<EventsAppended>>;
  /**
   * One page of each query, by time. Nothing is kept between pages. An event that is there during
   * all pages is in exactly one of them. `undefined` = there is no such stream.
   */
  queryEvents(
    namespace: string,
    queries: readonly EventQuery[],
    call: Call,
  ): Promise<Answers<EventPage | undefined>>;
  /** One page of each read, by offset. `undefined` = there is no such stream. */
  readEvents(
    namespace: string,
    reads: readonly EventRead[],
    call: Call,
  ): Promise<Answers<OffsetPage | undefined>>;
  /**
   * Makes streams, or changes the retention of those that are there. Refuses as `stream_differs`
   * what `decideStream` refuses.
   */
  createStream(namespace: string, creates: readonly StreamCreate[], call: Call): Promise<Answers<undefined>>;
  /** What the streams are; `undefined` where there is none. */
  describeStream(
    namespace: string,
    streams: readonly string[],
    call: Call,
  ): Promise<Answers<StreamState | undefined>>;
  /**
   * Deletes streams with their events; tells for each whether it was there. Its events are
   * invisible at once, and their space is given back later.
   */
  deleteStream(namespace: string, streams: readonly string[], call: Call): Promise<Answers<boolean>>;
}

/** Which streams there are. */
export interface StreamNameStore {
  /** Reads one page of the names of streams, as {@link ListNameStore.pageNames}. */
  pageStreams(namespace: string, query: NameQuery, call: Call): Promise<NamePage>;
}

/** Reads that wait for events. */
export interface StreamTailStore {
  /**
   * One page of a read, by offset. At the end of the stream it waits until there is more. Answers a
   * page that may be empty, and always goes on at its `next`; `undefined` = there is no such
   * stream, or it was deleted. Readers that wait at one place cost one read of the store together.
   */
  waitEvents(namespace: string, wait: EventWait, call: Call): Promise<OffsetPage | undefined>;
}

/** A stream and its namespace. */
export interface StreamId {
  readonly namespace: string;
  readonly stream: string;
}

/** Hears which streams have changed. */
export interface StreamListener {
  /**
   * The streams of which it wants to hear now. A store that cannot hear of all streams asks this
   * again and again, and says `changed` of each that it begins to watch.
   */
  wanted(): Iterable<StreamId>;
  /** A stream has got events. Also told when that may only be so. */
  changed(namespace: string, stream: string): void;
  /**
   * A stream was deleted, or holds for another time: what was read of it before tells nothing any
   * more. Also told when that may only be so.
   */
  replaced(namespace: string, stream: string): void;
  /** All of it may have happened to any stream without being told. From now on it is told. */
  missed(): void;
}

/** Hears which lists have got a value. */
export interface FilledListener {
  /** A list that was empty has got a value. Also told when that may only be so. */
  filled(namespace: string, key: string): void;
  /** Lists may have been filled without being told. From now on they are told. */
  missed(): void;
}

/**
 * The interfaces of a store. A present interface declares the capability; a store without it leaves
 * it out.
 */
export interface Interfaces {
  readonly entries?: EntryStore;
  /** Only with `entries`, whose keys it shares. */
  readonly commits?: CommitStore;
  readonly scans?: ScanStore;
  readonly lists?: ListStore;
  /** Only with `lists`, whose keys it shares. So are the next three, and `listNames`. */
  readonly listRanges?: ListRangeStore;
  readonly listIndexes?: ListIndexStore;
  readonly listMoves?: ListMoveStore;
  readonly listNames?: ListNameStore;
  readonly records?: RecordStore;
  /** Only with `records`. */
  readonly recordIds?: RecordIdStore;
  /** Stores with `watchFilled` get it from a layer. */
  readonly listBlocking?: ListBlockingStore;
  readonly streams?: StreamStore;
  /** Only with `streams`. */
  readonly streamNames?: StreamNameStore;
  /** Stores with `streams` and `watchStreams` get it from a layer. */
  readonly streamTails?: StreamTailStore;
}

/**
 * How far a write of several keys is atomic: "namespace" = the whole write; "shard" = the keys
 * within one shard of the store; "key" = each key alone. The narrowest comes last.
 */
export const ATOMICITIES = ["namespace", "shard", "key"] as const;

/** One of {@link ATOMICITIES}. */
export type Atomicity = (typeof ATOMICITIES)[number];

/** One step of removing all that a namespace holds. */
export interface EraseStep {
  /** What the step before answered. `undefined` = this is the first one. */
  readonly after: string | undefined;
  /**
   * About how many entries, values of lists and items of records it removes together. It may be
   * fewer if they are large, and a store that can remove all at once does so.
   */
  readonly maxItems: number;
}

/** A store and its life: `open` once, calls, `close` once. */
export interface Backend extends Interfaces {
  /** The room's name, which is the `type` in the configuration. */
  readonly type: string;
  readonly atomic: Atomicity;
  /** The shard that holds a key. Present if `atomic` is "shard". */
  readonly shardOf?: (key: string) => number;
  /**
   * True: counting all entries of a namespace takes little time, however many there are. Only with
   * `entries` and `scans`.
   */
  readonly countsCheaply?: true;
  /**
   * Tells of each list that was empty and gets a value, whichever gateway pushed it. A store that
   * cannot tell at once says `missed` as soon as it can, and then each time when it may have missed
   * some. Answers a function that ends it. Absent = the store cannot tell.
   */
  readonly watchFilled?: (listener: FilledListener) => () => void;
  /**
   * Tells of each stream that changes, whichever gateway did it, as
   * `watchFilled`. Answers a function that ends it. Absent = the store cannot tell.
   */
  readonly watchStreams?: (listener: StreamListener) => () => void;
  /**
   * True: how long its streams keep events, and what becomes of late ones, is said where they are
   * kept, so a namespace cannot say it. Absent = a namespace can.
   */
  readonly ownsStreamRules?: true;
  /**
   * The interfaces that it has here and whose calls it refuses, because what is behind it lacks
   * them. Absent = none.
   */
  readonly lacks?: () => ReadonlySet<keyof Interfaces>;
  /**
   * Removes some of what a namespace holds, expired things too. Answers the `after` of the next
   * step; `undefined` = nothing is left of what was there at the first one. What is written
   * meanwhile goes too or stays. Versions of entries go on growing. A step may be made again after
   * any failure, and all of them at any time. `eraseAll` makes them all.
   *
   * Absent = the store cannot.
   */
  readonly erase?: (namespace: string, step: EraseStep, call: Call) => Promise<string | undefined>;
  /**
   * What the store and its layers count of themselves now. It asks no server, and it may be called
   * at any time, also while the store is closed. Absent = it counts nothing.
   */
  readonly figures?: () => Figures;
  /**
   * Makes the store ready. Throws {@link PrismError} `store_unavailable` or `corrupt_data`. A store
   * that can be away for a while throws StartError when waiting does not help.
   */
  open(): Promise<void>;
  /**
   * Resolves if the store can answer now; otherwise throws {@link PrismError}. ReadOnlyError = it
   * takes no writes, but it reads.
   */
  check(): Promise<void>;
  /**
   * Releases everything that `open` took. Acknowledged writes are durable, if the store is durable.
   */
  close(): Promise<void>;
}

/**
 * Whether the store promises that a write of these keys takes effect whole or not at all. One key
 * always does.
 */
export function keepsWhole(
  { atomic, shardOf }: Pick<Backend, "atomic" | "shardOf">,
  keys: readonly string[],
): boolean {
  if (atomic === "namespace") {
    return true;
  }
  const apart = atomic === "shard" && shardOf !== undefined ? keys.map(shardOf) : keys;
  return new Set<unknown>(apart).size <= 1;
}

/** Where a store reports what no call shows. A pino Logger fits. */
export interface StoreLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Drops every report. */
export const SILENT: StoreLog = { info() {}, warn() {}, error() {} };
