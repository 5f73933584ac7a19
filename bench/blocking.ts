/**
 * What do 1,000 pops that wait cost while nothing happens, and how soon after the start of a push
 * is the longest waiting awake? Directly at the stores; on PostgreSQL and Redis another gateway
 * pushes.
 */
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type Backend, createCall } from "../server/backend/contract.ts";
import { createBackend } from "../server/backend/factory.ts";
import { type BackendConfig, backendSchema } from "../server/backend/rooms.ts";
import { createTestDatabase, hasTestDatabase } from "../tests/helpers/postgres.ts";
import { temporaryFolder } from "../tests/helpers/process.ts";
import { createTestRedis, hasTestRedis } from "../tests/helpers/redis.ts";
import { report, rounded, writeReport } from "./harness/report.ts";

const WAITING = 1000;
const PUSHES = 2000;
const IDLE_MS = 2000;
const VALUE = Buffer.alloc(100, "v");
const CALL = createCall();

function wait(backend: Backend, key: string): Promise<unknown> | undefined {
  return backend.listBlocking?.blockingPop("default", { key, end: "left", waitMs: 300_000 }, CALL);
}

/** Percent of a processor while all wait, then milliseconds from push to wake-up. */
async function measure(waits: Backend, pushes: Backend): Promise<Record<string, number>> {
  const keys = Array.from({ length: WAITING }, (_, i) => `list ${i}`);
  const waiting = keys.map((key) => wait(waits, key));
  await delay(1000);
  const before = process.cpuUsage();
  await delay(IDLE_MS);
  const { user, system } = process.cpuUsage(before);
  const tookMs: number[] = [];
  const pushMs: number[] = [];
  for (let i = 0; i < PUSHES; i++) {
    const at = i % WAITING;
    const key = keys[at] ?? "";
    const startMs = performance.now();
    await Promise.all([
      pushes.lists
        ?.push("default", [{ key, end: "right", value: VALUE }], CALL)
        .then(() => pushMs.push(performance.now() - startMs)),
      waiting[at]?.then(() => tookMs.push(performance.now() - startMs)),
    ]);
    waiting[at] = wait(waits, key);
  }
  const part = (times: readonly number[], share: number) =>
    rounded(times.toSorted((a, b) => a - b)[Math.floor(times.length * share)] ?? Number.NaN);
  for (const each of waiting) {
    each?.catch(() => {});
  }
  return {
    "cpu while idle, %": rounded((user + system) / IDLE_MS / 10),
    "p50 ms": part(tookMs, 0.5),
    "p99 ms": part(tookMs, 0.99),
    "p99 of the push alone, ms": part(pushMs, 0.99),
  };
}

async function run(config: BackendConfig, gateways: number): Promise<Record<string, number>> {
  const backends = await Promise.all(Array.from({ length: gateways }, () => createBackend(config)));
  const [first, last] = [backends[0], backends.at(-1)];
  if (first === undefined || last === undefined) {
    throw new Error("no gateway");
  }
  await first.open();
  await (last === first ? undefined : last.open());
  try {
    return await measure(first, last);
  } finally {
    await Promise.all(backends.map((backend) => backend.close()));
  }
}

await using folder = await temporaryFolder();
const rows: Record<string, object> = {
  memory: await run({ type: "memory" }, 1),
  sqlite: await run({ type: "sqlite", path: join(folder.path, "prism.db") }, 1),
};
if (hasTestDatabase()) {
  await using database = await createTestDatabase();
  rows.postgres = await run(backendSchema.parse({ type: "postgres", url: database.url }), 2);
}
if (hasTestRedis()) {
  await using redis = await createTestRedis();
  rows.redis = await run(backendSchema.parse({ type: "redis", url: redis.url, key_prefix: "bench" }), 2);
}
report("1,000 pops that wait", rows, rows);
writeReport("blocking");
