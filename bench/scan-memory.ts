/**
 * How much does a server's memory grow while one slow reader scans 1,000,000 entries?
 * Fills a SQLite file, serves it in a process of its own, warms it up, and reads in bursts with pauses.
 */
import { readFile } from "node:fs/promises";
import http2 from "node:http2";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { createBackend } from "../server/backend/factory.ts";
import { spawnServer, temporaryFolder } from "../server/testing/process.ts";

const ENTRIES = 1_000_000;
const VALUE = Buffer.alloc(100, "v");
const CALL = { signal: new AbortController().signal };
/** The reader takes this much, then rests. */
const BURST_BYTES = 2 * 1024 * 1024;
const REST_MS = 250;
const SCAN = "/prism.interfaces.keyvalue.KeyValueScanInterface/Scan";

async function fill(path: string): Promise<void> {
  const backend = createBackend({ type: "sqlite", path });
  await backend.open();
  for (let i = 0; i < ENTRIES; i += 10_000) {
    const entries = Array.from({ length: 10_000 }, (_, j) => ({
      key: `key:${String(i + j).padStart(9, "0")}`,
      value: VALUE,
      ttlMs: 0,
    }));
    await backend.entries?.set("default", entries, CALL);
  }
  await backend.close();
}

/** Scans over gRPC with HTTP/2's own flow control and answers how many bytes came. `limit` 0 = all. */
async function scan(address: string, limit: number, restMs: number): Promise<number> {
  const session = http2.connect(`http://${address}`);
  const stream = session.request({
    ":method": "POST",
    ":path": SCAN,
    "content-type": "application/connect+json",
  });
  const message = Buffer.from(JSON.stringify({ limit }));
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

await using folder = await temporaryFolder();
await fill(join(folder.path, "prism.db"));
await using server = await spawnServer(["--data-dir", folder.path]);
const { pid } = server.child;
if (pid === undefined) {
  throw new Error("the server has no pid");
}
// What every server grows to under load is not the scan's: read a tenth, twice, as fast as it comes.
await scan(server.address, ENTRIES / 10, 0);
await scan(server.address, ENTRIES / 10, 0);
const before = await residentMib(pid);
let peak = before;
let scanning = true;
const watch = (async () => {
  while (scanning) {
    peak = Math.max(peak, await residentMib(pid));
    await pause(50);
  }
})();
const startedAtMs = performance.now();
const bytes = await scan(server.address, 0, REST_MS);
const seconds = (performance.now() - startedAtMs) / 1000;
scanning = false;
await watch;
console.table({
  [`scan of ${ENTRIES} entries, slow reader`]: {
    "MiB read": Math.round(bytes / 2 ** 20),
    seconds: Math.round(seconds),
    "MiB before": Math.round(before),
    "MiB peak": Math.round(peak),
    "MiB grown": Math.round(peak - before),
  },
});
