import { afterAll, afterEach, beforeEach, describe, test } from "vitest";
import {
  type Answers,
  type Atomicity,
  answerOf,
  type Backend,
  type Call,
  type CommitStore,
  createCall,
  type EntryStore,
  type ListIndexStore,
  type ListMoveStore,
  type ListNameStore,
  type ListRangeStore,
  type ListStore,
  type RecordIdStore,
  type RecordStore,
  type Refusal,
  type ScanStore,
  type StreamNameStore,
  type StreamStore,
} from "../contract.ts";
import type { Interface } from "../operations.ts";

/** An interface of the contract, or what a store can do besides; it declares each by having it. */
export type Capability = Interface | "erase";

/** What a store has that can do everything with lists, besides `lists`. */
export const LIST_EDITS = ["listRanges", "listIndexes", "listMoves"] as const satisfies Capability[];

/** What a store has that can tell which lists and records there are. */
export const NAMES = ["listNames", "recordIds"] as const satisfies Capability[];

/** What a store has that keeps streams of events. */
export const STREAMS = ["streams", "streamNames"] as const satisfies Capability[];

/** What a store declares that has everything. */
export const ALL_CAPABILITIES = [
  ...(["entries", "commits", "scans", "lists", "records", "erase"] as const),
  ...LIST_EDITS,
  ...NAMES,
  ...STREAMS,
] as const satisfies Capability[];

/** One store under test. */
export interface Subject {
  /** Guarded, empty and not yet open. */
  readonly backend: Backend;
  /** Moves the store's clock forward. Called only if the harness has `movesClock`. */
  readonly advance: (ms: number) => Promise<void> | void;
  /**
   * Empties the open store. For a store that is slow to make: tests that do not open or close it
   * share one.
   */
  readonly clear?: () => Promise<void> | void;
  /** Releases what `create` took. The backend is closed by then. */
  dispose(): Promise<void>;
}

/**
 * What a store takes whose streams have one partition and one replica each. It does not tell when
 * one was made.
 */
export interface StreamLimits {
  /** Whether there can be a stream of this name. */
  takesName(stream: string): boolean;
}

/** How the suite reaches one kind of store: a room itself, or a room behind a wire. */
export interface Harness {
  readonly name: string;
  readonly capabilities: readonly Capability[];
  /** Whether data survives closing and opening. */
  readonly durable: boolean;
  /** What the store declares. */
  readonly atomic: Atomicity;
  /**
   * The suite reaches the store over a wire, which makes one call of each item and bounds what a
   * message has. So large batches and short retentions are not tested.
   */
  readonly overWire?: true;
  /** Absent = the store takes streams of every name and shape. */
  readonly streamLimits?: StreamLimits;
  /** Whether the store declares it. Absent = it does not. */
  readonly countsCheaply?: true;
  /** The shard of a key, if the store is atomic within a shard. */
  readonly shardOf?: (key: string) => number;
  /** Whether the subjects' `advance` works. If not, time is not tested. */
  readonly movesClock: boolean;
  /** The longest time to live that a write may ask for. */
  readonly maxTtlMs: number;
  /** Makes a new, empty store. The namespaces {@link NAMESPACES} must exist in it. */
  create(): Promise<Subject>;
}

/**
 * Every namespace that the suite uses. Several of them would collide if a store joined them with a
 * key by a separator.
 */
export const NAMESPACES = ["default", "a", "ab", "a.b", "a-b", "a_b", `z${"9".repeat(62)}`] as const;

/** The namespace of tests that need only one. */
export const NAMESPACE = "default";

/** A call that nothing aborts. */
export const CALL: Call = createCall();

/** A store that is open, and empty when a test begins. */
export interface OpenStore {
  readonly backend: Backend;
  readonly entries: EntryStore;
  readonly commits: CommitStore;
  readonly scans: ScanStore;
  readonly lists: ListStore;
  readonly listRanges: ListRangeStore;
  readonly listIndexes: ListIndexStore;
  readonly listMoves: ListMoveStore;
  readonly listNames: ListNameStore;
  readonly records: RecordStore;
  readonly recordIds: RecordIdStore;
  readonly streams: StreamStore;
  readonly streamNames: StreamNameStore;
  advance(ms: number): Promise<void>;
}

/** Gives each test of the surrounding `describe` an open and empty store. */
export function useOpenStore(harness: Harness): () => OpenStore {
  let subject: Subject | undefined;

  async function dispose(): Promise<void> {
    await subject?.backend.close();
    await subject?.dispose();
    subject = undefined;
  }

  beforeEach(async () => {
    if (subject !== undefined) {
      return;
    }
    subject = await harness.create();
    await subject.backend.open();
  });
  afterEach(async () => {
    if (subject?.clear === undefined) {
      await dispose();
    } else {
      await subject.clear();
    }
  });
  afterAll(dispose);

  return () => {
    const { backend, advance } = present(subject);
    return {
      backend,
      get entries() {
        return present(backend.entries);
      },
      get commits() {
        return present(backend.commits);
      },
      get scans() {
        return present(backend.scans);
      },
      get lists() {
        return present(backend.lists);
      },
      get listRanges() {
        return present(backend.listRanges);
      },
      get listIndexes() {
        return present(backend.listIndexes);
      },
      get listMoves() {
        return present(backend.listMoves);
      },
      get listNames() {
        return present(backend.listNames);
      },
      get records() {
        return present(backend.records);
      },
      get recordIds() {
        return present(backend.recordIds);
      },
      get streams() {
        return present(backend.streams);
      },
      get streamNames() {
        return present(backend.streamNames);
      },
      async advance(ms) {
        await advance(ms);
      },
    };
  };
}

/**
 * A `describe` for stores with a capability ("clock" = a clock that can be moved). Skipped for
 * other stores.
 */
export function describeFor(
  harness: Harness,
  needed: readonly (Capability | "clock")[],
  name: string,
  tests: () => void,
): void {
  const able = needed.every((need) =>
    need === "clock" ? harness.movesClock : harness.capabilities.includes(need),
  );
  if (able) {
    describe(name, tests);
  }
}

/** A `test` of large batches, for stores that take a batch in one call. */
export function testBatch(harness: Harness, name: string, run: () => Promise<void>): void {
  if (harness.overWire !== true) {
    test(name, run);
  }
}

/** A {@link testBatch} of calls that take effect whole, for stores that promise it. */
export function testWhole(harness: Harness, name: string, run: () => Promise<void>): void {
  if (harness.atomic !== "key") {
    testBatch(harness, name, run);
  }
}

/** Gives `value` back. Throws if it is absent, because the harness promised it. */
export function present<T>(value: T | undefined): T {
  if (value === undefined) {
    throw new Error("the harness declares a capability that the backend does not have");
  }
  return value;
}

/** The text as bytes. */
export function bytes(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text));
}

/** Stored values as text; `undefined` where there was none. */
export function texts(values: Iterable<Uint8Array | Refusal | undefined>): (string | undefined)[] {
  return Array.from(values).map((answer) => {
    const value = answerOf(answer);
    return value === undefined ? undefined : Buffer.from(value).toString();
  });
}

/** The answers of a call. Throws the first refusal. */
export async function answersOf<T>(answers: Promise<Answers<T> | undefined>): Promise<T[]> {
  return ((await answers) ?? []).map(answerOf);
}

/** Writes entries whose values are given as text. */
export async function setTexts(
  entries: EntryStore,
  pairs: Readonly<Record<string, string>>,
  { namespace = NAMESPACE, ttlMs = 0 }: { readonly namespace?: string; readonly ttlMs?: number } = {},
): Promise<void> {
  const writes = Object.entries(pairs).map(([key, value]) => ({ key, value: bytes(value), ttlMs }));
  await answersOf(entries.set(namespace, writes, CALL));
}

/** Different keys that a store could confuse, order wrongly or cut off. */
export const AWKWARD_KEYS: readonly string[] = [
  "\0",
  "\0\0",
  "\x7f",
  "a",
  "a\0",
  "a\0b",
  "a b",
  "a%",
  "a/b",
  "a:b",
  "a_",
  "ab",
  "A",
  "'; DROP TABLE entry; --",
  "{a}",
  "__proto__",
  "constructor",
  "é",
  "e\u0301",
  "ключ",
  "\u07ff",
  "\u0800",
  "\ud7ff",
  "\ue000",
  "\ufeff",
  "\ufffd",
  "\uffff",
  "\u{10000}",
  "😀",
  "😀!",
  "\u{10ffff}",
  "x".repeat(1023),
  "x".repeat(1024),
  "😀".repeat(256),
];

/** In ascending byte order, as every scan. */
export function sortedByBytes(keys: readonly string[]): string[] {
  return [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}
