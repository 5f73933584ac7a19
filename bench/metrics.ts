/**
 * What do metrics cost: a call, a store's call, and a scrape of ten thousand namespaces? The policy
 * alone is measured in a loop in this process.
 */
import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { promisify } from "node:util";
import { pino } from "pino";
import { PrismClient } from "../client/node.ts";
import { KeyValueBasicInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { createApp } from "../server/app.ts";
import { createCall } from "../server/backend/contract.ts";
import { CallMeter } from "../server/calls/call-meter.ts";
import { readMethod } from "../server/calls/methods.ts";
import { createMetricsPolicy } from "../server/calls/policies/metrics.ts";
import { CallRecord } from "../server/calls/record.ts";
import { loadConfig } from "../server/config/load.ts";
import { temporaryFolder } from "../tests/helpers/process.ts";
import { type BenchCall, fill, grpcGet, grpcSet, jsonGet, type Shape } from "./harness/calls.ts";
import { h2load, hasH2load } from "./harness/h2load.ts";
import { pausesOf } from "./harness/pauses.ts";
import { startPrism } from "./harness/peers.ts";
import type { Peer } from "./harness/process.ts";
import {
  interleaved,
  median,
  partsOfFirst,
  type Runs,
  report,
  rounded,
  writeReport,
} from "./harness/report.ts";

const ROUNDS = 9;
const CALLS = 60_000;
const LOOPS = 7;
const LOOP_CALLS = 2_000_000;
const NAMESPACES = 10_000;

/** The processor time of the policy for a call, with a record that is new as in a real call. */
function policyNs(): number {
  const row = readMethod(KeyValueBasicInterface.method.get, 0);
  const meter = new CallMeter((said) => (said === "" ? "default" : undefined), 1000);
  const hooks = createMetricsPolicy(meter).on(row);
  const call = createCall();
  const source = { header: () => undefined, socket: {} };
  const request = { namespace: "" };
  const loop = (measured: boolean): number => {
    const before = process.threadCpuUsage();
    for (let i = 0; i < LOOP_CALLS; i++) {
      const record = new CallRecord(row, "id", source);
      record.enter(request);
      if (measured) {
        void hooks?.begin?.(record, call);
        hooks?.finish?.(record, undefined, true);
      }
    }
    return (process.threadCpuUsage(before).user * 1e3) / LOOP_CALLS;
  };
  loop(true);
  return loop(true) - loop(false);
}

/**
 * The processor time that a server takes for a call, all its threads together. Other work on the
 * machine changes it less than it changes calls a second.
 */
async function processorTime(peer: Peer, call: BenchCall, shape: Shape): Promise<() => Promise<number>> {
  const run = (calls: number) => h2load({ ...call, ...shape, port: peer.port, calls });
  await run(CALLS);
  return async () => {
    const beforeNs = processorNs(peer);
    await run(CALLS);
    return (processorNs(peer) - beforeNs) / CALLS;
  };
}

function processorNs({ pid }: Peer): number {
  const tasks = readdirSync(`/proc/${pid}/task`);
  return tasks.reduce((sum, task) => {
    const [ns] = readFileSync(`/proc/${pid}/task/${task}/schedstat`, "utf8").split(" ");
    return sum + Number(ns);
  }, 0);
}

const policy = Array.from({ length: LOOPS }, policyNs);
report("The policy alone", { policy: { "median ns a call": rounded(median(policy)) } }, { policy });

if (hasH2load()) {
  for (const type of ["memory", "sqlite"] as const) {
    await using folder = await temporaryFolder();
    const database = (name: string) =>
      type === "memory" ? ({ type } as const) : ({ type, path: `${folder.path}/${name}.db` } as const);
    await using off = await startPrism({ more: { metrics: { enabled: false } }, database: database("off") });
    await using on = await startPrism({ database: database("on") });
    await fill(off);
    await fill(on);
    for (const [name, call, shape] of [
      ["gRPC Get, 100 bytes, 4 x 16", grpcGet("small"), { connections: 4, streams: 16 }],
      ["gRPC Set, 100 bytes, 4 x 16", grpcSet("small"), { connections: 4, streams: 16 }],
      ["JSON Get over HTTP/1.1, 100 bytes, 64 x 1", jsonGet("small"), { connections: 64, streams: 1 }],
    ] as const) {
      const runs = await interleaved(
        {
          "metrics off": await processorTime(off, call, shape),
          "metrics on": await processorTime(on, call, shape),
        },
        ROUNDS,
      );
      report(`${type}: ${name}`, partsOfFirst(runs, "ns of processor time a call"), runs);
    }
  }
}

/** Scrapes a gateway that has called each of its namespaces; the scraper is another process. */
async function scrapes(): Promise<Runs> {
  await using folder = await temporaryFolder();
  const flags = { "data-dir": folder.path, listen: "127.0.0.1:0", "admin-listen": "127.0.0.1:0" };
  const defaults = loadConfig({ env: {}, flags, cwd: folder.path });
  const namespaces = Array.from({ length: NAMESPACES }, (_, i) => ({
    name: `n${i}`,
    pattern: "keyvalue" as const,
    backend: "database",
  }));
  const config = { ...defaults, namespaces, metrics: { enabled: true, maxNamespaces: NAMESPACES } };
  const app = await createApp(config, { log: pino({ level: "silent" }) });
  const { data, admin } = await app.start();
  const client = new PrismClient(`127.0.0.1:${data.port}`);
  try {
    for (let from = 0; from < NAMESPACES; from += 500) {
      await Promise.all(
        namespaces.slice(from, from + 500).map(async ({ name: namespace }) => {
          await client.keyvalue.set("k", "v", { namespace });
          await client.keyvalue.get("k", { namespace });
          await client.keyvalue.exists("k", { namespace });
        }),
      );
    }
    const runs: Runs = {
      "longest turn, ms": [],
      "its processor time, ms": [],
      "whole scrape, ms": [],
      MB: [],
    };
    const url = `http://127.0.0.1:${admin?.port}/metrics`;
    const program = `const t = performance.now(); const r = await fetch(${JSON.stringify(url)}); const b = await r.arrayBuffer(); console.log(performance.now() - t, b.byteLength / 1e6)`;
    for (let i = 0; i < 5; i++) {
      const scraper = promisify(execFile)(process.execPath, ["--input-type=module", "-e", program]);
      let isOver = false;
      const over = scraper.finally(() => (isOver = true));
      const { wallMs, cpuMs } = await pausesOf(async () => !isOver);
      const [ms, megabytes] = (await over).stdout.split(" ").map(Number);
      runs["longest turn, ms"]?.push(wallMs);
      runs["its processor time, ms"]?.push(cpuMs);
      runs["whole scrape, ms"]?.push(ms ?? Number.NaN);
      runs.MB?.push(megabytes ?? Number.NaN);
    }
    return runs;
  } finally {
    await client.close();
    await app.stop();
  }
}

const runs = await scrapes();
report(
  `GET /metrics of ${NAMESPACES} namespaces on SQLite, three methods called on each`,
  Object.fromEntries(
    Object.entries(runs).map(([name, values]) => [name, { median: rounded(median(values)) }]),
  ),
  runs,
);
writeReport("metrics");
