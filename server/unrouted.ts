/** Requests that reach no method. Each is answered in its own protocol and logged once. */
import type { IncomingMessage } from "node:http";
import { isIPv6 } from "node:net";
import { Code, ConnectError } from "@connectrpc/connect";
import { codeToHttpStatus, codeToString } from "@connectrpc/connect/protocol-connect";
import { universalResponseToNodeResponse } from "@connectrpc/connect-node";
import type { FastifyReply, FastifyRequest, HookHandlerDoneFunction } from "fastify";
import type { Audit } from "./calls/audit.ts";
import type { FailureLevel, FailureLog } from "./calls/failure-log.ts";
import { peerOf } from "./calls/peer.ts";
import { toConnectError } from "./calls/status.ts";
import { PrismError } from "./errors.ts";
import type { HostCheck } from "./host-check.ts";
import { REASONS, type Reason } from "./reasons.ts";
import { tellHeaders } from "./wire/connect-routes.ts";
import { mediaType } from "./wire/content-type.ts";
import { DIRECT_FORMS } from "./wire/forms.ts";
import { errorForm, errorResponse } from "./wire/wire-error.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** The namespace that a plain route is about, where its path has no `:name`. */
    namespace?: string | undefined;
    /** Why it was refused, or failed with a {@link PrismError}. */
    reason?: Reason | undefined;
    /** True: the audit log has it already. */
    isAudited?: boolean;
  }
}

/**
 * Stands for the host of a request that may leave it out. Connect builds a URL with it and uses
 * only the path and query.
 */
const ANY_HOST = "localhost";

/**
 * An `onRequest` hook, the first one: puts the headers that routing depends on into the one form
 * that everything behind it expects. A request with a malformed host is answered here: Connect
 * would build a URL of host and path, and has no answer if that fails. So is one that `checkHost`
 * refuses, of which `audit` is told.
 */
export function createRequestCheck(failures: FailureLog, checkHost?: HostCheck, audit?: Audit) {
  // The last request's values, which most requests share.
  let good = { host: "", url: "" };

  return (request: FastifyRequest, reply: FastifyReply, done: HookHandlerDoneFunction): void => {
    reply.header("x-request-id", request.id);
    const { headers } = request.raw;
    const type = headers["content-type"];
    if (type !== undefined && !DIRECT_FORMS.has(type)) {
      headers["content-type"] = mediaType(type) ?? type;
    }
    const host = hostOf(request.raw);
    const { url } = request;
    if (host !== good.host || url !== good.url) {
      if (host === undefined || !URL.canParse(url, `http://${host}`)) {
        const error = new PrismError("malformed_request", "the request names no host");
        void refuse(failures, request, reply, error);
        return;
      }
      const refusal = host === good.host ? undefined : checkHost?.(host);
      if (refusal !== undefined) {
        request.isAudited = true;
        audit?.refused({
          request_id: request.id,
          peer: peerOf(request.raw.socket),
          principal: undefined,
          // It was refused before anybody looked what it calls.
          call: "",
          namespace: "",
          code: codeToString(REASONS[refusal.reason].code),
          reason: refusal.reason,
        });
        void refuse(failures, request, reply, refusal);
        return;
      }
      good = { host, url };
    }
    done();
  };
}

/**
 * The host of a request, also written where Connect looks for it. `undefined` = a required host is
 * missing (RFC 9112 section 3.2).
 */
function hostOf({ headers, httpVersion, httpVersionMajor }: IncomingMessage): string | undefined {
  if (httpVersionMajor === 2) {
    const authority = String(headers[":authority"] ?? "") || headers.host || ANY_HOST;
    // Node's own HTTP/2 client leaves out the brackets.
    const [, address, portNumber] = /^([\da-f:.]+):(\d+)$/i.exec(authority) ?? [];
    const host = address !== undefined && isIPv6(address) ? `[${address}]:${portNumber}` : authority;
    headers[":authority"] = host;
    return host;
  }
  if (headers.host === undefined && httpVersion !== "1.0") {
    return undefined;
  }
  headers.host ||= ANY_HOST;
  return headers.host;
}

/**
 * Logs a call that reached no handler, with the fields of `calls/policies/log.ts`. Failures with
 * the same code and HTTP status are one kind, because callers can make up any number of paths.
 */
function tell(
  failures: FailureLog,
  request: FastifyRequest,
  reply: FastifyReply,
  level: FailureLevel,
  failure: {
    readonly code: string;
    readonly http_status?: number;
    readonly reason?: string;
    readonly error?: string;
  },
  cause?: unknown,
): void {
  failures.tell({
    level,
    message: "call failed",
    kind: `unrouted ${failure.code} ${failure.http_status}`,
    fields() {
      const [, service = "", call = ""] = pathOf(request).split("/");
      return {
        request_id: request.id,
        peer: peerOf(request.raw.socket),
        service,
        call,
        namespace: "",
        duration_ms: Math.round(reply.elapsedTime * 1000) / 1000,
        ...failure,
      };
    },
    cause,
  });
}

function pathOf({ url }: FastifyRequest): string {
  const [path = ""] = url.slice(0, 256).split("?");
  return path;
}

/**
 * An unknown path: UNIMPLEMENTED in the request's protocol, with HTTP 404 where the protocol has a
 * status for it. `helpWith` may add where to find the path.
 */
export function answerNotFound(failures: FailureLog, helpWith: (path: string) => string = () => "") {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const path = pathOf(request);
    const help = helpWith(path);
    const message = help === "" ? `no method ${path}` : `no method ${path}: ${help}`;
    await refuse(failures, request, reply, new PrismError("method_not_found", message));
  };
}

/** Logs why a request reaches no method or no route, and answers that. */
export async function refuse(
  failures: FailureLog,
  request: FastifyRequest,
  reply: FastifyReply,
  error: PrismError,
): Promise<void> {
  const { reason, message } = error;
  request.reason = reason;
  const row = REASONS[reason];
  const code = codeToString(row.code);
  // For Connect's unary calls, and for requests that are no RPC.
  const status = row.httpStatus ?? codeToHttpStatus(row.code);
  tell(failures, request, reply, "info", { code, reason, error: message });
  const contentType = request.headers["content-type"] ?? "";
  const form = errorForm(contentType);
  if (form === undefined) {
    await reply.code(status).send({ code, message });
    return;
  }
  const failure = toConnectError(error, { requestId: request.id, namespace: "" });
  reply.hijack();
  tellHeaders(reply);
  try {
    await universalResponseToNodeResponse(errorResponse(form, contentType, failure, status), reply.raw);
  } catch (thrown) {
    // A caller who left does not read the answer.
    if (!(thrown instanceof ConnectError) || thrown.code !== Code.Aborted) {
      throw thrown;
    }
  }
}

/** Answers what Fastify itself refuses before a route is entered. */
export function answerUnread(failures: FailureLog) {
  return async (
    error: Error & { statusCode?: number },
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<void> => {
    const status = error.statusCode ?? 500;
    const known = status < 500;
    const code = known ? "invalid_argument" : "internal";
    if (known) {
      tell(failures, request, reply, "info", { code, http_status: status, error: error.message });
    } else {
      tell(failures, request, reply, "error", { code, http_status: status }, error);
    }
    await reply.code(status).send({ code, message: known ? error.message : "internal error" });
  };
}
