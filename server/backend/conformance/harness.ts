import { afterAll, afterEach, beforeEach, describe, test } from "vitest";
import {
  type Answers,
  type Atomicity,
  answerOf,
  type Backend,
  type Call,
  createCall,
  type EntryStore,
  type ListStore,
  type Refusal,
  type ScanStore,
} from "../contract.ts";
import type { Interface } from "../operations.ts";

/** The interfaces of the contract, as a store declares them by having them. */
export type Capability = Interface;

/** One store under test. */
export interface Subject {
  /** Guarded and not yet open. Nothing is in it. */
  readonly backend: Backend;
  /** Moves the store's clock forward; called only where the harness says that it can. */
  readonly advance: (ms: number) => Promise<void> | void;
  /** Empties the store while it is open. For a store that is slow to make: tests that do not open or close it then share one. */
  readonly clear?: () => Promise<void> | void;
  /** Gives back what `create` took; the backend is closed by then. */
  dispose(): Promise<void>;
}

/** How the suite gets at one kind of store: a room itself, or a room behind a wire. */
export interface Harness {
  readonly name: string;
  readonly capabilities: readonly Capability[];
  /** Whether what was written is there again after a close and an open. */
  readonly durable: boolean;
  /** What the store declares. "key": a batch becomes a call for each of its items on the way, so there are no tests of large ones. */
  readonly atomic: Atomicity;
  /** Which shard has a key, where the store is atomic within each. */
  readonly shardOf?: (key: string) => number;
  /** Whether the subjects' `advance` works. Where not, there are no tests about time. */
  readonly movesClock: boolean;
  /** The longest time to live that can be asked for. */
  readonly maxTtlMs: number;
  /** A new store, with nothing of an earlier one in it. The namespaces {@link NAMESPACES} have to exist. */
  create(): Promise<Subject>;
}

/** Every namespace that the suite uses. Joined with a key by some separator, several of them would collide. */
export const NAMESPACES = ["default", "a", "ab", "a.b", "a-b", "a_b", `z${"9".repeat(62)}`] as const;

/** The namespace of tests for which one is as good as another. */
export const NAMESPACE = "default";

/** A call that nothing aborts. */
export const CALL: Call = createCall();

/** An open store, with nothing in it when a test begins. */
export interface OpenStore {
  readonly backend: Backend;
  readonly entries: EntryStore;
  readonly scans: ScanStore;
  readonly lists: ListStore;
  advance(ms: number): Promise<void>;
}

/** Gives each test of the `describe` that it is called in an open store with nothing in it. */
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
      get scans() {
        return present(backend.scans);
      },
      get lists() {
        return present(backend.lists);
      },
      async advance(ms) {
        await advance(ms);
      },
    };
  };
}

/** A `describe` for stores that have what its tests need ("clock": one that can be moved); for others there is none. */
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

/** A `test` of large batches, for stores that take them as one. */
export function testBatch(harness: Harness, name: string, run: () => Promise<void>): void {
  if (harness.atomic !== "key") {
    test(name, run);
  }
}

/** `value`, or an error if there is none: the harness promised it. */
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

/** Stored values as text, `undefined` where there was none. */
export function texts(values: Iterable<Uint8Array | Refusal | undefined>): (string | undefined)[] {
  return Array.from(values).map((answer) => {
    const value = answerOf(answer);
    return value === undefined ? undefined : Buffer.from(value).toString();
  });
}

/** What a call answered for its items. Throws what one of them was refused for. */
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

/** Keys that a store could confuse, put in a wrong order or cut off, all different. */
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

/** Ascending by bytes, as every scan is. */
export function sortedByBytes(keys: readonly string[]): string[] {
  return [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}
