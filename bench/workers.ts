/**
 * What do two worker processes make of two cores? The load and the Redis are on the same cores, so
 * the processor time of a call says more than the calls a second.
 */
import { backendSchema } from "../server/backend/rooms.ts";
import { freePort } from "../tests/helpers/port.ts";
import { readPrometheusText } from "../tests/helpers/prometheus-text.ts";
import { contender, fill, grpcGet } from "./harness/calls.ts";
import { hasH2load } from "./harness/h2load.ts";
import { startPrism, startRedis } from "./harness/peers.ts";
import { hasRedis } from "./harness/redis.ts";
import { interleaved, median, partsOfFirst, report, rounded, spread, writeReport } from "./harness/report.ts";

const ROUNDS = 9;
const SHAPE = { connections: 8, streams: 16 };

if (!hasH2load() || !hasRedis()) {
  process.exit(1);
}
await using redis = await startRedis("any");
const database = backendSchema.parse({ type: "redis", url: `redis://127.0.0.1:${redis.port}` });

/** A gateway with so many workers, and the processor time of all its processes so far. */
async function start(workers: number) {
  const admin = await freePort();
  const args = ["--workers", String(workers), "--admin-listen", `127.0.0.1:${admin}`];
  const peer = await startPrism({ database, core: "any" }, args);
  return {
    peer,
    async used(): Promise<{ readonly cpuSeconds: number; readonly calls: number }> {
      const text = await (await fetch(`http://127.0.0.1:${admin}/metrics`)).text();
      const families = readPrometheusText(text, "prometheus");
      const sumOf = (name: string) =>
        (families.get(name)?.samples ?? []).reduce((sum, { value }) => sum + value, 0);
      return { cpuSeconds: sumOf("process_cpu_seconds_total"), calls: sumOf("prism_requests_total") };
    },
    [Symbol.asyncDispose]: () => peer[Symbol.asyncDispose](),
  };
}

await using one = await start(1);
await using two = await start(2);
await fill(one.peer);

/** Microseconds of processor a call, of each run. */
const costs: Record<string, number[]> = { "1 worker": [], "2 workers": [] };
const made: Record<string, () => Promise<number>> = {};
for (const [name, { peer, used }] of Object.entries({ "1 worker": one, "2 workers": two })) {
  const measure = await contender(peer, { ...grpcGet("small"), core: "any" }, SHAPE);
  made[name] = async () => {
    const before = await used();
    const rate = await measure();
    const after = await used();
    costs[name]?.push(((after.cpuSeconds - before.cpuSeconds) / (after.calls - before.calls)) * 1e6);
    return rate;
  };
}
const runs = await interleaved(made, ROUNDS);
report("gRPC Get of 100 bytes on Redis, 128 in flight as 8 x 16", partsOfFirst(runs, "calls/s"), runs);
const [first = Number.NaN] = Object.values(costs).map(median);
const table = Object.fromEntries(
  Object.entries(costs).map(([name, values]) => [
    name,
    {
      "us a call": rounded(median(values)),
      spread: spread(values),
      "it / 1 worker": rounded(median(values) / first),
    },
  ]),
);
report("processor time of the gateway a call", table, costs);
writeReport("workers");
