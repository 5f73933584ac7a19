import type { FastifyReply, FastifyRequest } from "fastify";
import type { AdminAccess } from "./admin-access.ts";
import { ReadOnlyError } from "./errors.ts";
import type { NamespaceRegistry } from "./namespaces/registry.ts";
import type { HealthState } from "./services/health.ts";

/**
 * `GET /health`: 200 while the server takes calls and every store answers, otherwise 503, with
 * `{status, namespaces: {NAME: {backend, status}}}`. A namespace's status is `serving`,
 * `not_serving`, or `read_only` if its store takes no writes. That is no failure: a gateway may be
 * meant to read a standby. Who may not look at everything gets the status alone.
 */
export function createHealthRoute(registry: NamespaceRegistry, health: HealthState, access: AdminAccess) {
  return async (request: FastifyRequest, reply: FastifyReply) => {
    const checked = await Promise.all(
      registry.namespaces.map(async ({ name, backend }) => {
        const status = await backend.check().then(
          () => "serving",
          (error) => (error instanceof ReadOnlyError ? "read_only" : "not_serving"),
        );
        return [name, { backend: backend.type, status }] as const;
      }),
    );
    const ok = health.serving && checked.every(([, { status }]) => status !== "not_serving");
    return reply.code(ok ? 200 : 503).send({
      status: ok ? "serving" : "not_serving",
      ...(access.mayView(request) && { namespaces: Object.fromEntries(checked) }),
    });
  };
}
