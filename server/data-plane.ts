import { randomBytes } from "node:crypto";
import { type AddressInfo, isIPv6 } from "node:net";
import { cors as connectCors } from "@connectrpc/connect";
import { fastifyConnectPlugin } from "@connectrpc/connect-fastify";
import { compressionGzip, universalResponseToNodeResponse } from "@connectrpc/connect-node";
import corsPlugin from "@fastify/cors";
import {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  fastify,
  type HookHandlerDoneFunction,
  LogController,
} from "fastify";
import type { Logger } from "pino";
import { NodeExchange } from "./direct/node-exchange.ts";
import { createOnStream } from "./direct/on-stream.ts";
import { createDirectPath, type DirectPath } from "./direct/path.ts";
import { PrismError } from "./errors.ts";
import type { NamespaceRouter } from "./namespace/router.ts";
import { createEngineHttp2 } from "./port/http2-engine.ts";
import { createNodeHttp2 } from "./port/http2-node.ts";
import type { PortOptions } from "./port/options.ts";
import { createPort, type Port } from "./port/port.ts";
import { createCallLog, createCallValues } from "./rpc/call-record.ts";
import type { HealthState } from "./rpc/health.ts";
import { applyProtocolPolicy } from "./rpc/protocol.ts";
import { registerServices } from "./rpc/services.ts";
import { toConnectError } from "./rpc/status.ts";
import { errorForm, errorResponse } from "./rpc/wire-error.ts";
import { JSON_OPTIONS } from "./rpc/wire-format.ts";

/** What the data plane serves, and within which bounds. */
export interface DataPlaneOptions {
  readonly router: NamespaceRouter;
  readonly health: HealthState;
  readonly log: Logger;
  readonly port: Omit<PortOptions, "maxMessageBytes" | "onConnectionError" | "onDefect">;
  /** What speaks HTTP/2: the engine in `http2/`, or node:http2. */
  readonly http2: "engine" | "node";
  /** Origins of web pages that may call; [] = none, "*" = any. */
  readonly corsOrigins: "*" | readonly string[];
  readonly maxValueBytes: number;
  /** Most time that any call may take; 0 = only its own deadline and its method's. */
  readonly maxTimeoutMs: number;
  /** False leaves every call to Connect's own handlers. */
  readonly directPath: boolean;
}

/** The services on one port, over gRPC, gRPC-Web and Connect. */
export interface DataPlane {
  listen(host: string, port: number): Promise<AddressInfo>;
  /**
   * Takes no new calls, lets those in flight end for `graceMs`, then ends what is left with UNAVAILABLE,
   * and at last cuts the connections that will not go. Resolves when all are closed.
   */
  close(graceMs: number): Promise<void>;
}

/** After the grace time, what it takes to tell the last streams why they end. */
const LAST_WORDS_MS = 500;

/** Builds the data plane; it does not listen yet. */
export async function createDataPlane(options: DataPlaneOptions): Promise<DataPlane> {
  const { log } = options;
  const shutdown = new AbortController();
  const readMaxBytes = maxMessageBytes(options.maxValueBytes);
  const { requestTimeoutMs } = options.port;
  const shutdownSignal = shutdown.signal;
  const direct = createDirectPath({
    log: createCallLog(log),
    readMaxBytes,
    requestTimeoutMs,
    shutdownSignal,
  });
  const requestId = createRequestIds();
  let port: Port | undefined;
  const app = fastify({
    loggerInstance: log as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true }),
    // Each line names its request by itself.
    childLoggerFactory: (logger) => logger,
    genReqId: ({ headers: { "x-request-id": given } }) =>
      requestId(typeof given === "string" ? given : undefined),
    // A path that is no URL names no method either.
    frameworkErrors: (_error, request, reply) => {
      reply.header("x-request-id", request.id);
      return answerNotFound(log)(request, reply);
    },
    // port/http1.ts answers what is not HTTP.
    clientErrorHandler: () => {},
    serverFactory: (handler) => {
      const portOptions: PortOptions = {
        ...options.port,
        maxMessageBytes: readMaxBytes,
        onConnectionError: ({ code, message }) => log.info({ code, error: message }, "connection failed"),
        onDefect: (err) => log.error({ err }, "stream failed"),
      };
      const h2 =
        options.http2 === "node"
          ? createNodeHttp2(handler, portOptions)
          : createEngineHttp2(createOnStream(options, direct, requestId, handler), portOptions);
      port = createPort(handler, h2, portOptions);
      return port.server;
    },
  });
  // Connect reads bodies by itself; Fastify's own parsers would answer for paths that are not there.
  app.removeAllContentTypeParsers();
  app.addHook("onRequest", createRequestCheck(log));
  app.setNotFoundHandler(answerNotFound(log));
  app.setErrorHandler(answerUnread(log));
  if (options.corsOrigins.length > 0) {
    await app.register(corsPlugin, {
      origin: options.corsOrigins === "*" ? "*" : [...options.corsOrigins],
      methods: [...connectCors.allowedMethods],
      allowedHeaders: [...connectCors.allowedHeaders, "X-Request-Id"],
      exposedHeaders: [...connectCors.exposedHeaders, "X-Request-Id"],
      maxAge: 7200,
    });
  }
  await registerRpc(app, options, direct, readMaxBytes, shutdownSignal);
  await app.ready();
  if (port === undefined) {
    throw new TypeError("Fastify made no server");
  }
  return lifecycle(app, port, shutdown);
}

function lifecycle(app: FastifyInstance, port: Port, shutdown: AbortController): DataPlane {
  return {
    listen: (host, portNumber) => port.listen(host, portNumber),

    async close(graceMs) {
      const drained = port.drain();
      const cut = () => {
        shutdown.abort(new PrismError("shutting_down", "the server is shutting down"));
        // 0 asks for an end at once, and nobody waits for last words.
        lastWords = setTimeout(() => port.destroy(), graceMs === 0 ? 0 : LAST_WORDS_MS);
      };
      const grace = setTimeout(cut, graceMs);
      let lastWords: NodeJS.Timeout | undefined;
      await drained;
      clearTimeout(grace);
      clearTimeout(lastWords);
      await app.close();
    },
  };
}

/** The direct path in front, Connect's own handlers for all that it leaves to them. */
async function registerRpc(
  app: FastifyInstance,
  options: DataPlaneOptions,
  direct: DirectPath,
  readMaxBytes: number,
  shutdownSignal: AbortSignal,
): Promise<void> {
  const { router, health, maxValueBytes, maxTimeoutMs } = options;
  const { requestTimeoutMs } = options.port;
  const log = createCallLog(options.log);
  if (options.directPath) {
    app.addHook("onRequest", (request, reply, done) => {
      const { method, url = "" } = request.raw;
      if (
        method === undefined ||
        !direct.knows(method, url) ||
        !direct.take(new NodeExchange(request, reply), url)
      ) {
        done();
      }
    });
  }
  await app.register(fastifyConnectPlugin, {
    routes(connect) {
      const methods = registerServices(connect, {
        router,
        health,
        limits: { maxValueBytes },
        policy: { log, maxTimeoutMs },
      });
      direct.add(methods);
      applyProtocolPolicy(connect, { log, requestTimeoutMs });
    },
    contextValues: (request) => createCallValues(request.id),
    shutdownSignal,
    // Brotli at its default level costs milliseconds for kilobytes.
    acceptCompression: [compressionGzip],
    readMaxBytes,
    jsonOptions: JSON_OPTIONS,
  });
}

/** A message with the largest value in it, as base64 in JSON, and room for keys and names. */
function maxMessageBytes(maxValueBytes: number): number {
  return Math.ceil(maxValueBytes / 3) * 4 + 64 * 1024;
}

/** Takes the caller's X-Request-Id where it is one, so that a call can be followed from end to end; else makes one. */
function createRequestIds(): (given: string | undefined) => string {
  const boot = randomBytes(4).toString("hex");
  let count = 0;
  return (given) =>
    given !== undefined && /^[\w.:-]{1,64}$/.test(given) ? given : `${boot}-${(++count).toString(36)}`;
}

/** Connect builds a URL of the Host header and the path, and has no answer where that fails. */
function createRequestCheck(log: Logger) {
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
function answerNotFound(log: Logger) {
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
function answerUnread(log: Logger) {
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
