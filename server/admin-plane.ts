import { guardAdminRoutes, OPEN_ROUTES } from "./admin-access.ts";
import { auditRoutes } from "./audit-routes.ts";
import type { Audit } from "./calls/audit.ts";
import type { Authenticator } from "./calls/policies/auth.ts";
import type { Config } from "./config/config.ts";
import { createConfigRoute } from "./config-route.ts";
import { addConsoleRoutes, CONSOLE_PATHS, findConsole } from "./console-route.ts";
import { addHealthRoutes, type HealthSources } from "./health-route.ts";
import type { MetricSources } from "./metrics/exposition.ts";
import { createMetricsRoute } from "./metrics-route.ts";
import { NAMESPACE_ROUTES } from "./namespace-routes.ts";
import type { NamespaceController } from "./namespaces/controller.ts";
import { createOpenApiRoute } from "./openapi-route.ts";
import { createPlane, type Plane, type PlaneOptions, type ServiceGroup } from "./plane.ts";
import type { AdminSources } from "./services/admin.ts";
import { createAdminServices } from "./services/admin-services.ts";
import type { HealthState } from "./services/health.ts";
import { DATA_SERVICES } from "./services/services.ts";

/** The admin plane's sources, and the bounds that it shares with the data plane. */
export interface AdminPlaneOptions extends Omit<PlaneOptions, "groups" | "addRoutes" | "helpWithPath"> {
  /** The policies around the services of operators. */
  readonly policies: ServiceGroup["policies"];
  /**
   * The services about data, with the policies that they have on the data port, for the console.
   * `undefined` = neither is served.
   */
  readonly data: ServiceGroup | undefined;
  readonly sources: AdminSources;
  readonly control: NamespaceController;
  readonly health: HealthState;
  /** As {@link HealthSources.workers}. */
  readonly workers: HealthSources["workers"];
  /** Finds out who sends plain HTTP requests. `undefined` = nobody is asked. */
  readonly authenticator: Authenticator | undefined;
  readonly audit: Audit;
  /** `undefined` = there are none. */
  readonly metrics: MetricSources | undefined;
  /** The configuration in force. */
  readonly config: () => Config;
}

/** The paths of all plain routes. */
export const ADMIN_PATHS: readonly string[] = [
  ...OPEN_ROUTES,
  ...CONSOLE_PATHS,
  "/metrics",
  "/config",
  "/openapi.json",
  ...new Set(NAMESPACE_ROUTES.map(({ path }) => path)),
];

const ADMIN_PATTERN = new RegExp(`^(${ADMIN_PATHS.join("|").replace(/:\w+/g, "[^/]+")})$`);

/** Whether a plain route of the operator's port has this path. */
export function isAdminPath(path: string): boolean {
  return ADMIN_PATTERN.test(path);
}

/**
 * Builds the operator's port without listening: the services of `services/admin-services.ts` and
 * those about data over every protocol, and plain HTTP routes.
 */
export function createAdminPlane({
  policies,
  data,
  sources,
  control,
  health,
  workers,
  authenticator,
  metrics,
  config,
  ...options
}: AdminPlaneOptions): Promise<Plane> {
  return createPlane({
    ...options,
    groups: [
      {
        services: (calls) =>
          createAdminServices({ sources, control, others: data === undefined ? [] : DATA_SERVICES, calls }),
        policies,
      },
      ...(data === undefined ? [] : [data]),
    ],
    async addRoutes(plane, failures, addPlain) {
      // They run within the policies.
      addPlain(NAMESPACE_ROUTES);
      if (data !== undefined) {
        addConsoleRoutes(plane, findConsole);
      }
      // In a context of their own, so that the hooks are on these routes and on nothing else.
      await plane.register(async (app) => {
        app.addHook("onRoute", ({ url }) => {
          if (!ADMIN_PATHS.includes(url)) {
            throw new TypeError(`the route ${url} is not in ADMIN_PATHS`);
          }
        });
        const access = guardAdminRoutes(app, authenticator, failures);
        auditRoutes(app, options.audit, access);
        addHealthRoutes(app, { ...sources, health, workers, access });
        if (metrics !== undefined) {
          app.get("/metrics", createMetricsRoute(metrics));
        }
        app.get("/openapi.json", createOpenApiRoute());
        app.get("/config", createConfigRoute(config));
      });
    },
  });
}
