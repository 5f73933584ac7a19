/** Requests that reach no method: each is answered in the protocol that it speaks, and logged once. */
import { isIPv6 } from "node:net";
import { universalResponseToNodeResponse } from "@connectrpc/connect-node";
import type { FastifyReply, FastifyRequest, HookHandlerDoneFunction } from "fastify";
import type { Logger } from "pino";
import { PrismError } from "./errors.ts";
import { toConnectError } from "./rpc/status.ts";
import { errorForm, errorResponse } from "./rpc/wire-error.ts";

/** For `onRequest`: Connect builds a URL of the Host header and the path, and has no answer where that fails. */
export function createRequestCheck(log: Logger) {
  // Of the last request: mostly those of all.
  let good = { host: "", url: "" };

  return (request: FastifyRequest, reply: FastifyReply, done: HookHandlerDoneFunction): void => {
    reply.header("x-request-id", request.id);
    const { headers } = request.raw;
    const [, address, portNumber] = /^([\da-f:.]+):(\d+)$/i.exec(String(headers[":authority"])) ?? [];
    if (address !== undefined && isIPv6(address)) {
      // Node's own HTTP/2 client leaves out the brackets.
      headers[":authority"] = `[${address}]:${portNumber}`;
    }
    const host = String(headers[":authority"] ?? headers.host ?? "");
    const { url } = request;
    if (host !== good.host || url !== good.url) {
      if (!URL.canParse(url, `http://${host}`)) {
        log.info(
          { ...callFields(request, reply), code: "invalid_argument", error: "no host" },
          "call failed",
        );
        reply.code(400).send({ code: "invalid_argument", message: "the request names no host" });
        return;
      }
      good = { host, url };
    }
    done();
  };
}

/** What the log says of a call that reached no handler: the fields of `rpc/call-record.ts`. */
function callFields(request: FastifyRequest, reply: FastifyReply) {
  const [path = ""] = request.url.slice(0, 256).split("?");
  const [, service = "", call = ""] = path.split("/");
  return {
    request_id: request.id,
    service,
    call,
    namespace: "",
    duration_ms: Math.round(reply.elapsedTime * 1000) / 1000,
  };
}

/** An unknown path: UNIMPLEMENTED, in the protocol that the request speaks. */
export function answerNotFound(log: Logger) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const [path = ""] = request.url.slice(0, 256).split("?");
    const error = new PrismError("method_not_found", `no method ${path}`);
    log.info(
      { ...callFields(request, reply), code: "unimplemented", reason: error.reason, error: error.message },
      "call failed",
    );
    const contentType = request.headers["content-type"] ?? "";
    const form = errorForm(contentType);
    const failure = toConnectError(error, { requestId: request.id, namespace: "" });
    if (form === undefined) {
      await reply.code(404).send({ code: "unimplemented", message: error.message });
      return;
    }
    reply.hijack();
    for (const [name, value] of Object.entries(reply.getHeaders())) {
      reply.raw.setHeader(name, value ?? "");
    }
    await universalResponseToNodeResponse(errorResponse(form, contentType, failure), reply.raw);
  };
}

/** What Fastify itself refuses before a route is entered; above all a Content-Type that no protocol has. */
export function answerUnread(log: Logger) {
  return async (
    error: Error & { statusCode?: number },
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<void> => {
    const status = error.statusCode ?? 500;
    const known = status < 500;
    const code = known ? "invalid_argument" : "internal";
    log[known ? "info" : "error"](
      {
        ...callFields(request, reply),
        code,
        http_status: status,
        ...(known ? { error: error.message } : { err: error }),
      },
      "call failed",
    );
    const message =
      status === 415
        ? "use Content-Type: application/json, or one of gRPC, gRPC-Web or Connect"
        : known
          ? error.message
          : "internal error";
    await reply.code(status).send({ code, message });
  };
}
