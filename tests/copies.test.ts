/**
 * Copies out of each store: entries page by page, as `prism export` reads them, and whole
 * namespaces.
 */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { expect, test } from "vitest";
import { PrismClient } from "../client/node.ts";
import { postgresSchema } from "../server/backend/postgres/config.ts";
import { redisSchema } from "../server/backend/redis/config.ts";
import type { BackendConfig } from "../server/backend/rooms.ts";
import { sqliteSchema } from "../server/backend/sqlite/config.ts";
import { createTestDatabase, hasTestDatabase } from "./helpers/postgres.ts";
import { prism, temporaryFolder } from "./helpers/process.ts";
import { createTestRedis, hasTestRedis } from "./helpers/redis.ts";
import { startTestServer } from "./helpers/server.ts";

/** Commands are processes of their own, and take seconds on a busy machine. */
const SLOW = { timeout: 300_000 };

/** Each page ends at 256 KiB before it ends at 1,024 entries, at one place or another. */
const ENTRIES = 3000;
const bytesOf = (i: number) => Buffer.alloc(i % 700, i);

async function copies(store: BackendConfig): Promise<void> {
  const name = `n${randomUUID()}`;
  await using server = await startTestServer({
    adjust: (config) => ({
      ...config,
      backends: { store },
      namespaces: [{ name, pattern: "keyvalue", backend: "store" }],
    }),
  });
  await using client = new PrismClient(server.address, { namespace: name });
  const keys = Array.from({ length: ENTRIES }, (_, i) => `k${String(i).padStart(5, "0")}`);
  // Every third one expires.
  await client.keyvalue.setMany(
    keys.map((key, i) => (i % 3 === 0 ? [key, bytesOf(i), 1000 + i] : [key, bytesOf(i)])),
  );
  const found: string[] = [];
  let pages = 0;
  for await (const page of client.keyvalue.pages({ start: "k00001" })) {
    pages++;
    for (const { key, value, ttlMs } of page) {
      const i = found.length + 1;
      expect(bytesOf(i).equals(value)).toBe(true);
      const leftMs = i % 3 === 0 ? (1000 + i) * 1000 : undefined;
      expect(ttlMs === undefined).toBe(leftMs === undefined);
      expect(ttlMs ?? 0).toBeLessThanOrEqual(leftMs ?? 0);
      expect(ttlMs ?? 0).toBeGreaterThan((leftMs ?? 0) - 300_000);
      found.push(key);
    }
  }
  expect(found).toEqual(keys.slice(1));
  expect(pages).toBeGreaterThan(2);
}

/** Names that a store could confuse, in byte order. */
const NAMES = ["a", "a\0", "a:b", "a{b}", "a\u{ffff}", "a😀", "b"];

/** All that a namespace has, without times. */
async function contentOf({ keyvalue, list, records }: PrismClient): Promise<object> {
  const entries = (await Array.fromAsync(keyvalue.pages())).flat();
  const lists = await Array.fromAsync(list.names());
  const ids = await Array.fromAsync(records.ids());
  return {
    entries: entries.map(({ key, value, ttlMs }) => [key, [...value], ttlMs !== undefined]),
    lists: await Promise.all(lists.map(async (key) => [key, await Array.fromAsync(list.range(key))])),
    records: await Promise.all(
      ids.map(async (id) => {
        const items = await records.get(id);
        return [id, items.map(({ key, value, ttlSeconds }) => [key, value, ttlSeconds !== undefined])];
      }),
    ),
  };
}

/** An export of a namespace and its import into another one. */
async function wholeCopy(store: BackendConfig): Promise<void> {
  const [from, to] = [`f${randomUUID()}`, `t${randomUUID()}`];
  await using folder = await temporaryFolder();
  await using server = await startTestServer({
    adjust: (config) => ({
      ...config,
      backends: { store },
      namespaces: [from, to].map((name) => ({ name, pattern: "keyvalue", backend: "store" })),
    }),
  });
  await using source = new PrismClient(server.address, { namespace: from });
  await using copy = new PrismClient(server.address, { namespace: to });
  for (const [i, name] of NAMES.entries()) {
    await source.keyvalue.set(name, bytesOf(i * 40), { ttlSeconds: i === 2 ? 1000 : 0 });
    for (let n = 0; n <= i; n++) {
      await source.list.pushRight(name, bytesOf(i * 40 + n));
    }
    await source.records.put(
      name,
      [0, 1, 2].map((n) => ({ key: Uint8Array.of(255 - n), value: bytesOf(n), ttlSeconds: n * 1000 })),
    );
  }
  const file = join(folder.path, "all.jsonl");
  const run = (namespace: string, ...args: string[]) =>
    prism(args, { PRISM_ADDRESS: server.address, PRISM_NAMESPACE: namespace });
  expect(await run(from, "export", file)).toEqual({ code: 0, stdout: "", stderr: "" });
  expect(await run(to, "import", file)).toMatchObject({
    code: 0,
    stdout: "7 entries, 7 lists, 7 records\n",
  });
  const content = await contentOf(source);
  expect(content).toMatchObject({ lists: NAMES.map((name) => [name, expect.anything()]) });
  expect(await contentOf(copy)).toEqual(content);
}

test("from SQLite", SLOW, async () => {
  await using folder = await temporaryFolder();
  const store = sqliteSchema.parse({ type: "sqlite", path: join(folder.path, "prism.db") });
  await copies(store);
  await wholeCopy(store);
});

test.runIf(hasTestDatabase())("from PostgreSQL", SLOW, async () => {
  await using database = await createTestDatabase();
  const store = postgresSchema.parse({ type: "postgres", url: database.url });
  await copies(store);
  await wholeCopy(store);
});

test.runIf(hasTestRedis()).each([1, 3])("from Redis with %i shards", SLOW, async (shards) => {
  await using redis = await createTestRedis();
  const store = redisSchema.parse({ type: "redis", url: redis.url, shards });
  await copies(store);
  await wholeCopy(store);
});
