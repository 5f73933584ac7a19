/** How many calls a second does a Node client make, and how much CPU does each take? */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { fill } from "./harness/calls.ts";
import { startPrism } from "./harness/peers.ts";
import { compared, median, type Runs, report, rounded, spread, writeReport } from "./harness/report.ts";

const ROUNDS = 5;
const CLIENTS = {
  prism: "Prism",
  "prism-client": "PrismClient",
  "grpc-js": "@grpc/grpc-js",
  "connect-node": "connect-node",
} as const;

await using prism = await startPrism();
await fill(prism);

const run = promisify(execFile);
const file = fileURLToPath(new URL("./peers/client.ts", import.meta.url));

/** Each client runs in its own process, so that none suffers from what another left. */
async function measure(client: string, inFlight: number): Promise<{ rate: number; cpuMicros: number }> {
  const { stdout } = await run(process.execPath, [file, client, String(prism.port), String(inFlight)]);
  return JSON.parse(stdout) as { rate: number; cpuMicros: number };
}

for (const inFlight of [64, 1]) {
  const rates: Runs = {};
  const cpu: Runs = {};
  for (let round = 0; round < ROUNDS; round++) {
    for (const [client, name] of Object.entries(CLIENTS)) {
      const { rate, cpuMicros } = await measure(client, inFlight);
      rates[name] = [...(rates[name] ?? []), rate];
      cpu[name] = [...(cpu[name] ?? []), cpuMicros];
    }
  }
  const table = compared(rates, "calls/s");
  const [first = []] = Object.values(cpu);
  for (const [name, values] of Object.entries(cpu)) {
    table[name] = {
      ...table[name],
      "CPU µs a call": rounded(median(values)),
      "its spread": spread(values),
      "its ratio": rounded(median(first) / median(values)),
    };
  }
  report(`gRPC Get of 100 bytes from one Node process, ${inFlight} in flight`, table, { rates, cpu });
}
writeReport("clients");
