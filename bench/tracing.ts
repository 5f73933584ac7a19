/** What do traces, and the search for slow calls, take from a Get? */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { contender, fill, grpcGet } from "./harness/calls.ts";
import { hasH2load } from "./harness/h2load.ts";
import { startPrism } from "./harness/peers.ts";
import { interleaved, partsOfFirst, report, writeReport } from "./harness/report.ts";

const ROUNDS = 9;

if (!hasH2load()) {
  process.exit(1);
}
/** A collector that takes everything and looks at nothing. */
const collector = createServer((request, response) => {
  request.resume().on("end", () => response.end());
}).listen(0, "127.0.0.1");
await once(collector, "listening");
const endpoint = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`;
const tail = { errors: true, slower_than_ms: 100 };

await using without = await startPrism();
await using traced = await startPrism({ more: { tracing: { endpoint, ratio: 0.01 } } });
await using searched = await startPrism({
  more: { tracing: { endpoint, ratio: 0.01, tail }, logging: { slow_call_ms: 100 } },
});
const peers = {
  "no traces": without,
  "1% of the calls": traced,
  "1%, and slow calls in any case": searched,
};
const made: Record<string, () => Promise<number>> = {};
for (const [name, peer] of Object.entries(peers)) {
  await fill(peer);
  made[name] = await contender(peer, grpcGet("small"), { connections: 4, streams: 16 });
}
const runs = await interleaved(made, ROUNDS);
report("gRPC Get, 100 bytes, 64 in flight as 4 x 16", partsOfFirst(runs, "calls/s"), runs);
writeReport("tracing");
collector.close();
collector.closeAllConnections();
