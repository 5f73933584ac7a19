import { describe, expect, test } from "vitest";
import { blockingPop, describeBlocking, pushTexts } from "../conformance/blocking.ts";
import { CALL, NAMESPACE, present, texts } from "../conformance/harness.ts";
import { createManualClock } from "../conformance/manual-clock.ts";
import { seeded } from "../conformance/seeded.ts";
import { type Backend, createCall, type ListStore, SILENT } from "../contract.ts";
import { createBackend } from "../factory.ts";
import { createMemoryBackend } from "../memory/backend.ts";
import { createBlockingBackend, MAX_LIST_WAITING_CALLS } from "./blocking.ts";
import { createGuardedBackend } from "./guarded.ts";
import { createWatchedBackend } from "./watched.ts";

describeBlocking("memory", async () => {
  const backend = await createBackend({ type: "memory" });
  await backend.open();
  return { backends: [backend], [Symbol.asyncDispose]: () => backend.close() };
});

/** A memory store whose calls on lists are counted, and can be held up. */
async function openStore() {
  const memory = createMemoryBackend({ type: "memory" }, { clock: createManualClock() });
  const inner = present(memory.lists);
  const errors: string[] = [];
  const store = {
    pops: 0,
    pushes: 0,
    /** Each pop has taken its value when it waits for this. */
    gate: Promise.resolve(),
    failsPush: false,
    errors,
    backend: memory as Backend,
  };
  const lists: ListStore = {
    ...inner,
    async pop(namespace, pops, call) {
      store.pops++;
      const answers = await inner.pop(namespace, pops, call);
      await store.gate;
      return answers;
    },
    async push(namespace, pushes, call) {
      store.pushes++;
      if (store.failsPush) {
        throw new Error("chosen to fail");
      }
      return inner.push(namespace, pushes, call);
    },
  };
  const log = { ...SILENT, error: (_fields: object, message: string) => errors.push(message) };
  const watched = createWatchedBackend({ ...memory, lists });
  store.backend = createBlockingBackend(createGuardedBackend(watched), log);
  await store.backend.open();
  return store;
}

async function allOf({ backend }: { readonly backend: Backend }, key: string) {
  const lists = present(backend.lists);
  const [length] = await lists.length(NAMESPACE, [key], CALL);
  const pops = Array.from({ length: Number(length) }, () => ({ key, end: "left" as const }));
  return texts(await lists.pop(NAMESPACE, pops, CALL));
}

describe("calls that wait", () => {
  test("a thousand that wait ask the store once, and once more for each value", async () => {
    const store = await openStore();
    const waits = Array.from({ length: 1000 }, () => blockingPop(store.backend, "a"));
    await pushTexts(store.backend, "b", ["other"]);
    expect(store.pops).toBe(1);
    for (let i = 0; i < 1000; i++) {
      await pushTexts(store.backend, "a", [String(i)]);
      expect(await waits[i]).toBe(String(i));
    }
    // A value is found by one pop, and the next pop finds the list empty.
    expect(store.pops).toBe(1 + 2 * 1000 - 1);
    await store.backend.close();
  });

  test("a value for a caller who left goes to the next one who wants that end, else back to that end", async () => {
    const store = await openStore();
    const { backend } = store;
    await pushTexts(backend, "a", ["1", "2", "3"]);
    const gate = Promise.withResolvers<void>();
    store.gate = gate.promise;
    const leaving = new AbortController();
    const gone = [
      blockingPop(backend, "a", "right", { signal: leaving.signal }),
      blockingPop(backend, "b", "left", { signal: leaving.signal }),
    ];
    const next = blockingPop(backend, "a", "left");
    const last = blockingPop(backend, "a", "right");
    leaving.abort();
    await Promise.all(gone.map((wait) => expect(wait).rejects.toMatchObject({ reason: "canceled" })));
    gate.resolve();
    expect(await Promise.all([next, last])).toEqual(["1", "3"]);

    const alone = new AbortController();
    const one = blockingPop(backend, "a", "right", { signal: alone.signal });
    const pushed = store.pushes;
    alone.abort();
    await expect(one).rejects.toMatchObject({ reason: "canceled" });
    await backend.close();
    expect(store.pushes).toBe(pushed + 1);
    expect(store.errors).toEqual([]);
  });

  test("a value that cannot be put back is told as lost", async () => {
    const store = await openStore();
    await pushTexts(store.backend, "a", ["1"]);
    store.failsPush = true;
    const leaving = new AbortController();
    const wait = blockingPop(store.backend, "a", "left", { signal: leaving.signal });
    leaving.abort();
    await expect(wait).rejects.toMatchObject({ reason: "canceled" });
    await store.backend.close();
    expect(store.errors).toEqual([expect.stringContaining("lost")]);
  });

  test("too many for one list are refused, and others can wait", async () => {
    const store = await openStore();
    const waits = Array.from({ length: MAX_LIST_WAITING_CALLS }, () =>
      blockingPop(store.backend, "a").catch(() => "ended"),
    );
    await expect(blockingPop(store.backend, "a")).rejects.toMatchObject({ reason: "overloaded" });
    const other = blockingPop(store.backend, "b");
    await pushTexts(store.backend, "b", ["1"]);
    expect(await other).toBe("1");
    await store.backend.close();
    expect(new Set(await Promise.all(waits))).toEqual(new Set(["ended"]));
  });

  test("100,000 times a caller leaves while a value comes: none is lost, and none comes twice", async () => {
    const store = await openStore();
    const { backend } = store;
    const { random, seed } = seeded();
    const rounds = 100_000;
    let ends = 0;
    for (let i = 0; i < rounds; i++) {
      const leaving = new AbortController();
      const wait = { key: "a", end: "left", waitMs: 60_000 } as const;
      const left = present(backend.listBlocking).blockingPop(NAMESPACE, wait, createCall(leaving.signal));
      const staying = random() < 0.3 ? blockingPop(backend, "a") : undefined;
      const pushed = pushTexts(backend, "a", [String(i)]);
      for (let turns = random() * 24; turns > 1; turns--) {
        await undefined;
      }
      leaving.abort();
      const got = await left.catch(() => undefined);
      await pushed;
      const values = got === undefined ? [] : [Buffer.from(got).toString()];
      if (staying !== undefined) {
        if (got !== undefined) {
          ends++;
          values.push(...(await wakeUp(backend, staying)));
        } else {
          values.push(String(await staying));
        }
      } else if (got === undefined) {
        // It may be on its way back: this pop waits for it.
        values.push(String(await blockingPop(backend, "a")));
      }
      if (values.length !== 1 || values[0] !== String(i)) {
        expect({ seed, i, values }).toEqual({ seed, i, values: [String(i)] });
      }
    }
    expect(await allOf(store, "a")).toEqual([]);
    // The race was run: some values were under way when their caller left, and were put back.
    expect(store.pushes - rounds - ends).toBeGreaterThan(rounds / 100);
    await backend.close();
  }, 240_000);
});

/** Ends a wait with a value that does not count. Answers what else it got. */
async function wakeUp(backend: Backend, wait: Promise<string | undefined>): Promise<string[]> {
  await pushTexts(backend, "a", ["end"]);
  const value = await wait;
  return value === "end" ? [] : [String(value)];
}
