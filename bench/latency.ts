/**
 * How long does a gRPC call take while calls come at a fixed rate (open loop, no coordinated
 * omission)?
 */
import { setTimeout as pause } from "node:timers/promises";
import { fill, grpcGet } from "./harness/calls.ts";
import { type Latencies, type OpenLoopCall, openLoop, quantile } from "./harness/open-loop.ts";
import { startOther, startPrism } from "./harness/peers.ts";
import type { Peer } from "./harness/process.ts";
import { median, report, rounded, spread, writeReport } from "./harness/report.ts";

const ROUNDS = 5;
const SECONDS = 2;
const { path, contentType, body } = grpcGet("small");
const CALL: OpenLoopCall = { path, contentType, nextBody: () => body };

await using prism = await startPrism();
await using prismNode = await startPrism({ http2: "node" });
await using grpcJs = await startOther("grpc-js");
await using nodeHttp2 = await startOther("node-http2");
await fill(prism);
await fill(prismNode);

const PEERS: Readonly<Record<string, Peer>> = {
  Prism: prism,
  "Prism on node:http2": prismNode,
  "@grpc/grpc-js with a Map": grpcJs,
  "node:http2, constant answer": nodeHttp2,
};
const QUANTILES = { "p50 ms": 0.5, "p99 ms": 0.99, "p99.9 ms": 0.999 };

for (const rate of [10_000, 30_000]) {
  const keepUp: [string, Peer][] = [];
  for (const [name, peer] of Object.entries(PEERS)) {
    if ((await openLoop(peer, CALL, rate, SECONDS)) !== undefined) {
      keepUp.push([name, peer]);
    }
  }
  // Waits for servers that still work off what they owe, before the others are measured.
  await pause(3000);
  const rounds: Record<string, Latencies[]> = Object.fromEntries(keepUp.map(([name]) => [name, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, peer] of keepUp) {
      rounds[name]?.push(await openLoop(peer, CALL, rate, SECONDS));
    }
  }
  const table: Record<string, object> = {};
  const runs: Record<string, unknown> = {};
  for (const name of Object.keys(PEERS)) {
    const measured = (rounds[name] ?? []).filter((latencies) => latencies !== undefined);
    if (measured.length < ROUNDS) {
      table[name] = { "p50 ms": "cannot keep up" };
      continue;
    }
    const values = Object.entries(QUANTILES).map(
      ([title, part]) => [title, measured.map((latencies) => quantile(latencies, part))] as const,
    );
    runs[name] = Object.fromEntries(values);
    table[name] = {
      ...Object.fromEntries(values.map(([title, all]) => [title, rounded(median(all))])),
      "spread of p99": spread(values[1]?.[1] ?? []),
    };
  }
  report(`gRPC Get, ${rate} calls/s, ${SECONDS} s, 8 connections`, table, runs);
}
writeReport("latency");
