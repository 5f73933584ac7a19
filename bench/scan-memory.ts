/**
 * How much does a server's memory grow while one slow reader scans 1,000,000 entries? Fills a store
 * and serves it in its own process. Reads a tenth, then the whole, in bursts with pauses.
 */
import { readFile, writeFile } from "node:fs/promises";
import http2 from "node:http2";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { ScanRequestSchema } from "../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { type BackendConfig, backendSchema } from "../server/backend/rooms.ts";
import { fillStore } from "../tests/helpers/fill.ts";
import { canStartPostgres, startPostgres } from "../tests/helpers/postgres.ts";
import { spawnServer, temporaryFolder } from "../tests/helpers/process.ts";
import { report, writeReport } from "./harness/report.ts";

const ENTRIES = 1_000_000;
const VALUE = Buffer.alloc(100, "v");
/** The reader takes this much, then rests. */
const BURST_BYTES = 2 * 1024 * 1024;
const REST_MS = 250;
const SCAN = "/prism.interfaces.keyvalue.KeyValueScanInterface/Scan";

/** Scans over gRPC with HTTP/2's own flow control. Answers the bytes received. `limit` 0 = all. */
async function scan(address: string, limit: number, restMs: number): Promise<number> {
  const session = http2.connect(`http://${address}`);
  const stream = session.request({
    ":method": "POST",
    ":path": SCAN,
    "content-type": "application/grpc+proto",
    te: "trailers",
  });
  const message = toBinary(ScanRequestSchema, create(ScanRequestSchema, { limit }));
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  stream.end(Buffer.concat([head, message]));
  let bytes = 0;
  let burst = 0;
  for await (const chunk of stream) {
    bytes += chunk.length;
    burst += chunk.length;
    if (burst >= BURST_BYTES) {
      burst = 0;
      await pause(restMs);
    }
  }
  session.close();
  return bytes;
}

async function residentMib(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
}

/** Scans with pauses. Answers what was read, the time, and the most memory meanwhile. */
async function watched(pid: number, address: string, limit: number) {
  let peak = 0;
  let scanning = true;
  const watch = (async () => {
    while (scanning) {
      peak = Math.max(peak, await residentMib(pid));
      await pause(50);
    }
  })();
  const startedAtMs = performance.now();
  const bytes = await scan(address, limit, REST_MS);
  const seconds = (performance.now() - startedAtMs) / 1000;
  scanning = false;
  await watch;
  return {
    "MiB read": Math.round(bytes / 2 ** 20),
    seconds: Math.round(seconds),
    "MiB peak": Math.round(peak),
  };
}

/** Fills the store and scans it over the wire. */
async function ask(config: BackendConfig): Promise<void> {
  await fillStore(config, ENTRIES, (i) => [`key:${String(i).padStart(9, "0")}`, VALUE]);
  await using folder = await temporaryFolder();
  const file = join(folder.path, "prism.yaml");
  await writeFile(file, JSON.stringify({ database: config }));
  await using server = await spawnServer(["--config", file]);
  const { pid } = server.child;
  if (pid === undefined) {
    throw new Error("the server has no pid");
  }
  // The first scan shows the growth of a cold server; the second shows what ten times the entries
  // add.
  const cold = Math.round(await residentMib(pid));
  const tenth = await watched(pid, server.address, ENTRIES / 10);
  const whole = await watched(pid, server.address, 0);
  const table = {
    "cold server": { "MiB peak": cold },
    [`${ENTRIES / 10} entries, slow reader`]: { ...tenth, "MiB grown": tenth["MiB peak"] - cold },
    [`${ENTRIES} entries, slow reader`]: { ...whole, "MiB grown": whole["MiB peak"] - cold },
  };
  const title = `Memory of a server on ${config.type} while one slow reader scans: over what it was when cold`;
  report(title, table, table);
}

await using folder = await temporaryFolder();
await ask({ type: "sqlite", path: join(folder.path, "prism.db") });
if (canStartPostgres()) {
  await using postgres = await startPostgres();
  await ask(backendSchema.parse({ type: "postgres", url: postgres.url }));
}
writeReport("scan-memory");
