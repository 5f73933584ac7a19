/**
 * How fast are conditional writes beside Set, and transactions beside those of PostgreSQL's driver?
 * Arguments: the stores to ask; none = all.
 */
import { join } from "node:path";
import pg from "pg";
import type { Commit } from "../server/backend/commit.ts";
import { type Backend, createCall, isRefusal } from "../server/backend/contract.ts";
import { createBackend } from "../server/backend/factory.ts";
import { type BackendConfig, backendSchema } from "../server/backend/rooms.ts";
import { canStartPostgres, startPostgres } from "../tests/helpers/postgres.ts";
import { temporaryFolder } from "../tests/helpers/process.ts";
import { canStartRedis, startRedis } from "../tests/helpers/redis.ts";
import { interleaved, partsOfFirst, report, writeReport } from "./harness/report.ts";

const ROUNDS = 9;
const RUN_MS = 700;
const IN_FLIGHT = 64;
const KEYS_OF_TRANSACTION = 10;
const VALUE = Buffer.alloc(100, "v");
const CALL = createCall();
const NAMESPACE = "default";

const asked = process.argv.slice(2);
const isAsked = (store: string) => asked.length === 0 || asked.includes(store);

/** Calls a second, each of 64 callers with keys of its own. */
async function rate(call: (lane: number) => Promise<unknown>): Promise<number> {
  const startedAtMs = performance.now();
  let calls = 0;
  await Promise.all(
    Array.from({ length: IN_FLIGHT }, async (_, lane) => {
      while (performance.now() - startedAtMs < RUN_MS) {
        await call(lane);
        calls++;
      }
    }),
  );
  return calls / ((performance.now() - startedAtMs) / 1000);
}

const key = (lane: number, i = 0) => `key:${lane}:${i}`;
const set = (lane: number, i = 0) => ({ key: key(lane, i), value: VALUE, ttlMs: 0 });

/** Makes a commit that must succeed; answers its version. */
async function commit({ commits }: Backend, commit: Omit<Commit, "tells">): Promise<number> {
  const [answer] = (await commits?.commit(NAMESPACE, [{ ...commit, tells: false }], CALL)) ?? [];
  if (answer === undefined || isRefusal(answer) || !answer.committed) {
    throw new Error("a commit was not made");
  }
  return answer.version;
}

async function askStore(name: string, config: BackendConfig): Promise<void> {
  const backend = await createBackend(config);
  await backend.open();
  if (backend.commits !== undefined) {
    await askConditional(name, backend);
  }
  await backend.close();
}

async function askConditional(name: string, backend: Backend): Promise<void> {
  const versions: number[] = [];
  for (let lane = 0; lane < IN_FLIGHT; lane++) {
    versions[lane] = await commit(backend, { checks: [], mutations: [{ do: "set", ...set(lane) }] });
  }
  const contenders = {
    Set: () => rate((lane) => backend.entries?.set(NAMESPACE, [set(lane, 1)], CALL) ?? Promise.reject()),
    CompareAndSwap: () =>
      rate(async (lane) => {
        versions[lane] = await commit(backend, {
          checks: [{ key: key(lane), is: "version", version: versions[lane] ?? 0 }],
          mutations: [{ do: "set", ...set(lane) }],
        });
      }),
    Increment: () =>
      rate((lane) =>
        commit(backend, {
          checks: [],
          mutations: [{ do: "add", key: key(lane, 2), delta: 1n, initial: 0n, ttlMs: 0 }],
        }),
      ),
  };
  const runs = await interleaved(contenders, ROUNDS);
  const title = `Conditional writes on ${name}, through the contract, ${IN_FLIGHT} callers with a key each`;
  report(title, partsOfFirst(runs, "calls/s"), runs);
}

/** Transactions that write ten keys. */
async function askTransactions(config: BackendConfig, url: string): Promise<void> {
  const backend = await createBackend(config);
  await backend.open();
  const pool = new pg.Pool({ connectionString: url, max: 20 });
  const text = `INSERT INTO prism.entry (namespace, key, value, expires_at) VALUES ($1, $2, $3, NULL)
    ON CONFLICT (namespace, key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at`;
  const lanes = Array.from({ length: KEYS_OF_TRANSACTION }, (_, i) => i);
  const contenders = {
    "pg's pool": () =>
      rate(async (lane) => {
        const client = await pool.connect();
        await client.query("BEGIN");
        for (const i of lanes) {
          await client.query({ name: "set", text, values: [NAMESPACE, key(lane, i), VALUE] });
        }
        await client.query("COMMIT");
        client.release();
      }),
    "a commit": () =>
      rate((lane) =>
        commit(backend, { checks: [], mutations: lanes.map((i) => ({ do: "set", ...set(lane, i) })) }),
      ),
  };
  const runs = await interleaved(contenders, ROUNDS);
  const title = `Transactions that write ${KEYS_OF_TRANSACTION} keys on PostgreSQL, ${IN_FLIGHT} callers`;
  report(title, partsOfFirst(runs, "transactions/s"), runs);
  await pool.end();
  await backend.close();
}

if (isAsked("memory")) {
  await askStore("memory", backendSchema.parse({ type: "memory" }));
}
if (isAsked("sqlite")) {
  await using folder = await temporaryFolder();
  await askStore("SQLite", backendSchema.parse({ type: "sqlite", path: join(folder.path, "prism.db") }));
}
if (isAsked("postgres") && canStartPostgres()) {
  await using server = await startPostgres({ durable: true });
  const config = backendSchema.parse({ type: "postgres", url: server.url });
  await askStore("PostgreSQL", config);
  await askTransactions(config, server.url);
}
if (isAsked("redis") && canStartRedis()) {
  await using server = await startRedis();
  await askStore("Redis", backendSchema.parse({ type: "redis", url: server.url }));
}
writeReport("commits");
