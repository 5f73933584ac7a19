/** How much memory does a server hold for an idle HTTP/2 connection? */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import net from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "../client/node.ts";
import { Health } from "../gen/grpc/health/v1/health_pb.ts";
import { startPrism } from "./harness/peers.ts";
import type { Peer } from "./harness/process.ts";
import { compared, type Runs, report, writeReport } from "./harness/report.ts";

const CONNECTIONS = 2_000;
const ROUNDS = 5;
/** A client's preface and empty SETTINGS (RFC 9113 section 3.4). */
const START = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1"),
  Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
]);

function residentBytes({ pid }: Peer): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024;
}

async function open({ port }: Peer): Promise<net.Socket> {
  const socket = net.connect({ host: "127.0.0.1", port });
  await once(socket, "connect");
  socket.write(START);
  // The server's SETTINGS: the connection is set up.
  await once(socket, "data");
  return socket;
}

async function openMany(peer: Peer, count: number): Promise<net.Socket[]> {
  const sockets: net.Socket[] = [];
  while (sockets.length < count) {
    sockets.push(...(await Promise.all(Array.from({ length: 100 }, () => open(peer)))));
  }
  return sockets;
}

/** Makes a few calls, so that the code is loaded and the heap has its usual size. */
async function warmUp({ port }: Peer): Promise<void> {
  const transport = createGrpcTransport({ baseUrl: `http://127.0.0.1:${port}` });
  const health = createClient(Health, transport);
  for (let i = 0; i < 20; i++) {
    await Promise.all(Array.from({ length: 100 }, () => health.check({})));
  }
  transport.close();
}

/** The bytes for a connection, in a new server. */
async function measure(http2: "engine" | "node"): Promise<number> {
  await using peer = await startPrism({ http2 });
  await warmUp(peer);
  const first = await openMany(peer, 200);
  await pause(500);
  const before = residentBytes(peer);
  const sockets = await openMany(peer, CONNECTIONS);
  await pause(500);
  const grown = residentBytes(peer) - before;
  for (const socket of [...first, ...sockets]) {
    socket.destroy();
  }
  return grown / CONNECTIONS;
}

const runs: Runs = { Prism: [], "Prism on node:http2": [] };
for (let round = 0; round < ROUNDS; round++) {
  runs.Prism?.push(await measure("engine"));
  runs["Prism on node:http2"]?.push(await measure("node"));
}
report(
  `Resident memory for each of ${CONNECTIONS} idle HTTP/2 connections`,
  compared(runs, "bytes a connection"),
  runs,
);
writeReport("idle");
