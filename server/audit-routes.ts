import { codeToString } from "@connectrpc/connect/protocol-connect";
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { AdminAccess } from "./admin-access.ts";
import type { Audit } from "./calls/audit.ts";
import { peerOf } from "./calls/peer.ts";
import { PrismError } from "./errors.ts";
import { REASONS } from "./reasons.ts";

/** HTTP methods that change nothing (RFC 9110 section 9.2.1). */
const SAFE: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

/** The HTTP statuses of a caller who is refused: 401 Unauthorized and 403 Forbidden. */
const REFUSED: ReadonlySet<number> = new Set([401, 403]);

/**
 * Tells `audit` of the plain routes of `app`: of each request that may write, and of each whose
 * sender was refused. `access` knows who sent it.
 */
export function auditRoutes(
  app: FastifyInstance,
  audit: Audit,
  access: Pick<AdminAccess, "principalOf">,
): void {
  app.addHook("onError", (request, _reply, error, done) => {
    const cause: unknown = error;
    if (cause instanceof PrismError) {
      request.reason = cause.reason;
    }
    done();
  });
  app.addHook("onResponse", (request, { statusCode }, done) => {
    const isRefused = REFUSED.has(statusCode);
    if (request.isAudited !== true && (isRefused || !SAFE.has(request.method))) {
      const entry = entryOf(request, statusCode, access.principalOf(request)?.name);
      if (isRefused) {
        audit.refused(entry);
      } else {
        audit.administered(entry);
      }
    }
    done();
  });
}

function entryOf(request: FastifyRequest, status: number, principal: string | undefined) {
  const { reason } = request;
  const { name } = Object(request.params) as { readonly name?: unknown };
  return {
    request_id: request.id,
    peer: peerOf(request.raw.socket),
    principal,
    call: `${request.method} ${request.routeOptions.url ?? ""}`,
    namespace: request.namespace ?? (typeof name === "string" ? name : ""),
    code: reason === undefined ? (status < 400 ? "ok" : "unknown") : codeToString(REASONS[reason].code),
    http_status: status,
    ...(reason && { reason }),
  };
}
