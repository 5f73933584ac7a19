import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { AdminAccess } from "./admin-access.ts";
import type { Namespace } from "./namespaces/live-namespace.ts";
import type { NamespaceRegistry } from "./namespaces/registry.ts";
import type { StoreMonitor, StoreState } from "./namespaces/store-monitor.ts";
import type { HealthState } from "./services/health.ts";

/** What health is told from. */
export interface HealthSources {
  readonly registry: NamespaceRegistry;
  readonly health: HealthState;
  readonly monitor: StoreMonitor;
  /** The processes behind the data port. `undefined` = there is this one alone. */
  readonly workers: { readonly ready: number; readonly count: number } | undefined;
  /** Who may look at everything. */
  readonly access: AdminAccess;
}

/**
 * Adds the routes for probes. Each asks every store how it is now.
 *
 * - `GET /health`: see {@link createHealthRoute}.
 * - `GET /livez`: 200 while the process answers at all.
 * - `GET /readyz`: see {@link createReadyRoute}.
 */
export function addHealthRoutes(app: FastifyInstance, sources: HealthSources): void {
  app.get("/health", createHealthRoute(sources));
  app.get("/livez", async (_request, reply) => reply.type(TEXT).send("ok\n"));
  app.get("/readyz", createReadyRoute(sources));
}

const TEXT = "text/plain; charset=utf-8";

/**
 * 200 while the server takes calls and every store answers, otherwise 503, with
 * `{status, namespaces: {NAME: {backend, status}}}`. A namespace's status is `serving`,
 * `not_serving`, or `read_only` if its store takes no writes. That is no failure: a gateway may be
 * meant to read a standby. Who may not look at everything gets the status alone.
 */
function createHealthRoute({ registry, health, monitor, workers, access }: HealthSources) {
  return async (request: FastifyRequest, reply: FastifyReply) => {
    const checked = (await checkAll(registry.namespaces, monitor)).map(
      ([{ name, backend }, { health: status }]) => [name, { backend: backend.type, status }] as const,
    );
    const ok =
      health.serving && workers?.ready !== 0 && checked.every(([, { status }]) => status !== "not_serving");
    return reply.code(ok ? 200 : 503).send({
      status: ok ? "serving" : "not_serving",
      ...(access.mayView(request) && { namespaces: Object.fromEntries(checked) }),
    });
  };
}

/** How the stores of namespaces are now. Each store is asked once, however many are on it. */
async function checkAll(
  namespaces: readonly Namespace[],
  monitor: StoreMonitor,
): Promise<readonly (readonly [Namespace, StoreState])[]> {
  const stores = new Set(namespaces.map(({ backend }) => backend));
  const states = new Map(
    await Promise.all(Array.from(stores, async (store) => [store, await monitor.check(store)] as const)),
  );
  return namespaces.flatMap((namespace) => {
    const state = states.get(namespace.backend);
    return state === undefined ? [] : [[namespace, state] as const];
  });
}

/** One thing that has to be right for a gateway to be ready. */
interface Check {
  readonly name: string;
  readonly passed: boolean;
  /** Why it failed, or what to know although it passed. "" = nothing. */
  readonly remark: string;
}

/**
 * 200 while every check passes, otherwise 503, as text in the form of Kubernetes' own `/readyz`:
 * the checks that failed, or all of them with `?verbose`. `?exclude=NAME` leaves out the namespace,
 * and can come several times. Who may not look at everything gets the last line alone.
 */
function createReadyRoute({ registry, health, monitor, workers, access }: HealthSources) {
  return async (request: FastifyRequest, reply: FastifyReply) => {
    const mayView = access.mayView(request);
    const asked: Readonly<Record<string, unknown>> = mayView ? Object(request.query) : {};
    const excluded = [asked.exclude].flat();
    const namespaces = registry.namespaces.filter(({ name }) => !excluded.includes(name));
    const checks: Check[] = [
      { name: "server", passed: health.serving, remark: health.serving ? "" : "it takes no calls" },
      ...(workers === undefined ? [] : [checkOfWorkers(workers)]),
      ...(await checkAll(namespaces, monitor)).map(([{ name }, { health: status, problem }]) => ({
        name: `namespace ${name}`,
        passed: status !== "not_serving",
        remark: problem,
      })),
    ];
    const isReady = checks.every(({ passed }) => passed);
    const told = "verbose" in asked ? checks : checks.filter(({ passed }) => mayView && !passed);
    const lines = [...told.map(lineOf), isReady ? "ok" : "not ready"];
    return reply
      .code(isReady ? 200 : 503)
      .type(TEXT)
      .send(lines.map((line) => `${line}\n`).join(""));
  };
}

/** One that is replaced at the moment keeps nobody from calling. */
function checkOfWorkers({ ready, count }: NonNullable<HealthSources["workers"]>): Check {
  return { name: "workers", passed: ready > 0, remark: ready === count ? "" : `${ready} of ${count} run` };
}

function lineOf({ name, passed, remark }: Check): string {
  const result = passed ? `[+]${name} ok` : `[-]${name} failed`;
  return remark === "" ? result : `${result}: ${remark}`;
}
