import { type Diagnosis, problem } from "./backend/diagnosis.ts";
import { type BackendConfig, backendSchema, placeOf, roomOf } from "./backend/rooms.ts";
import { catalogStoreOf } from "./catalog/catalogs.ts";
import type { ControlConfig } from "./catalog/config.ts";
import type { Config, QuotaConfig } from "./config/config.ts";

/** How long one store may take. All are looked at at once. */
const TIMEOUT_MS = 5_000;

/** How much later a room is given up that did not keep its time. */
const GRACE_MS = 500;

/** What a store is like. */
export interface StoreReport {
  /** As in the configuration: `database`, a name from `backends`, `control` or `quotas`. */
  readonly store: string;
  readonly type: string;
  /** Without user and password; "" = in the gateway's memory. */
  readonly place: string;
  readonly findings: readonly Diagnosis[];
}

/** What of a configuration has stores. */
export interface StoresOf extends Pick<Config, "backends"> {
  readonly control: ControlConfig;
  readonly quotas: Pick<QuotaConfig, "redisUrl">;
}

/**
 * Looks at every configured store by itself, without starting a gateway; at the catalog of
 * namespaces and the Redis of shared quotas too. Changes nothing. A store that is silent for
 * `timeoutMs` has that as its last finding.
 */
export async function examineStores(
  { backends, control, quotas: { redisUrl } }: StoresOf,
  timeoutMs = TIMEOUT_MS,
): Promise<readonly StoreReport[]> {
  const looks = Object.entries(backends).map(([store, config]) => lookAt(store, config));
  const catalog = await catalogStoreOf(control);
  if (catalog !== undefined) {
    looks.push({ store: "control", type: control.type, ...catalog });
  }
  if (redisUrl !== undefined) {
    looks.push(lookAtQuotas(redisUrl));
  }
  return await Promise.all(
    looks.map(async ({ diagnose, ...of }) => ({
      ...of,
      findings: await examine(diagnose(timeoutMs), timeoutMs),
    })),
  );
}

/** A store to look at. */
interface Look extends Omit<StoreReport, "findings"> {
  diagnose(timeoutMs: number): AsyncGenerator<Diagnosis, void>;
}

function lookAt(store: string, config: BackendConfig): Look {
  return {
    store,
    type: config.type,
    place: placeOf(config),
    diagnose: (timeoutMs) => roomOf(config.type).diagnose(config, timeoutMs),
  };
}

/** What a Redis of quotas is looked at for. When it loses them, all count anew, and that is all. */
const CHECKS_OF_QUOTAS: ReadonlySet<string> = new Set(["reachable", "version", "TLS", "writes"]);

function lookAtQuotas(url: string): Look {
  const look = lookAt("quotas", backendSchema.parse({ type: "redis", url }));
  return {
    ...look,
    async *diagnose(timeoutMs) {
      for await (const finding of look.diagnose(timeoutMs)) {
        if (CHECKS_OF_QUOTAS.has(finding.check)) {
          yield finding;
        }
      }
    },
  };
}

async function examine(
  examination: AsyncGenerator<Diagnosis, void>,
  timeoutMs: number,
): Promise<readonly Diagnosis[]> {
  const findings: Diagnosis[] = [];
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
