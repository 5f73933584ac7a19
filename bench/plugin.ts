/**
 * What does a store in another process cost? Gets through a proxy to its plugin, beside Gets
 * directly to a plugin. The called server has its core for itself; the proxy's plugin shares the
 * load's core, which has room for both.
 */
import { contender, fill, grpcGet } from "./harness/calls.ts";
import { hasH2load } from "./harness/h2load.ts";
import { startPrism } from "./harness/peers.ts";
import { compared, interleaved, report, writeReport } from "./harness/report.ts";

const ROUNDS = 5;
const SHAPE = { connections: 4, streams: 16 };

if (!hasH2load()) {
  process.exit(1);
}
await using plugin = await startPrism();
await using distant = await startPrism({ core: "load" });
await using proxy = await startPrism({ pluginPort: distant.port });
await fill(plugin);
await fill(distant);

const runs = await interleaved(
  {
    "proxy -> plugin": await contender(proxy, grpcGet("small"), SHAPE),
    "straight to the plugin": await contender(plugin, grpcGet("small"), SHAPE),
  },
  ROUNDS,
);
report("gRPC Get, 100 bytes, 64 in flight as 4 x 16", compared(runs, "calls/s"), runs);
writeReport("plugin");
