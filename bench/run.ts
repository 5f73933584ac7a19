/** Runs the benches that are named, or all of them, one after the other: `make bench`, `make bench ARGS="unary scan"`. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const BENCHES = [
  "unary",
  "plugin",
  "latency",
  "scan",
  "clients",
  "idle",
  "encoder",
  "lists",
  "entry-count",
  "entry-memory",
  "scan-memory",
  "start",
  "stores",
  "postgres",
] as const;

const named = process.argv.slice(2);
const unknown = named.filter((name) => !(BENCHES as readonly string[]).includes(name));
if (unknown.length > 0) {
  console.error(`no bench ${unknown.join(", ")}; there are ${BENCHES.join(", ")}`);
  process.exit(2);
}
let failed = 0;
for (const name of named.length > 0 ? named : BENCHES) {
  const file = fileURLToPath(new URL(`${name}.ts`, import.meta.url));
  failed += spawnSync(process.execPath, [file], { stdio: "inherit" }).status === 0 ? 0 : 1;
}
process.exitCode = failed === 0 ? 0 : 1;
