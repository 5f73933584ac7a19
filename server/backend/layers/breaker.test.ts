import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { PrismError, ReadOnlyError, StartError } from "../../errors.ts";
import { bytes, CALL, present } from "../conformance/harness.ts";
import { createManualClock } from "../conformance/manual-clock.ts";
import { memoryHarness } from "../conformance/memory-harness.ts";
import { describeBackend } from "../conformance/suite.ts";
import type { Backend } from "../contract.ts";
import { createMemoryBackend } from "../memory/backend.ts";
import { createBreakerBackend } from "./breaker.ts";

describeBackend(memoryHarness("memory behind a breaker", (inner) => createBreakerBackend(inner)));

/** A store that can be away, and counts the calls that reach it. */
function createFlaky() {
  const memory = createMemoryBackend({ type: "memory" }, { clock: createManualClock() });
  const entries = present(memory.entries);
  const state = { away: undefined as PrismError | undefined, calls: 0, opens: 0, checks: 0 };
  const answer = () => {
    if (state.away !== undefined) {
      throw state.away;
    }
  };
  const inner: Backend = {
    ...memory,
    async open() {
      state.opens++;
      answer();
    },
    async check() {
      state.checks++;
      answer();
    },
    entries: {
      ...entries,
      async get(namespace, keys, call) {
        state.calls++;
        answer();
        return await entries.get(namespace, keys, call);
      },
    },
  };
  return { state, inner };
}

const away = () => new PrismError("store_unavailable", "away");

describe("a store that goes away", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test("is not called any more, until it says that it is back", async () => {
    const { state, inner } = createFlaky();
    const backend = createBreakerBackend(inner);
    await backend.open();
    const entries = present(backend.entries);
    const get = () => entries.get("n", ["k"], CALL);
    await entries.set("n", [{ key: "k", value: bytes("1"), ttlMs: 0 }], CALL);
    state.away = away();
    for (let i = 0; i < 20; i++) {
      await expect(get()).rejects.toMatchObject({ reason: "store_unavailable" });
    }
    expect(state.calls).toBe(1);
    await expect(backend.check()).rejects.toMatchObject({ reason: "store_unavailable" });

    await vi.advanceTimersByTimeAsync(2000);
    await expect(get()).rejects.toMatchObject({ reason: "store_unavailable", cause: state.away });
    expect(state.calls).toBe(1);
    expect(state.checks).toBeGreaterThan(4);

    state.away = undefined;
    await vi.advanceTimersByTimeAsync(500);
    expect(await get()).toHaveLength(1);
    await backend.check();
    await backend.close();
    const { checks } = state;
    await vi.advanceTimersByTimeAsync(5000);
    expect(state.checks).toBe(checks);
  });

  test("holds nobody up while it is asked whether it is back", async () => {
    const { state, inner } = createFlaky();
    const stuck = Promise.withResolvers<void>();
    const backend = createBreakerBackend({ ...inner, check: () => stuck.promise });
    await backend.open();
    const get = () => present(backend.entries).get("n", ["k"], CALL);
    state.away = away();
    await expect(get()).rejects.toMatchObject({ reason: "store_unavailable" });
    await vi.advanceTimersByTimeAsync(500);
    await expect(get()).rejects.toMatchObject({ reason: "store_unavailable" });
    expect(state.calls).toBe(1);
    state.away = undefined;
    stuck.resolve();
    await vi.advanceTimersByTimeAsync(0);
    expect(await get()).toEqual([undefined]);
    await backend.close();
  });

  test("and is back when it takes no writes", async () => {
    const { state, inner } = createFlaky();
    const backend = createBreakerBackend(inner);
    await backend.open();
    const get = () => present(backend.entries).get("n", ["k"], CALL);
    state.away = away();
    await expect(get()).rejects.toBe(state.away);
    state.away = new ReadOnlyError("takes no writes");
    await vi.advanceTimersByTimeAsync(500);
    state.away = undefined;
    expect(await get()).toEqual([undefined]);
    expect(state.checks).toBe(1);
  });

  test("but not one that fails calls for other reasons", async () => {
    const { state, inner } = createFlaky();
    const backend = createBreakerBackend(inner);
    await backend.open();
    state.away = new PrismError("store_full", "full");
    for (let i = 0; i < 20; i++) {
      await expect(present(backend.entries).get("n", ["k"], CALL)).rejects.toMatchObject({
        reason: "store_full",
      });
    }
    expect(state.calls).toBe(20);
  });

  test("at the start is waited for a while, and then left to the background", async () => {
    const { state, inner } = createFlaky();
    state.away = away();
    const backend = createBreakerBackend(inner, 2000);
    let opened = false;
    const opening = backend.open().then(() => {
      opened = true;
    });
    await vi.advanceTimersByTimeAsync(1900);
    expect([opened, state.opens]).toEqual([false, 4]);
    await vi.advanceTimersByTimeAsync(100);
    await opening;
    const get = () => present(backend.entries).get("n", ["k"], CALL);
    await expect(get()).rejects.toMatchObject({ reason: "store_unavailable", cause: state.away });
    expect(state.calls).toBe(0);
    state.away = undefined;
    await vi.advanceTimersByTimeAsync(500);
    expect(await get()).toEqual([undefined]);
    await backend.close();
    const { opens } = state;
    await vi.advanceTimersByTimeAsync(5000);
    expect(state.opens).toBe(opens);
  });

  test("and is closed meanwhile leaves nothing behind", async () => {
    const { state, inner } = createFlaky();
    state.away = away();
    const backend = createBreakerBackend(inner, 100);
    const opening = backend.open();
    await vi.advanceTimersByTimeAsync(100);
    await opening;
    const closing = backend.close();
    await vi.advanceTimersByTimeAsync(0);
    await closing;
    const { opens } = state;
    await vi.advanceTimersByTimeAsync(5000);
    expect(state.opens).toBe(opens);
  });

  test("that an operator has to see to is no reason to wait", async () => {
    const { state, inner } = createFlaky();
    state.away = new StartError("a newer Prism was here");
    await expect(createBreakerBackend(inner).open()).rejects.toThrow("a newer Prism was here");
    expect(state.opens).toBe(1);
  });
});
