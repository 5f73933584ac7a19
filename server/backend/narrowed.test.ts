import { describe, expect, test } from "vitest";
import { bytes, CALL, NAMESPACE } from "./conformance/harness.ts";
import { createManualClock } from "./conformance/manual-clock.ts";
import { seeded } from "./conformance/seeded.ts";
import { type Backend, type Call, createCall, type Interfaces, type ScanRange, SILENT } from "./contract.ts";
import { createBlockingBackend } from "./layers/blocking.ts";
import { createGuardedBackend } from "./layers/guarded.ts";
import { createMemoryBackend } from "./memory/backend.ts";
import { narrow } from "./narrowed.ts";
import {
  type ArgumentOf,
  buildInterfaces,
  INTERFACES,
  methodOf,
  type OperationName,
  rowsOf,
} from "./operations.ts";

const NOTHING = new Uint8Array(0);
const VALUE = bytes("1");
const ITEM = { key: bytes("k"), value: VALUE, metadata: NOTHING, ttlMs: 0 };
const EVENT = { timestampMs: 0, payload: VALUE, tags: {} };
const SOME_EVENTS = { tags: {}, maxEvents: 1, maxBytes: 1000 };

/** How an operation is made about keys: the last of its keys is the last one here. */
type About = { readonly [M in OperationName]: (keys: readonly string[]) => ArgumentOf<M> };

const first = (keys: readonly string[]) => keys[0] ?? "";
const last = (keys: readonly string[]) => keys.at(-1) ?? "";

/** An argument of each operation that is about these keys. */
const ABOUT: About = {
  get: (keys) => keys,
  exists: (keys) => keys,
  set: (keys) => keys.map((key) => ({ key, value: VALUE, ttlMs: 0 })),
  delete: (keys) => keys,
  read: (keys) => [{ keys, values: true, maxBytes: 1000 }],
  commit: (keys) => [
    {
      checks: keys.slice(1).map((key) => ({ key, is: "absent" })),
      mutations: [{ key: first(keys), do: "set", value: VALUE, ttlMs: 0 }],
      tells: false,
    },
  ],
  scanPage: (keys) => ({
    prefix: last(keys),
    after: undefined,
    maxEntries: 10,
    maxBytes: 1000,
    keysOnly: false,
  }),
  count: last,
  push: (keys) => keys.map((key) => ({ key, end: "left", value: VALUE })),
  pop: (keys) => keys.map((key) => ({ key, end: "left" })),
  length: (keys) => keys,
  slice: (keys) => keys.map((key) => ({ key, start: 0, stop: -1, maxEntries: 1, maxBytes: 1 })),
  trim: (keys) => keys.map((key) => ({ key, start: 0, stop: -1 })),
  at: (keys) => keys.map((key) => ({ key, index: 0 })),
  put: (keys) => keys.map((key) => ({ key, index: 0, value: VALUE })),
  insert: (keys) => keys.map((key) => ({ key, side: "before", pivot: VALUE, value: VALUE })),
  remove: (keys) => keys.map((key) => ({ key, value: VALUE, count: 1 })),
  move: (keys) => [{ key: first(keys), end: "left", to: last(keys), toEnd: "right" }],
  pageNames: (keys) => ({ prefix: last(keys), after: undefined, maxNames: 10 }),
  putItems: (keys) => keys.map((id) => ({ id, items: [ITEM] })),
  getItems: (keys) => keys.map((id) => ({ id, keys: [ITEM.key], maxBytes: 1000 })),
  pageItems: (keys) =>
    keys.map((id) => ({
      id,
      start: undefined,
      end: undefined,
      after: undefined,
      maxItems: 1,
      maxBytes: 1000,
    })),
  deleteItems: (keys) => keys.map((id) => ({ id, keys: undefined, maxItems: 10 })),
  swapItem: (keys) => keys.map((id) => ({ id, key: ITEM.key, expected: undefined, value: VALUE })),
  pageIds: (keys) => ({ prefix: last(keys), after: undefined, maxNames: 10 }),
  blockingPop: (keys) => ({ key: last(keys), end: "left", waitMs: 1 }),
  appendEvents: (keys) =>
    keys.map((stream) => ({ stream, events: [EVENT], retentionMs: 0, refusesExpired: false })),
  queryEvents: (keys) =>
    keys.map((stream) => ({ ...SOME_EVENTS, stream, startMs: 0, endMs: Infinity, after: undefined })),
  readEvents: (keys) => keys.map((stream) => ({ ...SOME_EVENTS, stream, offset: 0, minTimestampMs: 0 })),
  createStream: (keys) =>
    keys.map((stream) => ({ stream, retentionMs: 0, partitions: 0, replicationFactor: 0 })),
  describeStream: (keys) => keys,
  deleteStream: (keys) => keys,
  pageStreams: (keys) => ({ prefix: last(keys), after: undefined, maxNames: 10 }),
  waitEvents: (keys) => ({ ...SOME_EVENTS, stream: last(keys), offset: 0, minTimestampMs: 0, waitMs: 1 }),
};

const OPERATION_NAMES = INTERFACES.flatMap((of) =>
  rowsOf(of).map(([method]) => [of, method as OperationName] as const),
);

const narrowTo = (keyPrefixes: readonly string[]): Call => ({ ...createCall(), keyPrefixes });

/** A narrowed store that notes what reaches the store itself. */
function createNoting() {
  const reached: string[] = [];
  const store = narrow(
    buildInterfaces((_, method) => async () => {
      reached.push(method);
    }),
  );
  const ask = (of: (typeof INTERFACES)[number], method: OperationName, argument: unknown, call: Call) => {
    const inner = methodOf(store, of, method);
    if (inner === undefined) {
      throw new TypeError(`no ${method}`);
    }
    return inner(NAMESPACE, argument as never, call);
  };
  return { reached, ask };
}

/** Prefixes, keys that have one, and keys that have none. */
const EDGES: readonly (readonly [readonly string[], readonly string[], readonly string[]])[] = [
  [["a"], ["a", "ab", "a\0", "a\u{10ffff}"], ["b", "A", "`", "\0a", "á", " a"]],
  [["user/7/"], ["user/7/", "user/7/x"], ["user/7", "user/70", "user/70/x", "user/", "USER/7/x"]],
  [["é"], ["é", "éa"], ["e", "e\u0301", "è", "ê", "a"]],
  [["😀"], ["😀", "😀!"], ["\u{1f601}", "\u{1f5ff}", "\uffff"]],
  [
    ["a", "c"],
    ["a", "c", "cc"],
    ["b", "d", ""],
  ],
  [[""], ["a", "b"], []],
  [[], [], ["a", ""]],
];

describe.each(OPERATION_NAMES)("%s.%s", (of, method) => {
  test.each(EDGES)("prefixes %j", async (prefixes, inside, outside) => {
    const { reached, ask } = createNoting();
    const call = narrowTo(prefixes);
    for (const key of inside) {
      for (const other of inside) {
        await ask(of, method, ABOUT[method]([key, other]), call);
        expect(reached.splice(0)).toEqual([method]);
      }
    }
    for (const key of outside) {
      for (const keys of [[key], ...inside.map((other) => [other, key])]) {
        await expect(ask(of, method, ABOUT[method](keys), call)).rejects.toMatchObject({
          reason: "permission_denied",
          echoes: true,
        });
      }
    }
    expect(reached).toEqual([]);
  });

  test("a call that nobody narrowed may touch nothing through the narrowed store", async () => {
    const { reached, ask } = createNoting();
    await expect(ask(of, method, ABOUT[method](["a"]), CALL)).rejects.toMatchObject({
      reason: "permission_denied",
    });
    expect(reached).toEqual([]);
  });
});

test("several keys of one item: each of them counts", async () => {
  const { reached, ask } = createNoting();
  const call = narrowTo(["a"]);
  for (const keys of [
    ["b", "a"],
    ["a", "b"],
    ["a", "a", "b"],
  ]) {
    for (const [of, method] of [
      ["listMoves", "move"],
      ["commits", "commit"],
      ["commits", "read"],
    ] as const) {
      await expect(ask(of, method, ABOUT[method](keys), call)).rejects.toMatchObject({
        reason: "permission_denied",
      });
    }
  }
  expect(reached).toEqual([]);
});

describe("ranges", () => {
  const page = { after: undefined, maxEntries: 10, maxBytes: 1000, keysOnly: false };

  test.each<readonly [readonly string[], ScanRange, boolean]>([
    [["a"], { prefix: "" }, false],
    [["a"], { prefix: "a" }, true],
    [["a"], { prefix: "ab" }, true],
    [["a"], { prefix: "", start: "a" }, false],
    [["a"], { prefix: "", end: "b" }, false],
    [["a"], { prefix: "", start: "a", end: "b" }, true],
    [["a"], { prefix: "", start: "a", end: "b\0" }, false],
    [["a"], { prefix: "", start: "`", end: "ab" }, false],
    [["a"], { prefix: "", start: "ab", end: "ac", reverse: true }, true],
    [["a"], { prefix: "", end: "ac", reverse: true }, false],
    [["a"], { prefix: "a", start: "A", end: "z" }, true],
    // No key keeps all of these bounds.
    [["a"], { prefix: "b", start: "a", end: "b" }, true],
    [["a"], { prefix: "b", start: "a", end: "c" }, false],
    [["user/7/"], { prefix: "user/7" }, false],
    [["user/7/"], { prefix: "", start: "user/7/", end: "user/70" }, true],
    [["user/7/"], { prefix: "", start: "user/7/", end: "user/70\0" }, false],
    [["é"], { prefix: "", start: "é", end: "ê" }, true],
    [["é"], { prefix: "", start: "é", end: "ë" }, false],
    [["😀"], { prefix: "", start: "😀", end: "\u{1f601}" }, true],
    [["😀"], { prefix: "", start: "\uffff", end: "\u{1f601}" }, false],
    // Keys between two prefixes belong to neither; so a range lies within one.
    [["a", "b"], { prefix: "", start: "a", end: "c" }, false],
    [["a", "b"], { prefix: "", start: "b", end: "c" }, true],
  ])("prefixes %j, %j: %s", async (prefixes, range, allowed) => {
    const { reached, ask } = createNoting();
    // A place to go on from widens nothing.
    for (const after of [undefined, "a", "ab", "\0", "\u{10ffff}"]) {
      const asked = ask("scans", "scanPage", { ...page, ...range, after }, narrowTo(prefixes));
      if (allowed) {
        await asked;
      } else {
        await expect(asked).rejects.toMatchObject({ reason: "permission_denied" });
      }
      expect(reached.splice(0)).toEqual(allowed ? ["scanPage"] : []);
    }
  });

  test("the refusal says what would be allowed, and no more", async () => {
    const { ask } = createNoting();
    const messageOf = (prefixes: readonly string[], prefix: string) =>
      ask("scans", "count", prefix, narrowTo(prefixes)).catch(({ message }) => message);
    expect(await messageOf(["user/7/"], "")).toBe(
      'the caller may use only keys that start with "user/7/"; name a range that lies within',
    );
    expect(await messageOf(["a", "b", "c", "d", "e"], "secret")).toBe(
      'the caller may use only keys that start with "a" or "b" or "c" or 2 others; name a range that lies within',
    );
    expect(await messageOf([], "")).toContain("the caller may use no keys");
  });
});

const POOL = ["a", "ab", "a/1", "a/2", "a\uffff", "a😀", "b", "b/1", "A", "`", "é", "éa", "ê", "{a}"];

/** A memory store with everything, open. */
async function openStore(): Promise<Backend> {
  const memory = createMemoryBackend({ type: "memory" }, { clock: createManualClock() });
  const backend = createBlockingBackend(createGuardedBackend(memory), SILENT);
  await backend.open();
  return backend;
}

/** Puts an entry, a list and a record at each key. */
async function fill({ entries, lists, records }: Interfaces, keys: readonly string[]): Promise<void> {
  await entries?.set(NAMESPACE, ABOUT.set(keys), CALL);
  await lists?.push(NAMESPACE, ABOUT.push([...keys, ...keys]), CALL);
  await records?.putItems(NAMESPACE, ABOUT.putItems(keys), CALL);
}

/** All that a store has at these keys. */
async function everythingAt({ entries, commits, listRanges, records }: Interfaces, keys: readonly string[]) {
  const all = { maxEntries: 1000, maxBytes: 1_000_000 };
  return plain([
    await entries?.get(NAMESPACE, keys, CALL),
    await commits?.read(NAMESPACE, [{ keys, values: true, maxBytes: 1_000_000 }], CALL),
    await listRanges?.slice(
      NAMESPACE,
      keys.map((key) => ({ key, start: 0, stop: -1, ...all })),
      CALL,
    ),
    await records?.pageItems(
      NAMESPACE,
      ABOUT.pageItems(keys).map((range) => ({ ...range, maxItems: 1000, maxBytes: 1_000_000 })),
      CALL,
    ),
  ]);
}

/** An answer as JSON. Versions count all writes of a store, so two stores have different ones. */
function plain(answer: unknown): string {
  return JSON.stringify(answer, (name, value) => {
    if (name === "version") {
      return undefined;
    }
    const isBytes = value instanceof Uint8Array;
    const isValues = Symbol.iterator in Object(value) && !Array.isArray(value) && typeof value === "object";
    return typeof value === "bigint"
      ? String(value)
      : !isBytes && isValues
        ? Array.from(value as Iterable<Uint8Array>, (each) => Buffer.from(each).toString())
        : value;
  });
}

test("whatever a narrowed caller does, what is outside is neither read nor changed", async () => {
  const { random, seed } = seeded();
  const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T;
  const some = () => Array.from({ length: 1 + Math.floor(random() * 3) }, () => pick(POOL));
  for (const prefixes of [["a"], ["a/"], ["é"], ["a/1", "b"], ["zz"], []]) {
    const call = narrowTo(prefixes);
    const isInside = (key: string) => prefixes.some((prefix) => key.startsWith(prefix));
    const outside = POOL.filter((key) => !isInside(key));
    const inside = POOL.filter(isInside);
    // One store has keys outside, and one has none: a narrowed caller cannot tell them apart.
    const whole = await openStore();
    const alone = await openStore();
    await fill(whole, outside);
    await fill(whole, inside);
    await fill(alone, inside);
    const before = await everythingAt(whole, outside);
    const stores = [narrow(whole), narrow(alone)];
    for (let step = 0; step < 400; step++) {
      const [of, method] = pick(OPERATION_NAMES);
      // Mostly keys that are allowed, so that calls do something.
      const keys = random() < 0.7 && inside.length > 0 ? some().map(() => pick(inside)) : some();
      const argument: object = Object(ABOUT[method](keys));
      const range = { ...argument, prefix: "", start: pick(POOL), end: pick(POOL), after: pick(POOL) };
      const asked = method === "scanPage" && random() < 0.5 ? range : argument.valueOf();
      const answers = await Promise.all(
        stores.map((store) =>
          Promise.resolve(methodOf(store, of, method)?.(NAMESPACE, asked as never, call)).then(
            plain,
            ({ reason, message }) => plain({ reason, message }),
          ),
        ),
      );
      expect(answers[0], `seed ${seed}: ${method} ${plain(asked)} of ${plain(prefixes)}`).toBe(answers[1]);
    }
    expect(await everythingAt(whole, outside), `seed ${seed}`).toBe(before);
    expect(await everythingAt(whole, inside), `seed ${seed}`).toBe(await everythingAt(alone, inside));
    await whole.close();
    await alone.close();
  }
});
