import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { createTestDatabase, hasTestDatabase } from "../../tests/helpers/postgres.ts";
import { temporaryFolder } from "../../tests/helpers/process.ts";
import { createTestRedis, hasTestRedis } from "../../tests/helpers/redis.ts";
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
import { backendSchema } from "./rooms.ts";

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

  test.runIf(hasTestDatabase())("of PostgreSQL have its pool", async () => {
    await using server = await createTestDatabase();
    const options = { type: "postgres", url: server.url, schema: "figures", pool: { max: 3 } };
    const backend = await createBackend(backendSchema.parse(options));
    expect(backend.figures?.()).toMatchObject({ breakers: 1, breakersOpen: 1 });
    await backend.open();
    onTestFinished(() => backend.close());
    const gets = Array.from({ length: 20 }, (_, i) => present(backend.scans).count(`n${i}`, "", CALL));
    const seen = { used: 0, waiting: 0 };
    const watch = async () => {
      for (let isOver = false; !isOver; ) {
        const { connectionsUsed = 0, connectionWaits = 0 } = backend.figures?.() ?? {};
        seen.used = Math.max(seen.used, connectionsUsed);
        seen.waiting = Math.max(seen.waiting, connectionWaits);
        isOver = await Promise.race([Promise.all(gets).then(() => true), nextTurn(false)]);
      }
    };
    await watch();
    expect(seen.used).toBeGreaterThan(0);
    expect(seen.waiting).toBeGreaterThan(10);
    await expect
      .poll(() => backend.figures?.())
      .toMatchObject({
        connectionsUsed: 0,
        connectionsMax: 3,
        connectionWaits: 0,
        breakersOpen: 0,
        queuedCalls: 0,
      });
    expect(backend.figures?.().connectionsIdle).toBeGreaterThan(0);
  });

  test.runIf(hasTestRedis())("of Redis have its connections once, and each shard that is away", async () => {
    await using redis = await createTestRedis();
    const options = { type: "redis", url: redis.url, key_prefix: `figures-${process.pid}` };
    const backend = await createBackend(backendSchema.parse(options));
    await backend.open();
    onTestFinished(() => backend.close());
    const { breakers, ...figures } = backend.figures?.() ?? {};
    expect(figures).toMatchObject({ connectionsUsed: 1, breakersOpen: 0, queuedCalls: 0 });
    expect(breakers).toBeGreaterThan(0);
  });

  test("of SQLite and of the layers around it come through, also while it is closed", async () => {
    await using folder = await temporaryFolder();
    const backend = await createBackend({ type: "sqlite", path: `${folder.path}/prism.db` });
    expect(backend.figures?.()).toEqual({ waitingPops: 0, waitingTails: 0 });
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
