/** Copies of many entries, page by page, out of each store: what `prism export` reads. */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { expect, test } from "vitest";
import { PrismClient } from "../client/node.ts";
import { postgresSchema } from "../server/backend/postgres/config.ts";
import { redisSchema } from "../server/backend/redis/config.ts";
import type { BackendConfig } from "../server/backend/rooms.ts";
import { sqliteSchema } from "../server/backend/sqlite/config.ts";
import { createTestDatabase, hasTestDatabase } from "./helpers/postgres.ts";
import { temporaryFolder } from "./helpers/process.ts";
import { createTestRedis, hasTestRedis } from "./helpers/redis.ts";
import { startTestServer } from "./helpers/server.ts";

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

test("from SQLite", async () => {
  await using folder = await temporaryFolder();
  await copies(sqliteSchema.parse({ type: "sqlite", path: join(folder.path, "prism.db") }));
});

test.runIf(hasTestDatabase())("from PostgreSQL", async () => {
  await using database = await createTestDatabase();
  await copies(postgresSchema.parse({ type: "postgres", url: database.url }));
});

test.runIf(hasTestRedis()).each([1, 3])("from Redis with %i shards", async (shards) => {
  await using redis = await createTestRedis();
  await copies(redisSchema.parse({ type: "redis", url: redis.url, shards }));
});
