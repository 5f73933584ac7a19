/** How fast is PostgreSQL behind the contract and behind the gateway, beside its driver's pool? */
import pg from "pg";
import { createCall } from "../server/backend/contract.ts";
import { createBackend } from "../server/backend/factory.ts";
import { backendSchema } from "../server/backend/rooms.ts";
import { canStartPostgres, startPostgres } from "../tests/helpers/postgres.ts";
import { GRPC } from "./harness/calls.ts";
import { KeyedBodies, keyedPath } from "./harness/keyed-bodies.ts";
import { fillKeys, manyKeysContender } from "./harness/many-keys.ts";
import { openLoop, quantile } from "./harness/open-loop.ts";
import { startPrism } from "./harness/peers.ts";
import { compared, interleaved, median, report, rounded, spread, writeReport } from "./harness/report.ts";

const ROUNDS = 5;
const KEYS = 10_000;
const IN_FLIGHT = 64;
const VALUE = Buffer.alloc(100, "v");
const CALL = createCall();
const OPEN_LOOP_RATE = 10_000;
const OPEN_LOOP_SECONDS = 2;

if (!canStartPostgres()) {
  process.exit(1);
}
await using server = await startPostgres({ durable: true });
const database = backendSchema.parse({ type: "postgres", url: server.url });

const randomKey = () => `key:${Math.floor(Math.random() * KEYS)}`;

/** Calls per second over a second, 64 in flight. */
async function rate(run: () => Promise<unknown>): Promise<number> {
  const startedAtMs = performance.now();
  let calls = 0;
  const lane = async () => {
    while (performance.now() - startedAtMs < 1000) {
      await run();
      calls++;
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
  return calls / ((performance.now() - startedAtMs) / 1000);
}

/** Single calls through the contract, and single statements through the pool. */
async function askContract(): Promise<void> {
  const backend = await createBackend(database);
  await backend.open();
  const { entries } = backend;
  if (entries === undefined) {
    throw new Error("no entries");
  }
  const write = (key: string) => ({ key, value: VALUE, ttlMs: 0 });
  await entries.set(
    "default",
    Array.from({ length: KEYS }, (_, i) => write(`key:${i}`)),
    CALL,
  );
  const pool = new pg.Pool({ connectionString: server.url, max: 20 });
  const table = "prism.entry";
  const get = {
    name: "get",
    text: `SELECT value FROM ${table} WHERE namespace = $1 AND key = $2 AND (expires_at IS NULL OR expires_at > statement_timestamp())`,
  };
  const set = {
    name: "set",
    text: `INSERT INTO ${table} (namespace, key, value, expires_at) VALUES ($1, $2, $3, NULL)
      ON CONFLICT (namespace, key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at`,
  };
  const questions = {
    Get: {
      "the contract": () => rate(() => entries.get("default", [randomKey()], CALL)),
      "pg's pool": () => rate(() => pool.query({ ...get, values: ["default", Buffer.from(randomKey())] })),
    },
    Set: {
      "the contract": () => rate(() => entries.set("default", [write(randomKey())], CALL)),
      "pg's pool": () =>
        rate(() => pool.query({ ...set, values: ["default", Buffer.from(randomKey()), VALUE] })),
    },
  };
  for (const [name, contenders] of Object.entries(questions)) {
    const runs = await interleaved(contenders, ROUNDS);
    report(
      `${name} of 100 bytes on PostgreSQL, ${IN_FLIGHT} callers in this process`,
      compared(runs, "calls/s"),
      runs,
    );
  }
  await pool.end();
  await backend.close();
}

/** Waits, because work left over from the writes would share the two cores. */
async function settle(): Promise<void> {
  const client = new pg.Client({ connectionString: server.url });
  await client.connect();
  await client.query("VACUUM ANALYZE prism.entry");
  await client.query("CHECKPOINT");
  await client.end();
}

/** The same over gRPC, and the latency of a call at a fixed rate. */
async function askGateway(): Promise<void> {
  await using prism = await startPrism({ database });
  const shape = { connections: 4, streams: 16 };
  await fillKeys(prism, KEYS, shape);
  for (const name of ["Get", "Set"] as const) {
    const runs = await interleaved({ Prism: await manyKeysContender(prism, name, shape) }, ROUNDS);
    const title = `gRPC ${name} of 100 bytes on PostgreSQL, 10,000 keys, 64 in flight as 4 x 16`;
    report(title, compared(runs, "calls/s"), runs);
    const bodies = new KeyedBodies(name, { keys: KEYS });
    const nextBody = () => Buffer.from(bodies.next());
    const call = { path: keyedPath(name), contentType: GRPC, nextBody, sleeps: true };
    await settle();
    // Once before it counts, because this process makes such calls for the first time.
    await openLoop(prism, call, OPEN_LOOP_RATE, OPEN_LOOP_SECONDS);
    const p99s: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const latencies = await openLoop(prism, call, OPEN_LOOP_RATE, OPEN_LOOP_SECONDS);
      p99s.push(latencies === undefined ? Number.POSITIVE_INFINITY : quantile(latencies, 0.99));
    }
    const openTitle = `gRPC ${name} on PostgreSQL, ${OPEN_LOOP_RATE} calls/s, ${OPEN_LOOP_SECONDS} s, 8 connections`;
    report(openTitle, { Prism: { "p99 ms": rounded(median(p99s)), spread: spread(p99s) } }, p99s);
  }
}

await askContract();
await askGateway();
writeReport("postgres");
