/**
 * How much memory does an entry take, beside Redis? Writes 1,000,000 entries of 16-byte keys and
 * 100-byte values over each server's own protocol. Measures the growth of the whole process's
 * resident memory since just after the start, as the kernel counts it.
 */
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import net from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "../client/node.ts";
import { KeyValueBasicInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { startPrism, startRedis } from "./harness/peers.ts";
import type { Peer } from "./harness/process.ts";
import { hasRedis } from "./harness/redis.ts";
import { median, report, rounded, spread, writeReport } from "./harness/report.ts";

const ENTRIES = 1_000_000;
const ROUNDS = 3;
const IN_FLIGHT = 256;
const VALUE = Buffer.alloc(100, "v");
/** How long a process rests before it is measured. */
const REST_MS = 3_000;

if (!hasRedis()) {
  process.exit(1);
}

/** 16 bytes. Consecutive numbers are far apart in key order. */
function keyOf(i: number): string {
  return `key:${String((i * 7_368_787) % 1_000_000_007).padStart(12, "0")}`;
}

async function fillPrism({ port }: Peer): Promise<void> {
  const transport = createGrpcTransport({ baseUrl: `http://127.0.0.1:${port}` });
  const client = createClient(KeyValueBasicInterface, transport);
  let next = 0;
  const lane = async () => {
    for (let i = next++; i < ENTRIES; i = next++) {
      await client.set({ key: keyOf(i), value: VALUE });
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
  transport.close();
}

async function fillRedis({ port }: Peer): Promise<void> {
  const socket = net.connect(port, "127.0.0.1");
  let tail = "";
  socket.on("data", (chunk: Buffer) => {
    tail = (tail + chunk.toString("latin1")).slice(-64);
  });
  await once(socket, "connect");
  const STEP = 1_000;
  for (let from = 0; from < ENTRIES; from += STEP) {
    const commands = Array.from(
      { length: STEP },
      (_, i) => `*3\r\n$3\r\nSET\r\n$16\r\n${keyOf(from + i)}\r\n$${VALUE.length}\r\n${VALUE}\r\n`,
    );
    if (!socket.write(commands.join(""))) {
      await once(socket, "drain");
    }
  }
  socket.end("*1\r\n$6\r\nDBSIZE\r\n");
  await once(socket, "close");
  if (!tail.includes(`:${ENTRIES}\r\n`)) {
    throw new Error(`Redis does not hold them all: ${tail}`);
  }
}

async function residentBytes({ pid }: Peer): Promise<number> {
  await pause(REST_MS);
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024;
}

/** The bytes that the process grew by for each entry. */
async function measured(start: () => Promise<Peer>, fill: (peer: Peer) => Promise<void>): Promise<number> {
  await using peer = await start();
  const emptyBytes = await residentBytes(peer);
  await fill(peer);
  return ((await residentBytes(peer)) - emptyBytes) / ENTRIES;
}

const runs = { Prism: [] as number[], Redis: [] as number[] };
for (let round = 0; round < ROUNDS; round++) {
  runs.Prism.push(await measured(startPrism, fillPrism));
  runs.Redis.push(await measured(startRedis, fillRedis));
}
const redis = median(runs.Redis);
const table = Object.fromEntries(
  Object.entries(runs).map(([name, values]) => [
    name,
    {
      "bytes an entry": Math.round(median(values)),
      spread: spread(values),
      "it / Redis": rounded(median(values) / redis),
    },
  ]),
);
report(`Resident memory of ${ENTRIES} entries, keys of 16 and values of 100 bytes`, table, runs);
writeReport("entry-memory");
