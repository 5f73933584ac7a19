import { describe, expect, test } from "vitest";
import { waitFor } from "../../../tests/helpers/until.ts";
import { bytes, CALL, NAMESPACE, present } from "../conformance/harness.ts";
import { createManualClock } from "../conformance/manual-clock.ts";
import { appendTexts, describeTails, payloadsOf, waitEvents } from "../conformance/tails.ts";
import type { Backend, StreamListener, StreamStore } from "../contract.ts";
import { createBackend } from "../factory.ts";
import { createMemoryBackend } from "../memory/backend.ts";
import { createGuardedBackend } from "./guarded.ts";
import { createTailsBackend } from "./tails.ts";
import { createWatchedBackend } from "./watched.ts";

describeTails("memory", async () => {
  const backend = await createBackend({ type: "memory" });
  await backend.open();
  return { backends: [backend], [Symbol.asyncDispose]: () => backend.close() };
});

/** A memory store whose reads are counted, and can be held up or fail. */
async function openStore() {
  const clock = createManualClock();
  const memory = createMemoryBackend({ type: "memory" }, { clock });
  const inner = present(memory.streams);
  const listeners = new Set<StreamListener>();
  const store = {
    reads: 0,
    /** Each read has its page when it waits for this. */
    gate: Promise.resolve(),
    fails: false,
    listeners,
    clock,
    backend: memory as Backend,
  };
  const streams: StreamStore = {
    ...inner,
    async readEvents(namespace, reads, call) {
      store.reads++;
      if (store.fails) {
        throw new Error("chosen to fail");
      }
      const answers = await inner.readEvents(namespace, reads, call);
      await store.gate;
      return answers;
    },
  };
  const watched = createWatchedBackend({ ...memory, streams });
  const { watchStreams } = watched;
  store.backend = createTailsBackend(
    createGuardedBackend({
      ...watched,
      watchStreams(listener) {
        listeners.add(listener);
        const stop = present(watchStreams)(listener);
        return () => {
          listeners.delete(listener);
          stop();
        };
      },
    }),
  );
  await store.backend.open();
  return store;
}

type Store = Awaited<ReturnType<typeof openStore>>;

/** Counts the reads while `run` runs. */
async function readsOf(store: Store, run: () => Promise<unknown>): Promise<number> {
  const before = store.reads;
  await run();
  return store.reads - before;
}

const TAILS = 2000;

/** Waits of many readers at one place. */
function waitAll(store: Store, offset: number, count = TAILS) {
  return Array.from({ length: count }, () => waitEvents(store.backend, "a", { offset }));
}

describe("reads that wait", () => {
  test("2,000 at one place cost one read, and one more for each append", async () => {
    const store = await openStore();
    await appendTexts(store.backend, "a", ["0"]);
    let waits = waitAll(store, 0);
    await Promise.all(waits);
    expect(store.reads).toBe(1);
    for (let offset = 1; offset < 20; offset++) {
      waits = waitAll(store, offset);
      const reads = await readsOf(store, async () => {
        await appendTexts(store.backend, "a", [String(offset)]);
        for (const page of await Promise.all(waits)) {
          expect(payloadsOf(page)).toEqual([String(offset)]);
        }
      });
      expect(reads).toBe(1);
    }
    await store.backend.close();
  });

  test("2,000 that begin at the end cost two reads, wherever the end is", async () => {
    const store = await openStore();
    await appendTexts(store.backend, "a", ["0", "1"]);
    const waits = waitAll(store, Infinity);
    await appendTexts(store.backend, "b", ["other"]);
    // The first one began a read, and the others share the next one.
    await waitFor(() => expect(store.reads).toBe(2));
    await waitEvents(store.backend, "a", { offset: 2, waitMs: 1 });
    await appendTexts(store.backend, "a", ["2"]);
    expect((await Promise.all(waits)).map((page) => page?.next)).toEqual(waits.map(() => 3));
    expect(store.reads).toBe(3);
    await store.backend.close();
  });

  test("who begins at the end hears nothing from before, also while another's read of it is under way", async () => {
    const store = await openStore();
    const { backend } = store;
    await appendTexts(backend, "a", ["0"]);
    const gate = Promise.withResolvers<void>();
    store.gate = gate.promise;
    const first = waitEvents(backend, "a", { offset: Infinity });
    await appendTexts(backend, "a", ["1"]);
    const second = waitEvents(backend, "a", { offset: Infinity });
    gate.resolve();
    expect(payloadsOf(await first)).toEqual(["1"]);
    expect(await waitEvents(backend, "a", { offset: Infinity, waitMs: 1 })).toMatchObject({ next: 2 });
    await appendTexts(backend, "a", ["2"]);
    expect(payloadsOf(await second)).toEqual(["2"]);
    await backend.close();
  });

  test("who waits for a read of the end leaves when the store closes, and the next ones too", async () => {
    const store = await openStore();
    await appendTexts(store.backend, "a", ["0"]);
    const gate = Promise.withResolvers<void>();
    store.gate = gate.promise;
    const waits = waitAll(store, Infinity, 3);
    const closed = store.backend.close();
    for (const outcome of await Promise.allSettled(waits)) {
      expect(outcome).toMatchObject({ status: "rejected", reason: { reason: "shutting_down" } });
    }
    gate.resolve();
    await closed;
  });

  test("those who are some pages behind the others get what these have read", async () => {
    const store = await openStore();
    await appendTexts(store.backend, "a", ["0"]);
    for (let offset = 0; offset < 10; offset++) {
      await waitEvents(store.backend, "a", { offset });
      await appendTexts(store.backend, "a", [String(offset + 1)]);
    }
    await waitEvents(store.backend, "a", { offset: 10 });
    const reads = await readsOf(store, async () => {
      for (let offset = 0; offset < 10; offset++) {
        for (const page of await Promise.all(waitAll(store, offset))) {
          expect(page?.events[0]).toMatchObject({ offset });
        }
      }
    });
    expect(reads).toBe(0);
    await store.backend.close();
  });

  test("what was read of a stream that is deleted meanwhile reaches nobody", async () => {
    const store = await openStore();
    const { backend } = store;
    await appendTexts(backend, "a", ["0", "1"]);
    await waitEvents(backend, "a");
    await present(backend.streams).deleteStream(NAMESPACE, ["a"], CALL);
    expect(await Promise.all(waitAll(store, 0, 3))).toEqual([undefined, undefined, undefined]);
    await appendTexts(backend, "a", ["new"]);
    expect(await waitEvents(backend, "a", { offset: 2 })).toBeUndefined();
    expect(payloadsOf(await waitEvents(backend, "a"))).toEqual(["new"]);
    await backend.close();
  });

  test("an event that comes while the end is being read is not missed", async () => {
    const store = await openStore();
    await appendTexts(store.backend, "a", ["0"]);
    const gate = Promise.withResolvers<void>();
    store.gate = gate.promise;
    const wait = waitEvents(store.backend, "a", { offset: 1 });
    const end = waitEvents(store.backend, "a", { offset: Infinity });
    await appendTexts(store.backend, "a", ["1"]);
    gate.resolve();
    expect(payloadsOf(await wait)).toEqual(["1"]);
    expect(payloadsOf(await end)).toEqual(["1"]);
    await store.backend.close();
  });

  test("a read that fails is told to those who wait for it, and the next ones read again", async () => {
    const store = await openStore();
    await appendTexts(store.backend, "a", ["0"]);
    const waits = waitAll(store, 1, 10);
    await waitEvents(store.backend, "a");
    store.fails = true;
    const failures = waits.map((wait) => expect(wait).rejects.toMatchObject({ reason: "internal" }));
    for (const listener of store.listeners) {
      listener.missed();
    }
    await Promise.all(failures);
    store.fails = false;
    const again = waitAll(store, 1, 10);
    await appendTexts(store.backend, "a", ["1"]);
    for (const page of await Promise.all(again)) {
      expect(payloadsOf(page)).toEqual(["1"]);
    }
    await store.backend.close();
  });

  test("nobody looks again and again: an idle store is not read, and a missed change is found", async () => {
    const store = await openStore();
    await appendTexts(store.backend, "a", ["0"]);
    const waits = waitAll(store, 1, 10);
    await waitEvents(store.backend, "a", { offset: 1, waitMs: 1 });
    const reads = await readsOf(store, async () => {
      await waitEvents(store.backend, "a", { offset: 1, waitMs: 50 });
      await appendTexts(store.backend, "b", ["other"]);
    });
    expect(reads).toBe(0);
    for (const listener of store.listeners) {
      listener.missed();
    }
    await appendTexts(store.backend, "a", ["1"]);
    await Promise.all(waits);
    await store.backend.close();
  });

  test("nothing of a deleted stream is in the one that is made again", async () => {
    const store = await openStore();
    const streams = present(store.backend.streams);
    await appendTexts(store.backend, "a", ["old", "old", "old"]);
    // Read one by one, so that each is remembered at its own place.
    for (const offset of [3, 4, 5]) {
      const waiting = waitEvents(store.backend, "a", { offset });
      await appendTexts(store.backend, "a", ["old"]);
      expect(payloadsOf(await waiting)).toEqual(["old"]);
    }
    await streams.deleteStream(NAMESPACE, ["a"], CALL);
    await appendTexts(store.backend, "a", ["new", "new", "new"]);
    const first = await waitEvents(store.backend, "a");
    expect(payloadsOf(first)).toEqual(["new", "new", "new"]);
    const next = waitEvents(store.backend, "a", { offset: 3 });
    await appendTexts(store.backend, "a", ["new"]);
    expect(payloadsOf(await next)).toEqual(["new"]);
    await store.backend.close();
  });

  test("a read that began before a stream was deleted is made again", async () => {
    const store = await openStore();
    await appendTexts(store.backend, "a", ["old"]);
    const gate = Promise.withResolvers<void>();
    store.gate = gate.promise;
    const waiting = waitEvents(store.backend, "a");
    await waitFor(() => expect(store.reads).toBeGreaterThan(0));
    await present(store.backend.streams).deleteStream(NAMESPACE, ["a"], CALL);
    await appendTexts(store.backend, "a", ["new"]);
    gate.resolve();
    expect(payloadsOf(await waiting)).toEqual(["new"]);
    await store.backend.close();
  });

  test("what a shorter retention hides is not read from memory", async () => {
    const store = await openStore();
    const streams = present(store.backend.streams);
    const aged = { timestampMs: store.clock.now() - 172_800_000, payload: bytes("aged"), tags: {} };
    const append = { stream: "a", events: [aged], retentionMs: 0, refusesExpired: false };
    await streams.appendEvents(NAMESPACE, [append], CALL);
    expect(payloadsOf(await waitEvents(store.backend, "a"))).toEqual(["aged"]);
    const create = { stream: "a", retentionMs: 86_400_000, partitions: 0, replicationFactor: 0 };
    await streams.createStream(NAMESPACE, [create], CALL);
    expect(payloadsOf(await waitEvents(store.backend, "a", { waitMs: 1 }))).toEqual([]);
    await store.backend.close();
  });

  test("too many are refused", async () => {
    const store = await openStore();
    await appendTexts(store.backend, "a", ["0"]);
    const ends = waitAll(store, 1, 16_384).map((wait) => wait.catch(({ reason }) => reason));
    await expect(waitEvents(store.backend, "a")).rejects.toMatchObject({ reason: "overloaded" });
    expect(store.backend.figures?.()).toMatchObject({ waitingTails: 16_384 });
    await store.backend.close();
    expect(new Set(await Promise.all(ends))).toEqual(new Set(["shutting_down"]));
    expect(store.listeners.size).toBe(0);
  });
});
