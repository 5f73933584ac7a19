/** Requests that reach no method: each is answered in the protocol that it speaks, and logged once. */
import type { IncomingMessage } from "node:http";
import { isIPv6 } from "node:net";
import { Code, ConnectError } from "@connectrpc/connect";
import { codeToHttpStatus, codeToString } from "@connectrpc/connect/protocol-connect";
import { universalResponseToNodeResponse } from "@connectrpc/connect-node";
import type { FastifyReply, FastifyRequest, HookHandlerDoneFunction } from "fastify";
import type { FailureLevel, FailureLog } from "./calls/failure-log.ts";
import { peerOf } from "./calls/peer.ts";
import { toConnectError } from "./calls/status.ts";
import { PrismError } from "./errors.ts";
import { REASONS } from "./reasons.ts";
import { tellHeaders } from "./wire/connect-routes.ts";
import { mediaType } from "./wire/content-type.ts";
import { DIRECT_FORMS } from "./wire/forms.ts";
import { errorForm, errorResponse } from "./wire/wire-error.ts";

/** In the place of a host that a request need not name. Connect builds a URL with it, of which only path and query count. */
const ANY_HOST = "localhost";

/**
 * For `onRequest`, before all else: puts the headers that routing depends on into the one form that all behind it know. A request whose
 * host is none is answered here, because Connect builds a URL of host and path, and has no answer where that fails.
 */
export function createRequestCheck(failures: FailureLog) {
  // Of the last request: mostly those of all.
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
      good = { host, url };
    }
    done();
  };
}

/** The host of a request, which is written where Connect looks for it; `undefined` where there must be one (RFC 9112 section 3.2). */
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
 * Tells of a call that reached no handler, with the fields of `calls/policies/log.ts`. Those that fail with one code and one
 * HTTP status are alike: any number of paths can be made up.
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
 * An unknown path: UNIMPLEMENTED, in the protocol that the request speaks, and HTTP 404 where that has a status for it. A look at the
 * admin port's `/health` is told where that is; `adminPort` answers its number.
 */
export function answerNotFound(failures: FailureLog, adminPort: () => number) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const path = pathOf(request);
    const message =
      path === "/health"
        ? `no method ${path}: GET /health is on the admin port, which is ${adminPort()}`
        : `no method ${path}`;
    await refuse(failures, request, reply, new PrismError("method_not_found", message));
  };
}

/** Logs why a request reaches no method, and answers that. */
async function refuse(
  failures: FailureLog,
  request: FastifyRequest,
  reply: FastifyReply,
  error: PrismError,
): Promise<void> {
  const { reason, message } = error;
  const row = REASONS[reason];
  const code = codeToString(row.code);
  // For unary calls of Connect, and for what is no RPC.
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
    // Who left does not read it.
    if (!(thrown instanceof ConnectError) || thrown.code !== Code.Aborted) {
      throw thrown;
    }
  }
}

/** What Fastify itself refuses before a route is entered. */
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
