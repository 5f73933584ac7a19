/**
 * Are Length, push and pop on a list of 1,000,000 as fast as on one of 10? Directly at the stores,
 * interleaved, medians of five.
 */
import { join } from "node:path";
import { type Backend, createCall } from "../server/backend/contract.ts";
import { createBackend } from "../server/backend/factory.ts";
import { temporaryFolder } from "../tests/helpers/process.ts";
import { median, report, rounded, spread, writeReport } from "./harness/report.ts";

const LONG = 1_000_000;
const SHORT = 10;
const ROUNDS = 5;
const IN_FLIGHT = 64;
const VALUE = Buffer.alloc(100, "v");
const CALL = createCall();

type Operation = (backend: Backend, key: string) => Promise<unknown> | undefined;

const OPERATIONS: Record<string, Operation> = {
  length: (backend, key) => backend.lists?.length("default", [key], CALL),
  "push and pop, left": (backend, key) => pushPop(backend, key, "left"),
  "push and pop, right": (backend, key) => pushPop(backend, key, "right"),
};

async function pushPop(backend: Backend, key: string, end: "left" | "right"): Promise<void> {
  await backend.lists?.push("default", [{ key, end, value: VALUE }], CALL);
  await backend.lists?.pop("default", [{ key, end }], CALL);
}

async function fill(backend: Backend, key: string, length: number): Promise<void> {
  for (let i = 0; i < length; i += 10_000) {
    const pushes = Array.from({ length: Math.min(10_000, length - i) }, () => ({
      key,
      end: "right" as const,
      value: VALUE,
    }));
    await backend.lists?.push("default", pushes, CALL);
  }
}

/** Calls per second over half a second, 64 in flight. */
async function rate(run: () => Promise<unknown> | undefined): Promise<number> {
  const startedAtMs = performance.now();
  let calls = 0;
  const lane = async () => {
    while (performance.now() - startedAtMs < 500) {
      await run();
      calls++;
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
  return calls / ((performance.now() - startedAtMs) / 1000);
}

await using folder = await temporaryFolder();
const rows: Record<string, object> = {};
const runs: Record<string, unknown> = {};
for (const config of [
  { type: "memory" } as const,
  { type: "sqlite", path: join(folder.path, "prism.db") } as const,
]) {
  const backend = await createBackend(config);
  await backend.open();
  await fill(backend, "long", LONG);
  await fill(backend, "short", SHORT);
  for (const [name, operation] of Object.entries(OPERATIONS)) {
    const rates = { long: [] as number[], short: [] as number[] };
    for (let round = 0; round < ROUNDS; round++) {
      rates.long.push(await rate(() => operation(backend, "long")));
      rates.short.push(await rate(() => operation(backend, "short")));
    }
    const [long, short] = [median(rates.long), median(rates.short)];
    runs[`${config.type}: ${name}`] = rates;
    rows[`${config.type}: ${name}`] = {
      [`calls/s at ${SHORT}`]: Math.round(short),
      [`calls/s at ${LONG}`]: Math.round(long),
      spread: spread(rates.long),
      ratio: rounded(long / short),
    };
  }
  await backend.close();
}
report(`Lists of ${LONG} and of ${SHORT}, straight at the stores, ${IN_FLIGHT} in flight`, rows, runs);
writeReport("lists");
