import { setImmediate as nextTurn } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PrismError } from "../../errors.ts";
import { bytes, CALL, present, texts } from "../conformance/harness.ts";
import { createManualClock } from "../conformance/manual-clock.ts";
import { memoryHarness } from "../conformance/memory-harness.ts";
import { describeBackend } from "../conformance/suite.ts";
import { type Backend, createCall, Refusal } from "../contract.ts";
import { createMemoryBackend } from "../memory/backend.ts";
import { OPERATIONS } from "../operations.ts";
import { createCoalescedBackend, createKeyCoalescedBackend, Queues } from "./coalesced.ts";
import { type Wrap, wrapMethods } from "./wrapped.ts";

describeBackend(memoryHarness("coalesced memory", createCoalescedBackend));
describeBackend(memoryHarness("memory, coalesced by key", createKeyCoalescedBackend));

/** A store that takes `turns` turns of the event loop for each call, and records the calls. */
function createSlowStore(turns: () => number = () => 1, coalesce = createCoalescedBackend) {
  const asked: string[] = [];
  const memory = createMemoryBackend({ type: "memory" }, { clock: createManualClock() });
  let underWay = 0;
  let most = 0;
  const slow: Wrap =
    (method, name) =>
    async (...args) => {
      asked.push(`${name} ${Array.isArray(args[1]) ? args[1].length : ""}`);
      most = Math.max(most, ++underWay);
      // It takes effect at some moment in between.
      const before = turns();
      for (let i = 0; i < before; i++) {
        await nextTurn();
      }
      const result = await method(...args);
      for (let i = 0; i < turns(); i++) {
        await nextTurn();
      }
      underWay--;
      return result;
    };
  const inner: Backend = { ...memory, ...wrapMethods(memory, slow) };
  const backend = coalesce(inner);
  return {
    inner,
    entries: present(backend.entries),
    lists: present(backend.lists),
    asked,
    get most() {
      return most;
    },
  };
}

const write = (key: string, value: string) => [{ key, value: bytes(value), ttlMs: 0 }];

describe("calls that arrive together", () => {
  test("become one, and each gets its own answer", async () => {
    const { entries, lists, asked } = createSlowStore();
    await Promise.all([entries.set("a", write("k1", "1"), CALL), entries.set("a", write("k2", "2"), CALL)]);
    const answers = await Promise.all(["k1", "k2", "k3", "k1"].map((key) => entries.get("a", [key], CALL)));
    expect(answers.map(texts)).toEqual([["1"], ["2"], [undefined], ["1"]]);
    const deleted = await Promise.all(["k1", "k1", "k3"].map((key) => entries.delete("a", [key], CALL)));
    expect(deleted).toEqual([[true], [false], [false]]);
    const pushed = await Promise.all(
      ["1", "2"].map((value) => lists.push("a", [{ key: "l", end: "right", value: bytes(value) }], CALL)),
    );
    expect(pushed).toEqual([[1], [2]]);
    expect(asked).toEqual(["set 2", "get 4", "delete 3", "push 2"]);
  });

  test("of different namespaces do not", async () => {
    const { entries, asked } = createSlowStore();
    await Promise.all([entries.set("a", write("k", "1"), CALL), entries.set("b", write("k", "2"), CALL)]);
    expect(texts(await entries.get("a", ["k"], CALL))).toEqual(["1"]);
    expect(asked).toEqual(["set 1", "set 1", "get 1"]);
  });

  test("while others are under way wait, and are one then", async () => {
    const { entries, asked } = createSlowStore(() => 3);
    const calls: Promise<unknown>[] = [];
    for (let i = 0; i < 20; i++) {
      calls.push(entries.get("a", [`k${i}`], CALL));
      if (i % 5 === 4) {
        await nextTurn();
      }
    }
    await Promise.all(calls);
    expect(asked.length).toBeLessThan(6);
  });

  test("are several if they have many keys", async () => {
    const asked: number[] = [];
    const { commits } = createCoalescedBackend({
      ...createSlowStore().inner,
      commits: {
        async read(_, reads) {
          asked.push(reads.length);
          return reads.map(({ keys }) => keys.map(() => undefined));
        },
        commit: () => Promise.reject(new Error("nobody commits")),
      },
    });
    const keys = Array.from({ length: 200 }, (_, i) => `k${i}`);
    const read = () => present(commits).read("a", [{ keys, values: true, maxBytes: 1 }], CALL);
    await Promise.all(Array.from({ length: 10 }, read));
    expect(asked).toEqual([3, 3, 3, 1]);
  });

  test("a call that was aborted while it waited is not made", async () => {
    const { entries, asked } = createSlowStore();
    const leave = new AbortController();
    const call = entries.set("a", write("k", "1"), createCall(leave.signal));
    const other = entries.get("a", ["other"], CALL);
    leave.abort();
    await expect(call).rejects.toMatchObject({ reason: "canceled" });
    await other;
    expect(asked).toEqual(["get 1"]);
  });

  /**
   * A store that refuses the key "bad" and fails when "ugly" is written. Atomic calls stay atomic.
   */
  function createPickyStore() {
    const store = createSlowStore();
    const refusal = new Refusal("value_too_large", "too large");
    const { entries } = createCoalescedBackend({
      ...store.inner,
      entries: {
        ...present(store.inner.entries),
        async set(namespace, writes, call) {
          const isBad = ({ key }: { readonly key: string }) => key === "bad";
          if (writes.some(({ key }) => key === "ugly")) {
            store.asked.push("failed");
            throw new PrismError("internal", "the store failed");
          }
          if (call.each !== true && writes.some(isBad)) {
            return writes.map(() => refusal);
          }
          const good = writes.filter((each) => !isBad(each));
          await present(store.inner.entries).set(namespace, good, call);
          return writes.map((each) => (isBad(each) ? refusal : undefined));
        },
      },
    });
    return { entries: present(entries), asked: store.asked, refusal };
  }

  test("a refused call is refused alone, and the others are made once", async () => {
    const { entries, asked, refusal } = createPickyStore();
    const answers = await Promise.all(
      ["k1", "bad", "k2"].map((key) => entries.set("a", write(key, "1"), CALL)),
    );
    expect(answers).toEqual([[undefined], [refusal], [undefined]]);
    expect(asked).toEqual(["set 2"]);
    expect(await entries.exists("a", ["k1", "bad", "k2"], CALL)).toEqual([true, false, true]);
  });

  test("what the store fails for fails all of them, and none is made again", async () => {
    const { entries, asked } = createPickyStore();
    const calls = ["k1", "ugly", "k2"].map((key) => entries.set("a", write(key, "1"), CALL));
    const outcomes = await Promise.allSettled(calls);
    expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
    expect(asked).toEqual(["failed"]);
  });

  test("a write of several items is whole: it shares a call with no other", async () => {
    const { entries, refusal } = createPickyStore();
    const [one, several, other] = await Promise.all([
      entries.set("a", write("k1", "1"), CALL),
      entries.set("a", [...write("k2", "1"), ...write("bad", "1")], CALL),
      entries.set("a", write("k3", "1"), CALL),
    ]);
    expect([one, several, other]).toEqual([[undefined], [refusal, refusal], [undefined]]);
    expect(await entries.exists("a", ["k1", "k2", "k3"], CALL)).toEqual([true, false, true]);
  });

  test("a store that is away is not asked once for each", async () => {
    let asked = 0;
    const away = createCoalescedBackend({
      ...createSlowStore().inner,
      entries: {
        ...present(createSlowStore().inner.entries),
        async get() {
          asked++;
          throw new PrismError("store_unavailable", "away");
        },
      },
    });
    const calls = Array.from({ length: 100 }, (_, i) => present(away.entries).get("a", [`k${i}`], CALL));
    const outcomes = await Promise.allSettled(calls);
    expect(outcomes.every(({ status }) => status === "rejected")).toBe(true);
    expect(asked).toBe(1);
  });

  test("fewer share a call where answers are large", async () => {
    const { entries, asked } = createSlowStore();
    const large = new Uint8Array(2 * 1024 * 1024);
    await entries.set("a", [{ key: "k", value: large, ttlMs: 0 }], CALL);
    const get = () => entries.get("a", ["k"], CALL);
    await get();
    await Promise.all(Array.from({ length: 10 }, get));
    expect(asked.filter((each) => each.startsWith("get"))).toEqual(["get 1", ...Array(5).fill("get 2")]);
  });

  test("what waits is bounded", async () => {
    const stuck = Promise.withResolvers<void>();
    const store = createSlowStore();
    const { entries } = createCoalescedBackend({
      ...store.inner,
      entries: {
        ...present(store.inner.entries),
        async get(_, keys) {
          await stuck.promise;
          return keys.map(() => undefined);
        },
      },
    });
    const calls: Promise<unknown>[] = [];
    const overloaded: unknown[] = [];
    for (let i = 0; i < 40_000; i++) {
      calls.push(
        present(entries)
          .get("a", [`k${i}`], CALL)
          .catch((error: PrismError) => overloaded.push(error.reason)),
      );
      if (i % 1000 === 0) {
        await nextTurn();
      }
    }
    stuck.resolve();
    await Promise.all(calls);
    expect(overloaded.length).toBeGreaterThan(10_000);
    expect(overloaded.length).toBeLessThan(40_000 - 16_384);
    expect(new Set(overloaded)).toEqual(new Set(["overloaded"]));
  });
});

test("calls on a key keep their order, whatever is under way", async () => {
  const key = fc.constantFrom("a", "b", "c");
  const step = fc.oneof(
    fc.record({
      kind: fc.constantFrom("get", "exists", "delete", "pop", "length"),
      keys: fc.array(key, { minLength: 1, maxLength: 2 }),
    }),
    fc.record({ kind: fc.constantFrom("set", "push"), keys: fc.array(key, { minLength: 1, maxLength: 2 }) }),
    fc.record({ kind: fc.constant("turn" as const), keys: fc.constant([] as string[]) }),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 40 }),
      fc.infiniteStream(fc.nat(3)),
      async (steps, delays) => {
        const oracle = createMemoryBackend({ type: "memory" }, { clock: createManualClock() });
        const store = createSlowStore(() => Number(delays.next().value));
        const answers: Promise<unknown>[] = [];
        const expected: unknown[] = [];
        for (const [i, { kind, keys }] of steps.entries()) {
          if (kind === "turn") {
            await nextTurn();
            continue;
          }
          const ask = ({ entries, lists }: Pick<Backend, "entries" | "lists">): Promise<unknown> => {
            switch (kind) {
              case "get":
                return present(entries).get("n", keys, CALL).then(texts);
              case "exists":
                return present(entries).exists("n", keys, CALL);
              case "delete":
                return present(entries).delete("n", keys, CALL);
              case "set":
                return present(entries).set(
                  "n",
                  keys.flatMap((each) => write(each, String(i))),
                  CALL,
                );
              case "push":
                return present(lists).push(
                  "n",
                  keys.map((each) => ({ key: each, end: "left" as const, value: bytes(String(i)) })),
                  CALL,
                );
              case "pop":
                return present(lists)
                  .pop(
                    "n",
                    keys.map((each) => ({ key: each, end: "right" as const })),
                    CALL,
                  )
                  .then(texts);
              case "length":
                return present(lists).length("n", keys, CALL);
              default:
                throw new Error(kind);
            }
          };
          answers.push(ask(store));
          expected.push(await ask(oracle));
        }
        expect(await Promise.all(answers)).toEqual(expected);
        expect(store.most).toBeLessThanOrEqual(8);
      },
    ),
    { numRuns: 300 },
  );
});

test("the queues of namespaces that rest or are gone are dropped", async () => {
  const queues = new Queues(4);
  const memory = createMemoryBackend({ type: "memory" }, { clock: createManualClock() });
  const { promise, resolve } = Promise.withResolvers<void>();
  const busy = queues.of("busy");
  const resting = queues.of("resting");
  const answer = busy.add(
    {
      ...OPERATIONS.entries.get,
      async run(namespace, keys, call) {
        await promise;
        return await present(memory.entries).get(namespace, keys, call);
      },
    },
    ["k"],
    CALL,
  );
  await nextTurn();
  for (let i = 0; i < 10; i++) {
    queues.of(`n${i}`);
  }
  expect(queues.of("busy")).toBe(busy);
  expect(queues.of("resting")).not.toBe(resting);
  resolve();
  expect(await answer).toEqual([undefined]);
});

describe("by key", () => {
  test("writes to many keys together hold a bounded number of bytes, and a single one any", async () => {
    const bound = (inner: Backend) => createKeyCoalescedBackend(inner, 100);
    const { entries } = createSlowStore(() => 1, bound);
    const set = (key: string, size: number) => entries.set("a", write(key, "v".repeat(size)), CALL);
    const outcomes = await Promise.allSettled([set("k1", 200), set("k2", 1)]);
    expect(outcomes).toMatchObject([
      { status: "fulfilled" },
      { status: "rejected", reason: { reason: "overloaded" } },
    ]);
    await Promise.all([set("k1", 30), set("k2", 30)]);
  });

  test("only writes to one key share a call; reads, and writes to several keys, go out at once", async () => {
    const { entries, asked } = createSlowStore(() => 1, createKeyCoalescedBackend);
    const set = (key: string) => entries.set("a", write(key, "1"), CALL);
    const both = [...write("k1", "2"), ...write("k2", "2")];
    const reads = [entries.get("a", ["k1"], CALL), entries.get("a", ["k1"], CALL)];
    await Promise.all([set("k1"), set("k1"), set("k1"), set("k2"), entries.set("a", both, CALL), ...reads]);
    expect(asked.toSorted()).toEqual(["get 1", "get 1", "set 1", "set 2", "set 3"]);
  });
});
