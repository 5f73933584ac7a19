import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { fileURLToPath } from "node:url";
import { LAYOUT } from "./process.ts";

/** All runs of each contender, in order. */
export type Runs = Record<string, number[]>;

/** Measures the contenders in turn, so that disturbances of the machine hit all of them. */
export async function interleaved(
  contenders: Readonly<Record<string, () => Promise<number>>>,
  rounds: number,
): Promise<Runs> {
  const runs: Runs = Object.fromEntries(Object.keys(contenders).map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const [name, measure] of Object.entries(contenders)) {
      runs[name]?.push(await measure());
    }
  }
  return runs;
}

/** The middle value. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

/** The distance between the smallest and the largest value, as a part of the median. */
export function spread(values: readonly number[]): string {
  return `${Math.round(((Math.max(...values) - Math.min(...values)) / median(values)) * 100)}%`;
}

/** Rounded to significant digits. */
export function rounded(value: number): number {
  return Number(value.toPrecision(3));
}

/** Median and spread of each contender, and the ratio of the first one to each. */
export function compared(runs: Runs, unit: string): Record<string, object> {
  return besideFirst(runs, unit, (first, it) => [`${first.name} / it`, first.median / it]);
}

/** Median and spread of each contender, and the ratio of each to the first one. */
export function partsOfFirst(runs: Runs, unit: string): Record<string, object> {
  return besideFirst(runs, unit, (first, it) => [`it / ${first.name}`, it / first.median]);
}

function besideFirst(
  runs: Runs,
  unit: string,
  ratio: (
    first: { readonly name: string; readonly median: number },
    it: number,
  ) => [title: string, value: number],
): Record<string, object> {
  const [[name, values] = ["", []]] = Object.entries(runs);
  const first = { name, median: median(values) };
  return Object.fromEntries(
    Object.entries(runs).map(([each, rates]) => {
      const [title, value] = ratio(first, median(rates));
      return [each, { [unit]: Math.round(median(rates)), spread: spread(rates), [title]: rounded(value) }];
    }),
  );
}

const results: Record<string, unknown> = {};

/** Prints a table under its question, and stores it and its runs for {@link writeReport}. */
export function report(question: string, table: Readonly<Record<string, object>>, runs: unknown): void {
  console.log(`\n${question}`);
  console.table(table);
  results[question] = { table, runs };
}

/** Writes bench/results/NAME.json: tables, all runs, machine and versions. */
export function writeReport(name: string): void {
  const folder = fileURLToPath(new URL("../results/", import.meta.url));
  mkdirSync(folder, { recursive: true });
  const file = `${folder}${name}.json`;
  const about = { at: new Date().toISOString(), commit: commit(), machine: machine(), versions: versions() };
  writeFileSync(file, `${JSON.stringify({ ...about, results }, null, 2)}\n`);
  console.log(`every run: bench/results/${name}.json`);
}

function machine() {
  const [cpu] = cpus();
  return {
    cpu: cpu?.model,
    cores: cpus().length,
    memoryMib: Math.round(totalmem() / 2 ** 20),
    kernel: release(),
    layout: LAYOUT,
  };
}

function versions(): Record<string, string> {
  const root = new URL("../../", import.meta.url);
  const installed = (name: string): string => {
    const { version } = JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, root), "utf8"));
    return String(version);
  };
  const names = ["@connectrpc/connect", "@bufbuild/protobuf", "fastify", "@grpc/grpc-js"];
  return {
    node: process.version,
    ...Object.fromEntries(names.map((name) => [name, installed(name)])),
    ...programVersion("h2load"),
    ...programVersion("redis-server"),
  };
}

function programVersion(program: string): Record<string, string> {
  try {
    const [line = ""] = execFileSync(program, ["--version"], { encoding: "utf8" }).split("\n");
    return { [program]: line };
  } catch {
    return {};
  }
}

function commit(): string {
  try {
    return execFileSync("git", ["describe", "--always", "--dirty"], { encoding: "utf8" }).trim();
  } catch {
    return "unknown";
  }
}
