/**
 * Lists against a real Redis: the same random commands, sent to Redis itself and to each store of
 * Prism, have the same answers and leave the same lists.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { answersOf, bytes, CALL, present, texts } from "../server/backend/conformance/harness.ts";
import type { Backend } from "../server/backend/contract.ts";
import { createBackend } from "../server/backend/factory.ts";
import type { ListEnd, ListInsert, ListPage, ListSlice } from "../server/backend/lists.ts";
import { postgresSchema } from "../server/backend/postgres/config.ts";
import { redisSchema } from "../server/backend/redis/config.ts";
import type { BackendConfig } from "../server/backend/rooms.ts";
import { createTestDatabase, hasTestDatabase, type TestDatabase } from "./helpers/postgres.ts";
import { createTestRedis, hasTestRedis, type TestRedis } from "./helpers/redis.ts";

const RUNS = Number(process.env.PRISM_TEST_RUNS ?? 40);
const SEED = process.env.PRISM_TEST_SEED;
const TIMEOUT_MS = 120_000 + RUNS * 2000;

/** One tag, so that a sharded store has them together. */
const KEYS = ["{t}a", "{t}b", "{t}c"] as const;

const key = fc.constantFrom(...KEYS);
const value = fc.constantFrom("", "x", "y", "z", "long".repeat(2000));
const end = fc.constantFrom<ListEnd>("left", "right");
const index = fc.oneof(fc.integer({ min: -7, max: 7 }), fc.constantFrom(-1, 0, -1_000_000, 1_000_000));
const start = index;
const stop = index;

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("push" as const), key, end, value }) },
  fc.record({ do: fc.constant("pop" as const), key, end }),
  fc.record({ do: fc.constant("length" as const), key }),
  fc.record({ do: fc.constant("range" as const), key, start, stop, page: fc.integer({ min: 1, max: 5 }) }),
  fc.record({ do: fc.constant("trim" as const), key, start, stop }),
  fc.record({ do: fc.constant("index" as const), key, index }),
  fc.record({ do: fc.constant("set" as const), key, index, value }),
  fc.record({
    do: fc.constant("insert" as const),
    key,
    side: fc.constantFrom<ListInsert["side"]>("before", "after"),
    pivot: value,
    value,
  }),
  fc.record({ do: fc.constant("remove" as const), key, value, count: fc.integer({ min: -3, max: 3 }) }),
  fc.record({ do: fc.constant("move" as const), key, end, to: key, toEnd: end }),
);

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** What a step answers, in the contract's terms. */
type Answer = unknown;

const ERRORS: readonly (readonly [text: string, answer: string])[] = [
  ["no such key", "absent"],
  ["index out of range", "outside"],
];

/** Makes a step on Redis itself. */
async function onRedis({ query }: TestRedis, each: Step): Promise<Answer> {
  const name = `direct:${each.key}`;
  const side = (of: ListEnd) => of.toUpperCase();
  switch (each.do) {
    case "push":
      return await query(each.end === "left" ? "LPUSH" : "RPUSH", name, each.value);
    case "pop":
      return await query(each.end === "left" ? "LPOP" : "RPOP", name);
    case "length":
      return await query("LLEN", name);
    case "range":
      return await query("LRANGE", name, each.start, each.stop);
    case "trim":
      await query("LTRIM", name, each.start, each.stop);
      return await query("LLEN", name);
    case "index":
      return await query("LINDEX", name, each.index);
    case "set":
      try {
        await query("LSET", name, each.index, each.value);
        return "put";
      } catch (error) {
        return ERRORS.find(([text]) => String(error).includes(text))?.[1];
      }
    case "insert": {
      const length = await query("LINSERT", name, each.side.toUpperCase(), each.pivot, each.value);
      const inserted = Number(length) > 0;
      return { inserted, length: inserted ? length : await query("LLEN", name) };
    }
    case "remove":
      return await query("LREM", name, each.count, each.value);
    case "move":
      return await query("LMOVE", name, `direct:${each.to}`, side(each.end), side(each.toEnd));
  }
}

/** Makes a step on a store of Prism. */
async function onStore(backend: Backend, each: Step): Promise<Answer> {
  const lists = present(backend.lists);
  const ranges = present(backend.listRanges);
  const indexes = present(backend.listIndexes);
  const moves = present(backend.listMoves);
  switch (each.do) {
    case "push":
      return (await answersOf(lists.push("n", [{ ...each, value: bytes(each.value) }], CALL)))[0];
    case "pop":
      return texts(await lists.pop("n", [each], CALL))[0] ?? null;
    case "length":
      return (await answersOf(lists.length("n", [each.key], CALL)))[0];
    case "range":
      return await readAll(backend, each, each.page);
    case "trim":
      return (await answersOf(ranges.trim("n", [each], CALL)))[0];
    case "index":
      return texts(await indexes.at("n", [each], CALL))[0] ?? null;
    case "set":
      return (await answersOf(indexes.put("n", [{ ...each, value: bytes(each.value) }], CALL)))[0];
    case "insert": {
      const insert = { ...each, pivot: bytes(each.pivot), value: bytes(each.value) };
      return (await answersOf(indexes.insert("n", [insert], CALL)))[0];
    }
    case "remove":
      return (await answersOf(indexes.remove("n", [{ ...each, value: bytes(each.value) }], CALL)))[0];
    case "move":
      return texts(await moves.move("n", [each], CALL))[0] ?? null;
  }
}

async function readAll(
  { listRanges }: Backend,
  range: { readonly key: string; readonly start: number; readonly stop: number },
  maxEntries: number,
): Promise<(string | undefined)[]> {
  const found: (string | undefined)[] = [];
  for (let next: ListPage["next"] = range; next !== undefined; ) {
    const slices: ListSlice[] = [{ key: range.key, ...next, maxEntries, maxBytes: 10_000 }];
    const page: ListPage = present((await answersOf(present(listRanges).slice("n", slices, CALL)))[0]);
    found.push(...texts(page.values));
    next = page.next;
  }
  return found;
}

const whole = (name: string) => ({ key: name, start: 0, stop: -1 });

describe.runIf(hasTestRedis())("random commands: as Redis answers, so does", () => {
  let redis: TestRedis | undefined;
  let database: TestDatabase | undefined;
  let directory = "";
  const hasDatabase = hasTestDatabase();

  beforeAll(async () => {
    redis = await createTestRedis();
    database = hasDatabase ? await createTestDatabase() : undefined;
    directory = await mkdtemp(join(tmpdir(), "prism-lists-"));
  });
  afterAll(async () => {
    await redis?.flush("direct:");
    await redis?.[Symbol.asyncDispose]();
    await database?.[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  });

  const prefix = `lists-${process.pid}`;
  const configs: Readonly<Record<string, () => BackendConfig>> = {
    memory: () => ({ type: "memory" }),
    sqlite: () => ({ type: "sqlite", path: join(directory, "prism.db") }),
    ...(hasDatabase && {
      postgres: () => postgresSchema.parse({ type: "postgres", url: present(database).url }),
    }),
    redis: () => redisSchema.parse({ type: "redis", url: present(redis).url, key_prefix: prefix, shards: 3 }),
  };

  test.each(Object.entries(configs))("%s", { timeout: TIMEOUT_MS }, async (_, config) => {
    const server = present(redis);
    const backend = await createBackend(config());
    await backend.open();
    const property = fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 60, size: "max" }),
      async (steps) => {
        await server.flush("direct:");
        const emptied = KEYS.map((name) => ({ key: name, start: 1, stop: 0 }));
        await answersOf(present(backend.listRanges).trim("n", emptied, CALL));
        for (const each of steps) {
          expect(await onStore(backend, each)).toEqual(await onRedis(server, each));
        }
        for (const name of KEYS) {
          const wanted = await server.query("LRANGE", `direct:${name}`, 0, -1);
          expect(await readAll(backend, whole(name), 100)).toEqual(wanted);
        }
      },
    );
    try {
      // A failure prints its seed and the shortest commands that show it.
      await fc.assert(property, { numRuns: RUNS, ...(SEED !== undefined && { seed: Number(SEED) }) });
    } finally {
      await backend.close();
      await server.flush(`{${prefix}:`);
    }
  });
});
