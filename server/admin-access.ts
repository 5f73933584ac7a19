import type { FastifyInstance, FastifyRequest } from "fastify";
import type { FailureLog } from "./calls/failure-log.ts";
import { type Authenticator, requireAdminRole } from "./calls/policies/auth.ts";
import { type AdminRole, hasAdminRole, type Principal } from "./calls/principal.ts";
import { asPrismError } from "./errors.ts";
import { refuse } from "./unrouted.ts";

/** For those that ask whether the gateway lives: they have no credentials. */
export const OPEN_ROUTES: ReadonlySet<string> = new Set(["/health", "/livez", "/readyz"]);

/** Who sent a plain HTTP request to the admin port. */
export interface AdminAccess {
  /** Who sent it; `undefined` = nobody said, or nobody is asked. */
  principalOf(request: FastifyRequest): Principal | undefined;
  /** Whether its sender may look at everything; always where nobody is asked. */
  mayView(request: FastifyRequest): boolean;
}

/**
 * Guards every plain HTTP route that is added to `app` afterwards or before: GET needs the role
 * viewer, DELETE admin, all others operator. {@link OPEN_ROUTES} answer everybody. Without an
 * `authenticator` all do.
 */
export function guardAdminRoutes(
  app: FastifyInstance,
  authenticator: Authenticator | undefined,
  failures: FailureLog,
): AdminAccess {
  if (authenticator === undefined) {
    return { principalOf: () => undefined, mayView: () => true };
  }
  const principals = new WeakMap<FastifyRequest, Principal>();
  app.addHook("onRequest", async (request, reply) => {
    const isOpen = OPEN_ROUTES.has(request.routeOptions.url ?? "");
    try {
      const principal = await authenticator.authenticate(sourceOf(request));
      principals.set(request, principal);
      if (!isOpen) {
        requireAdminRole(principal, neededFor(request.method));
      }
    } catch (thrown) {
      // Credentials that are missing or wrong are no reason not to tell that the gateway lives.
      if (!isOpen) {
        reply.header("www-authenticate", "Bearer");
        await refuse(failures, request, reply, asPrismError(thrown));
        return reply;
      }
    }
    return undefined;
  });
  return {
    principalOf: (request) => principals.get(request),
    mayView(request) {
      const principal = principals.get(request);
      return principal !== undefined && hasAdminRole(principal, "viewer");
    },
  };
}

function sourceOf({ raw }: FastifyRequest) {
  return { header: (name: string) => raw.headers[name]?.toString(), socket: raw.socket };
}

function neededFor(method: string): AdminRole {
  switch (method) {
    case "GET":
    case "HEAD":
      return "viewer";
    case "DELETE":
      return "admin";
    default:
      return "operator";
  }
}
