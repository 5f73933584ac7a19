/**
 * Runs the named benches, or a group, one after another: `make bench`, `make bench ARGS=stores`,
 * `make bench ARGS="unary scan"`.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const GROUPS: Readonly<Record<string, readonly string[]>> = {
  calls: [
    "unary",
    "latency",
    "scan",
    "batch",
    "clients",
    "idle",
    "encoder",
    "policies",
    "auth",
    "quota",
    "metrics",
    "tracing",
    "lists",
    "start",
  ],
  stores: [
    "durable",
    "refused",
    "commits",
    "increments",
    "records",
    "timeseries",
    "blocking",
    "tail",
    "redis",
    "postgres",
    "plugin",
    "entry-count",
    "entry-memory",
    "scan-memory",
    "namespaces",
    "workers",
    "console",
  ],
};
const BENCHES = Object.values(GROUPS).flat();

const asked = process.argv.slice(2);
const named = (asked.length > 0 ? asked : ["calls"]).flatMap((name) => GROUPS[name] ?? [name]);
const unknown = named.filter((name) => !BENCHES.includes(name));
if (unknown.length > 0) {
  console.error(
    `no bench ${unknown.join(", ")}; there are ${[...Object.keys(GROUPS), ...BENCHES].join(", ")}`,
  );
  process.exit(2);
}
let failed = 0;
for (const name of named) {
  const file = fileURLToPath(new URL(`${name}.ts`, import.meta.url));
  failed += spawnSync(process.execPath, [file], { stdio: "inherit" }).status === 0 ? 0 : 1;
}
process.exitCode = failed === 0 ? 0 : 1;
