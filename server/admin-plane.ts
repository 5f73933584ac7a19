import { createHealthRoute } from "./health-route.ts";
import type { NamespaceRegistry } from "./namespaces/registry.ts";
import { createPlane, type Plane, type PlaneOptions } from "./plane.ts";
import { createAdminServices } from "./services/admin-services.ts";
import type { HealthState } from "./services/health.ts";

/** The admin plane's sources, and the bounds that it shares with the data plane. */
export interface AdminPlaneOptions extends Omit<PlaneOptions, "services" | "addRoutes" | "helpWithPath"> {
  readonly registry: NamespaceRegistry;
  readonly health: HealthState;
}

/**
 * Builds the operator's port without listening: the services of `services/admin-services.ts` over
 * every protocol, and plain HTTP routes.
 */
export function createAdminPlane({ registry, health, ...options }: AdminPlaneOptions): Promise<Plane> {
  return createPlane({
    ...options,
    services: (calls) => createAdminServices({ calls }),
    addRoutes(app) {
      app.get("/health", createHealthRoute(registry, health));
    },
  });
}
