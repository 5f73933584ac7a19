import { type Diagnosis, problem } from "./backend/diagnosis.ts";
import { type BackendConfig, placeOf, roomOf } from "./backend/rooms.ts";
import type { Config } from "./config/config.ts";

/** How long one store may take. All are looked at at once. */
const TIMEOUT_MS = 5_000;

/** How much later a room is given up that did not keep its time. */
const GRACE_MS = 500;

/** What a store is like. */
export interface StoreReport {
  /** As in the configuration: `database`, or a name from `backends`. */
  readonly store: string;
  readonly type: string;
  /** Without user and password; "" = in the gateway's memory. */
  readonly place: string;
  readonly findings: readonly Diagnosis[];
}

/**
 * Looks at every configured store by itself, without starting a gateway. Changes nothing. A store
 * that is silent for `timeoutMs` has that as its last finding.
 */
export async function examineStores(
  { backends }: Pick<Config, "backends">,
  timeoutMs = TIMEOUT_MS,
): Promise<readonly StoreReport[]> {
  return await Promise.all(
    Object.entries(backends).map(async ([store, config]) => ({
      store,
      type: config.type,
      place: placeOf(config),
      findings: await examine(config, timeoutMs),
    })),
  );
}

async function examine(config: BackendConfig, timeoutMs: number): Promise<readonly Diagnosis[]> {
  const findings: Diagnosis[] = [];
  const examination = roomOf(config.type).diagnose(config, timeoutMs);
  const late = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => late.resolve(undefined), timeoutMs + GRACE_MS);
  try {
    for (;;) {
      const next = await Promise.race([examination.next(), late.promise]);
      if (next === undefined) {
        findings.push(
          problem("answer", `none within ${timeoutMs / 1000} s: check its machine and the network`),
        );
        return findings;
      }
      if (next.done === true) {
        return findings;
      }
      findings.push(next.value);
    }
  } finally {
    clearTimeout(timer);
    // Nobody waits for a store that is silent.
    examination.return().catch(() => {});
  }
}

/** The lines of a report for people, each with its line feed. */
export function renderReport({ store, type, place, findings }: StoreReport): string {
  const width = Math.max(...findings.map(({ check }) => check.length));
  return [
    `${store} (${type}${place === "" ? "" : `, ${place}`})\n`,
    ...findings.map(
      ({ check, state, message }) => `  ${state.padEnd(8)}  ${check.padEnd(width)}  ${message}\n`,
    ),
  ].join("");
}

/** Whether a gateway could not serve one of the stores. */
export function hasProblem(reports: readonly StoreReport[]): boolean {
  return reports.some(({ findings }) => findings.some(({ state }) => state === "problem"));
}
