/**
 * How soon after the start of an append do readers have the event? Over gRPC from a gateway in its
 * own process, with one tail and with 100; and directly at the stores with 2,000, where the reads
 * are counted by what they cost: a processor's time while nothing happens, and for each append.
 */
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { TimeSeriesService } from "../gen/prism/timeseries/v1/timeseries_pb.ts";
import { type Backend, createCall } from "../server/backend/contract.ts";
import { createBackend } from "../server/backend/factory.ts";
import { type BackendConfig, backendSchema } from "../server/backend/rooms.ts";
import { canStartKafka, startKafka } from "../tests/helpers/kafka.ts";
import { createTestDatabase, hasTestDatabase } from "../tests/helpers/postgres.ts";
import { spawnServer, temporaryFolder } from "../tests/helpers/process.ts";
import { report, rounded, writeReport } from "./harness/report.ts";

const APPENDS = 500;
const MANY_APPENDS = 50;
const MANY_TAILS = 2000;
const IDLE_MS = 2000;
const PAYLOAD = Buffer.alloc(100, "v");
const CALL = createCall();

/** The time below which this share of them is. */
function part(timesMs: readonly number[], share: number): number {
  return rounded(timesMs.toSorted((a, b) => a - b)[Math.floor(timesMs.length * share)] ?? Number.NaN);
}

/** Milliseconds from the start of an append to each reader, over gRPC. */
async function overGrpc(args: readonly string[], tails: number): Promise<Record<string, number>> {
  await using server = await spawnServer(args);
  const baseUrl = `http://${server.address}`;
  const sessions = [0, 1].map(() => new Http2SessionManager(baseUrl));
  const [readers, writer] = sessions.map((sessionManager) =>
    createClient(TimeSeriesService, createGrpcTransport({ baseUrl, sessionManager })),
  );
  if (readers === undefined || writer === undefined) {
    throw new Error("no client");
  }
  await writer.createStream({ stream: "a" });
  const open = await Promise.all(
    Array.from({ length: tails }, async () => {
      const { promise: begun, resolve: onHeader } = Promise.withResolvers<unknown>();
      const tail = readers.tail({ stream: "a" }, { onHeader })[Symbol.asyncIterator]();
      const first = tail.next();
      await begun;
      return { tail, first };
    }),
  );
  const tookMs: number[] = [];
  let next = open.map(({ first }) => first);
  for (let i = 0; i < APPENDS; i++) {
    const startMs = performance.now();
    const read = next.map((coming) => coming.then(() => tookMs.push(performance.now() - startMs)));
    await writer.append({ stream: "a", event: { payload: PAYLOAD } });
    await Promise.all(read);
    next = open.map(({ tail }) => tail.next());
  }
  for (const coming of next) {
    coming.catch(() => {});
  }
  for (const session of sessions) {
    session.abort();
  }
  return { "p50 ms": part(tookMs, 0.5), "p99 ms": part(tookMs, 0.99) };
}

/** The same directly at a store. */
async function atStore(backend: Backend): Promise<Record<string, number>> {
  const { streams, streamTails } = backend;
  if (streams === undefined || streamTails === undefined) {
    throw new Error("no streams");
  }
  const append = {
    stream: "a",
    events: [{ timestampMs: 0, payload: PAYLOAD, tags: {} }],
    retentionMs: 0,
    refusesExpired: false,
  };
  const all = { stream: "a", tags: {}, minTimestampMs: 0, maxEvents: 1024, maxBytes: 1 << 18, waitMs: 0 };
  const waits = (offset: number) =>
    Array.from({ length: MANY_TAILS }, () => streamTails.waitEvents("default", { ...all, offset }, CALL));
  await streams.appendEvents("default", [append], CALL);
  let waiting = waits(1);
  await delay(1000);
  const before = process.cpuUsage();
  await delay(IDLE_MS);
  const idle = process.cpuUsage(before);
  const tookMs: number[] = [];
  for (let i = 0; i < MANY_APPENDS; i++) {
    const startMs = performance.now();
    const read = waiting.map((coming) => coming.then(() => tookMs.push(performance.now() - startMs)));
    await streams.appendEvents("default", [append], CALL);
    await Promise.all(read);
    waiting = waits(i + 2);
  }
  for (const coming of waiting) {
    coming.catch(() => {});
  }
  return {
    "cpu while idle, %": rounded((idle.user + idle.system) / IDLE_MS / 10),
    "p50 ms": part(tookMs, 0.5),
    "p99 ms": part(tookMs, 0.99),
  };
}

async function opened(config: BackendConfig): Promise<Record<string, number>> {
  const backend = await createBackend(config);
  await backend.open();
  try {
    return await atStore(backend);
  } finally {
    await backend.close();
  }
}

await using folder = await temporaryFolder();
const file = (name: string) => join(folder.path, name);
const rows: Record<string, object> = {};
for (const tails of [1, 100]) {
  rows[`memory, gRPC, ${tails}`] = await overGrpc(["--memory"], tails);
  rows[`sqlite, gRPC, ${tails}`] = await overGrpc(["--data-dir", file(`gateway-${tails}`)], tails);
}
rows[`memory, ${MANY_TAILS}`] = await opened({ type: "memory" });
rows[`sqlite, ${MANY_TAILS}`] = await opened({ type: "sqlite", path: file("store.db") });
if (hasTestDatabase()) {
  await using database = await createTestDatabase();
  rows[`postgres, ${MANY_TAILS}`] = await opened(
    backendSchema.parse({ type: "postgres", url: database.url }),
  );
}
if (canStartKafka()) {
  await using kafka = await startKafka();
  rows[`kafka, ${MANY_TAILS}`] = await opened(
    backendSchema.parse({ type: "kafka", brokers: kafka.addresses }),
  );
}
report("tails of one stream", rows, rows);
writeReport("tail");
