import { codeToString } from "@connectrpc/connect/protocol-connect";
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { Audit } from "./calls/audit.ts";
import { peerOf } from "./calls/peer.ts";
import type { Principal } from "./calls/principal.ts";
import { PrismError } from "./errors.ts";
import { REASONS, type Reason } from "./reasons.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** The caller of a plain route, once it is known. */
    principal?: Principal | undefined;
    /** The namespace that a plain route is about, where its path has no `:name`. */
    namespace?: string | undefined;
    /** Why a plain route failed, if a {@link PrismError} was thrown. */
    reason?: Reason | undefined;
  }
}

/** HTTP methods that change nothing (RFC 9110 section 9.2.1). */
const SAFE: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

/** The HTTP statuses of a caller who is refused: 401 Unauthorized and 403 Forbidden. */
const REFUSED: ReadonlySet<number> = new Set([401, 403]);

/**
 * Tells `audit` of the plain routes of `app`: of each request that may write, and of each whose
 * caller was refused.
 */
export function auditRoutes(app: FastifyInstance, audit: Audit): void {
  for (const name of ["principal", "namespace", "reason"]) {
    app.decorateRequest(name, undefined);
  }
  app.addHook("onError", (request, _reply, error, done) => {
    const cause: unknown = error;
    request.reason = cause instanceof PrismError ? cause.reason : undefined;
    done();
  });
  app.addHook("onResponse", (request, { statusCode }, done) => {
    const isRefused = REFUSED.has(statusCode);
    if (isRefused || !SAFE.has(request.method)) {
      const entry = entryOf(request, statusCode);
      if (isRefused) {
        audit.refused(entry);
      } else {
        audit.administered(entry);
      }
    }
    done();
  });
}

function entryOf(request: FastifyRequest, status: number) {
  const { reason } = request;
  const { name } = Object(request.params) as { readonly name?: unknown };
  return {
    request_id: request.id,
    peer: peerOf(request.raw.socket),
    principal: request.principal?.name,
    call: `${request.method} ${request.routeOptions.url ?? ""}`,
    namespace: request.namespace ?? (typeof name === "string" ? name : ""),
    code: reason === undefined ? (status < 400 ? "ok" : "unknown") : codeToString(REASONS[reason].code),
    http_status: status,
    ...(reason && { reason }),
  };
}
