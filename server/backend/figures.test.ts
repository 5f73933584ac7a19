import { describe, expect, onTestFinished, test } from "vitest";
import { temporaryFolder } from "../../tests/helpers/process.ts";
import { PrismError } from "../errors.ts";
import { bytes, CALL, present } from "./conformance/harness.ts";
import { createManualClock } from "./conformance/manual-clock.ts";
import { type Backend, createCall } from "./contract.ts";
import { createBackend } from "./factory.ts";
import { sumFigures } from "./figures.ts";
import { createBreakerBackend } from "./layers/breaker.ts";
import { createCoalescedBackend } from "./layers/coalesced.ts";
import { createShardedBackend } from "./layers/sharded.ts";
import { createMemoryBackend } from "./memory/backend.ts";

function memory(more: Partial<Backend> = {}): Backend {
  return { ...createMemoryBackend({ type: "memory" }, { clock: createManualClock() }), ...more };
}

const entry = [{ key: "a", value: bytes("value"), ttlMs: 0 }];

describe("figures", () => {
  test("add up; who tells nothing adds nothing", () => {
    const one = { figures: () => ({ queuedCalls: 1, queuedBytes: 10 }) };
    const other = { figures: () => ({ queuedCalls: 2, breakers: 1 }) };
    expect(sumFigures([one, {}, other])?.()).toEqual({ queuedCalls: 3, queuedBytes: 10, breakers: 1 });
    expect(sumFigures([{}, {}])).toBeUndefined();
  });

  test("of shards are those of all", async () => {
    const shards = [1, 2].map((queuedCalls) => memory({ figures: () => ({ queuedCalls }) }));
    expect(createShardedBackend(shards).figures?.()).toEqual({ queuedCalls: 3 });
  });

  test("tell what waits for its turn at the store", async () => {
    const backend = createCoalescedBackend(memory());
    await backend.open();
    onTestFinished(() => backend.close());
    const work = present(backend.entries).set("n", entry, CALL);
    expect(backend.figures?.()).toEqual({ queuedCalls: 1, queuedBytes: 6 });
    await work;
    expect(backend.figures?.()).toEqual({ queuedCalls: 0, queuedBytes: 0 });
  });

  test("tell a part of the store that is away", async () => {
    let isAway = false;
    const inner = memory();
    const away = async () => {
      if (isAway) {
        throw new PrismError("store_unavailable", "away");
      }
    };
    const get: NonNullable<Backend["entries"]>["get"] = async (...args) => {
      await away();
      return await present(inner.entries).get(...args);
    };
    const backend = createBreakerBackend({
      ...inner,
      entries: { ...present(inner.entries), get },
      check: away,
    });
    await backend.open();
    onTestFinished(() => backend.close());
    expect(backend.figures?.()).toEqual({ breakers: 1, breakersOpen: 0 });
    isAway = true;
    await expect(present(backend.entries).get("n", ["a"], CALL)).rejects.toThrow("away");
    expect(backend.figures?.()).toEqual({ breakers: 1, breakersOpen: 1 });
  });

  test("of SQLite and of the layers around it come through, also while it is closed", async () => {
    await using folder = await temporaryFolder();
    const backend = await createBackend({ type: "sqlite", path: `${folder.path}/prism.db` });
    expect(backend.figures?.()).toEqual({ waitingPops: 0 });
    await backend.open();
    const leave = new AbortController();
    const wait = { key: "list", end: "left", waitMs: 60_000 } as const;
    const pop = present(backend.listBlocking).blockingPop("n", wait, createCall(leave.signal));
    const work = present(backend.entries).set("n", entry, CALL);
    await expect.poll(() => backend.figures?.()).toMatchObject({ waitingPops: 1 });
    await work;
    await expect.poll(() => backend.figures?.()).toMatchObject({ queuedCalls: 0, queuedBytes: 0 });
    leave.abort();
    await expect(pop).rejects.toMatchObject({ reason: "canceled" });
    expect(backend.figures?.()).toMatchObject({ waitingPops: 0 });
    await backend.close();
  });
});
