import {
  type Check,
  type Commit,
  type CommitAnswer,
  type HeldEntry,
  keysOfCommit,
  type Mutation,
  type Read,
} from "./commit.ts";
import type { Answers, Call, EntryWrite, Interfaces, NameQuery, PageQuery, ScanRange } from "./contract.ts";
import type { ListInsert, ListMove, ListPage, ListPush, ListPut, ListRemove, ListWait } from "./lists.ts";
import {
  bytesOfItem,
  type HeldItem,
  type ItemPage,
  type ItemRange,
  type ItemSwap,
  type ItemsDelete,
  type ItemsRead,
  type ItemWrite,
  type RecordPut,
  type SwapAnswer,
} from "./records.ts";

import {
  AROUND_EVENT_BYTES,
  bytesOfEvents,
  type EventAppend,
  type EventPage,
  type EventWait,
  type OffsetPage,
} from "./streams.ts";

/**
 * The calls of the contract as data: one row for each method of each interface. The layers,
 * SQLite's writer, the room of plugins and the tests derive from these rows, so a new call is
 * stated once. A method without a row does not compile.
 */

/** A method that takes items and answers each in its place. `undefined` = no item has an answer. */
export type ItemsMethod<Item, Answer> = (
  namespace: string,
  items: readonly Item[],
  call: Call,
) => Promise<Answers<Answer> | undefined>;

/** What the layers know of a method whose items are about keys. */
export type ItemsRow<Item, Answer> = ItemsFacts<Item, Answer> & (OneKey | SeveralKeys<Item>);

/** Each item has one key. */
interface OneKey {
  readonly keys: "one";
  readonly keysOf?: undefined;
}

/** An item can have several keys. They must lie together in a store. */
interface SeveralKeys<Item> {
  readonly keys: "several";
  /** All keys of an item. */
  keysOf(item: Item): readonly string[];
}

interface ItemsFacts<Item, Answer> {
  readonly takes: "items";
  /** False: it changes nothing, so two such calls on one key may swap. */
  readonly writes: boolean;
  /** The key of an item; of an item with several keys, the first. */
  keyOf(item: Item): string;
  /**
   * The bytes that a waiting item holds. Keys count by their UTF-16 length, which is close enough
   * for a bound.
   */
  bytesOf(item: Item): number;
  /** The bytes of an answer. Absent = almost none. */
  answerBytesOf?(answer: Answer): number;
  /**
   * Copies an item so that it outlives the request's buffer. Absent = items share nothing with it.
   */
  kept?(item: Item): Item;
}

/** What the layers know of a method about a range of keys. */
export interface RangeRow<Argument> {
  readonly takes: "range";
  readonly writes: boolean;
  /** The keys that it touches: none outside of this range. */
  rangeOf(argument: Argument): ScanRange;
}

/** What the layers know of a method that waits. It can last for minutes, so none waits for it. */
export interface WaitRow<Argument> {
  readonly takes: "wait";
  readonly writes: boolean;
  /** The only key that it touches. */
  keyOf(argument: Argument): string;
}

/** The name of an interface. */
export type Interface = keyof Interfaces;

/** The keys that an interface is about: each of these has its own. */
export type KeySpace = "entries" | "lists" | "records" | "streams";

/** The key space of each interface. Calls on one key keep their order within a key space. */
export const KEY_SPACE_OF: Readonly<Record<Interface, KeySpace>> = {
  entries: "entries",
  commits: "entries",
  scans: "entries",
  lists: "lists",
  listRanges: "lists",
  listIndexes: "lists",
  listMoves: "lists",
  listNames: "lists",
  records: "records",
  recordIds: "records",
  listBlocking: "lists",
  streams: "streams",
  streamNames: "streams",
  streamTails: "streams",
};

/** What messages call each interface. */
export const INTERFACE_NAMES: Readonly<Record<Interface, string>> = {
  entries: "key-value interface",
  commits: "interface for transactions, counters and times to live",
  scans: "scan interface",
  lists: "list interface",
  listRanges: "list range interface",
  listIndexes: "list indexing interface",
  listMoves: "list move interface",
  listNames: "interface for the names of lists",
  records: "record interface",
  recordIds: "interface for the ids of records",
  listBlocking: "list blocking interface",
  streams: "interface for streams of events",
  streamNames: "interface for the names of streams",
  streamTails: "interface for tails of streams",
};

/** Interfaces without a service of their own: their calls come with the service of another. */
export const SERVED_WITH: Readonly<Partial<Record<Interface, Interface>>> = {
  streamNames: "streams",
  streamTails: "streams",
};

/** Each interface, with its methods. */
export type Stores = Required<Interfaces>;

/** The type of the row that a method must have. */
type RowOf<Method> =
  Method extends ItemsMethod<infer Item, infer Answer>
    ? ItemsRow<Item, Answer>
    : Method extends (namespace: string, argument: infer Argument, call: Call) => unknown
      ? RangeRow<Argument> | WaitRow<Argument>
      : never;

/** A row for each method of each interface. */
export type OperationTable = {
  readonly [I in Interface]: { readonly [M in keyof Stores[I]]: RowOf<Stores[I][M]> };
};

const itself = (key: string) => key;
const keyOf = ({ key }: { readonly key: string }) => key;
const bytesOfKey = (key: string) => key.length;
const bytesOfValue = (value: Uint8Array | undefined) => value?.length ?? 0;

const READ_KEY = {
  takes: "items",
  writes: false,
  keys: "one",
  keyOf: itself,
  bytesOf: bytesOfKey,
} as const;
const WRITE_KEY = { ...READ_KEY, writes: true } as const;

/** A write of a value to one key. */
const writeValue = <Item extends { readonly key: string; readonly value: Uint8Array }>() =>
  ({
    takes: "items",
    writes: true,
    keys: "one",
    keyOf,
    bytesOf: ({ key, value }: Item) => key.length + value.length,
    kept: (item: Item): Item => ({ ...item, value: Buffer.from(item.value) }),
  }) as const;

const ofCommit = {
  takes: "items",
  writes: true,
  keys: "several",
  keyOf: (commit: Commit) => keysOfCommit(commit)[0] ?? "",
  keysOf: keysOfCommit,
  bytesOf: ({ checks, mutations }: Commit) => bytesOfParts(checks) + bytesOfParts(mutations),
  answerBytesOf: (answer: CommitAnswer) =>
    answer.committed ? 0 : bytesOfEntries(answer.failed.map(({ held }) => held)),
  kept: ({ checks, mutations, tells }: Commit): Commit => ({
    checks: checks.map(keptPart),
    mutations: mutations.map(keptPart),
    tells,
  }),
} as const;

function bytesOfParts(parts: readonly (Check | Mutation)[]): number {
  let bytes = 0;
  for (const part of parts) {
    bytes += part.key.length + ("value" in part ? part.value.length : 0);
  }
  return bytes;
}

function keptPart<Part extends Check | Mutation>(part: Part): Part {
  return "value" in part ? { ...part, value: Buffer.from(part.value) } : part;
}

function bytesOfEntries(entries: readonly (HeldEntry | undefined)[]): number {
  let bytes = 0;
  for (const entry of entries) {
    bytes += entry?.value.length ?? 0;
  }
  return bytes;
}

const bytesOfKeyOf = ({ key }: { readonly key: string }) => key.length;

function bytesOfPage({ values }: ListPage): number {
  let bytes = 0;
  for (let i = 0; i < values.length; i++) {
    bytes += values.bytesOf(i);
  }
  return bytes;
}

const idOf = ({ id }: { readonly id: string }) => id;
const bytesOfId = ({ id }: { readonly id: string }) => id.length;

function bytesOfKeys(keys: readonly Uint8Array[]): number {
  return keys.reduce((bytes, key) => bytes + key.length, 0);
}

function bytesOfItems(items: readonly (ItemWrite | undefined)[]): number {
  return items.reduce((bytes, item) => bytes + (item === undefined ? 0 : bytesOfItem(item)), 0);
}

/** A copy that shares no memory with a request. */
function keptBytes(bytes: Uint8Array | undefined): Uint8Array | undefined {
  return bytes && Buffer.from(bytes);
}

function keptKeys(keys: readonly Uint8Array[]): readonly Uint8Array[] {
  return keys.map((key) => Buffer.from(key));
}

function keptItem({ key, value, metadata, ttlMs }: ItemWrite): ItemWrite {
  return { key: Buffer.from(key), value: Buffer.from(value), metadata: Buffer.from(metadata), ttlMs };
}

/** Calls on records. The id of a record is its key: all items of a record lie together. */
const RECORDS = {
  putItems: {
    takes: "items",
    writes: true,
    keys: "one",
    keyOf: idOf,
    bytesOf: ({ id, items }: RecordPut) => id.length + bytesOfItems(items),
    kept: ({ id, items }: RecordPut): RecordPut => ({ id, items: items.map(keptItem) }),
  },
  getItems: {
    takes: "items",
    writes: false,
    keys: "one",
    keyOf: idOf,
    bytesOf: ({ id, keys }: ItemsRead) => id.length + bytesOfKeys(keys),
    answerBytesOf: (items: readonly (HeldItem | undefined)[]) => bytesOfItems(items),
    kept: (read: ItemsRead): ItemsRead => ({ ...read, keys: keptKeys(read.keys) }),
  },
  pageItems: {
    takes: "items",
    writes: false,
    keys: "one",
    keyOf: idOf,
    bytesOf: bytesOfId,
    answerBytesOf: ({ items }: ItemPage) => bytesOfItems(items),
    kept: ({ start, end, after, ...range }: ItemRange): ItemRange => ({
      ...range,
      start: keptBytes(start),
      end: keptBytes(end),
      after: keptBytes(after),
    }),
  },
  deleteItems: {
    takes: "items",
    writes: true,
    keys: "one",
    keyOf: idOf,
    bytesOf: ({ id, keys = [] }: ItemsDelete) => id.length + bytesOfKeys(keys),
    kept: ({ keys, ...others }: ItemsDelete): ItemsDelete => ({
      ...others,
      keys: keys && keptKeys(keys),
    }),
  },
  swapItem: {
    takes: "items",
    writes: true,
    keys: "one",
    keyOf: idOf,
    bytesOf: ({ id, key, expected, value }: ItemSwap) =>
      id.length + key.length + bytesOfValue(expected) + value.length,
    answerBytesOf: (answer: SwapAnswer) => (answer.swapped ? 0 : bytesOfValue(answer.actual)),
    kept: ({ id, key, expected, value }: ItemSwap): ItemSwap => ({
      id,
      key: Buffer.from(key),
      expected: keptBytes(expected),
      value: Buffer.from(value),
    }),
  },
} as const;

const streamOf = ({ stream }: { readonly stream: string }) => stream;
const bytesOfStream = ({ stream }: { readonly stream: string }) => stream.length;

/** A read of the events of one stream. */
const READ_EVENTS = {
  takes: "items",
  writes: false,
  keys: "one",
  keyOf: streamOf,
  bytesOf: bytesOfStream,
  answerBytesOf: (page: OffsetPage | undefined) => bytesOfEvents(page?.events ?? []),
} as const;

/** What a page holds. Merged events count as all that they were, because the store read all. */
function bytesOfEventPage({ events, counts = [] }: EventPage): number {
  return bytesOfEvents(events) + AROUND_EVENT_BYTES * counts.reduce((sum, count) => sum + count, 0);
}

/** Calls on streams. The name of a stream is its key. */
const STREAMS = {
  appendEvents: {
    takes: "items",
    writes: true,
    keys: "one",
    keyOf: streamOf,
    bytesOf: ({ stream, events }: EventAppend) => stream.length + bytesOfEvents(events),
    kept: (append: EventAppend): EventAppend => ({
      ...append,
      events: append.events.map(({ timestampMs, payload, tags }) => ({
        timestampMs,
        payload: Buffer.from(payload),
        tags,
      })),
    }),
  },
  queryEvents: {
    ...READ_EVENTS,
    answerBytesOf: (page: EventPage | undefined) => (page === undefined ? 0 : bytesOfEventPage(page)),
  },
  readEvents: READ_EVENTS,
  createStream: { takes: "items", writes: true, keys: "one", keyOf: streamOf, bytesOf: bytesOfStream },
  describeStream: READ_KEY,
  deleteStream: WRITE_KEY,
} as const;

const PAGE_OF_NAMES = { takes: "range", writes: false, rangeOf: (query: NameQuery) => query } as const;

/** Every call of the contract. */
export const OPERATIONS = {
  entries: {
    get: { ...READ_KEY, answerBytesOf: bytesOfValue },
    exists: READ_KEY,
    set: writeValue<EntryWrite>(),
    delete: WRITE_KEY,
  },
  commits: {
    read: {
      takes: "items",
      writes: false,
      keys: "several",
      keyOf: ({ keys }: Read) => keys[0] ?? "",
      keysOf: ({ keys }: Read) => keys,
      bytesOf: ({ keys }: Read) => keys.reduce((bytes, key) => bytes + key.length, 0),
      answerBytesOf: bytesOfEntries,
    },
    commit: ofCommit,
  },
  scans: {
    scanPage: { takes: "range", writes: false, rangeOf: (query: PageQuery) => query },
    count: { takes: "range", writes: false, rangeOf: (prefix: string) => ({ prefix }) },
  },
  lists: {
    push: writeValue<ListPush>(),
    pop: {
      takes: "items",
      writes: true,
      keys: "one",
      keyOf,
      bytesOf: bytesOfKeyOf,
      answerBytesOf: bytesOfValue,
    },
    length: READ_KEY,
  },
  listRanges: {
    slice: {
      takes: "items",
      writes: false,
      keys: "one",
      keyOf,
      bytesOf: bytesOfKeyOf,
      answerBytesOf: bytesOfPage,
    },
    trim: { takes: "items", writes: true, keys: "one", keyOf, bytesOf: bytesOfKeyOf },
  },
  listIndexes: {
    at: {
      takes: "items",
      writes: false,
      keys: "one",
      keyOf,
      bytesOf: bytesOfKeyOf,
      answerBytesOf: bytesOfValue,
    },
    put: writeValue<ListPut>(),
    insert: {
      takes: "items",
      writes: true,
      keys: "one",
      keyOf,
      bytesOf: ({ key, pivot, value }: ListInsert) => key.length + pivot.length + value.length,
      kept: (insert: ListInsert): ListInsert => ({
        ...insert,
        pivot: Buffer.from(insert.pivot),
        value: Buffer.from(insert.value),
      }),
    },
    remove: writeValue<ListRemove>(),
  },
  listMoves: {
    move: {
      takes: "items",
      writes: true,
      keys: "several",
      keyOf,
      keysOf: ({ key, to }: ListMove) => [key, to],
      bytesOf: ({ key, to }: ListMove) => key.length + to.length,
      answerBytesOf: bytesOfValue,
    },
  },
  listNames: { pageNames: PAGE_OF_NAMES },
  records: RECORDS,
  recordIds: { pageIds: PAGE_OF_NAMES },
  listBlocking: {
    blockingPop: { takes: "wait", writes: true, keyOf: ({ key }: ListWait) => key },
  },
  streams: STREAMS,
  streamNames: { pageStreams: PAGE_OF_NAMES },
  streamTails: {
    waitEvents: { takes: "wait", writes: false, keyOf: ({ stream }: EventWait) => stream },
  },
} as const satisfies OperationTable;

/** The names of the interfaces, in the order of {@link OPERATIONS}. */
export const INTERFACES = Object.keys(OPERATIONS) as readonly Interface[];

/** A row of a method whose item and answer types only its callers know. */
export type AnyItemsRow = ItemsRow<unknown, unknown>;

/** A row of any method. */
export type AnyRow = AnyItemsRow | RangeRow<unknown> | WaitRow<unknown>;

/** The rows of an interface with the names of its methods. */
export function rowsOf(name: Interface): readonly (readonly [method: string, row: AnyRow])[] {
  return Object.entries<AnyRow>(OPERATIONS[name]);
}

/**
 * Builds interfaces method by method. An interface is absent if `make` answers `undefined` for one
 * of its methods.
 */
export function buildInterfaces(make: (of: Interface, method: string, row: AnyRow) => unknown): Interfaces {
  const made: Record<string, object> = {};
  for (const of of INTERFACES) {
    const methods = rowsOf(of).map(([method, row]) => [method, make(of, method, row)] as const);
    if (methods.every(([, method]) => method !== undefined)) {
      made[of] = Object.fromEntries(methods);
    }
  }
  return made;
}

/** A method of the contract, whose argument only its caller knows. */
export type AnyMethod = (namespace: string, argument: never, call: Call) => Promise<unknown>;

/** A method of a store, bound to it. `undefined` = the store lacks the interface. */
export function methodOf(interfaces: Interfaces, of: Interface, method: string): AnyMethod | undefined {
  const store = interfaces[of];
  if (store === undefined) {
    return undefined;
  }
  const inner: unknown = Reflect.get(store, method);
  if (typeof inner !== "function") {
    throw new Error(`the store's ${of} have no ${method}`);
  }
  return inner.bind(store);
}

type Rows = typeof OPERATIONS;

/** The methods of an interface whose row has this shape. */
type NamesIn<I extends Interface, Kind> = {
  [M in keyof Rows[I]]: Rows[I][M] extends Kind ? M : never;
}[keyof Rows[I]];

/** The name of each method of the contract. A name is unique over all interfaces. */
export type OperationName = { [I in Interface]: keyof Rows[I] }[Interface];

/** The names of the methods that take items. */
export type ItemsName = { [I in Interface]: NamesIn<I, { readonly takes: "items" }> }[Interface];

/** The names of the methods that write items. */
export type WriteName = {
  [I in Interface]: NamesIn<I, { readonly takes: "items"; readonly writes: true }>;
}[Interface];

type MethodOf<M extends OperationName> = {
  [I in Interface]: M extends keyof Stores[I] ? Stores[I][M] : never;
}[Interface];

/** What a method takes after the namespace. */
export type ArgumentOf<M extends OperationName> =
  MethodOf<M> extends (namespace: string, argument: infer Argument, call: Call) => unknown ? Argument : never;

/** One item of that argument. */
export type ItemOf<M extends OperationName> =
  MethodOf<M> extends ItemsMethod<infer Item, infer _> ? Item : never;

/** What a method answers for an item. */
export type AnswerOf<M extends OperationName> =
  MethodOf<M> extends ItemsMethod<infer _, infer Answer> ? Answer : never;

/** A method that writes items: its interface and its row. */
export interface WriteOperation<W extends WriteName = WriteName> {
  readonly of: Interface;
  readonly row: ItemsRow<ItemOf<W>, AnswerOf<W>>;
}

/** All write operations by name. */
export const WRITES = Object.fromEntries(
  INTERFACES.flatMap((of) =>
    rowsOf(of).flatMap(([method, row]) =>
      row.takes === "items" && row.writes ? [[method, { of, row }]] : [],
    ),
  ),
) as unknown as { readonly [W in WriteName]: WriteOperation<W> };

/** The keys of items, in order. */
export function keysOfItems<Item>(
  { keyOf, keysOf }: ItemsRow<Item, never>,
  items: readonly Item[],
): readonly string[] {
  return keysOf === undefined ? items.map((item) => keyOf(item)) : items.flatMap((item) => keysOf(item));
}

/** The names of {@link WRITES}, in the order of {@link OPERATIONS}. */
export const WRITE_NAMES = Object.keys(WRITES) as readonly WriteName[];
