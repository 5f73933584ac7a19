import { randomBytes } from "node:crypto";
import type { RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { createConnectRouter } from "@connectrpc/connect";
import { type FastifyBaseLogger, type FastifyInstance, fastify, LogController } from "fastify";
import type { Logger } from "pino";
import { BodyBudget, UnsentBudget } from "../http2/index.ts";
import type { Audit } from "./calls/audit.ts";
import { createFailureLog, type FailureLevel, type FailureLog } from "./calls/failure-log.ts";
import type { CallSettings } from "./calls/implement.ts";
import { LargeAnswers } from "./calls/large-answers.ts";
import { peerOf } from "./calls/peer.ts";
import type { Policy } from "./calls/policies/policy.ts";
import type { ServedMethod, ServiceMethods } from "./calls/served-method.ts";
import { registerCors } from "./cors.ts";
import { PrismError } from "./errors.ts";
import { collectGarbageSoon } from "./garbage.ts";
import type { HostCheck } from "./host-check.ts";
import { createEngineHttp2 } from "./port/http2-engine.ts";
import { createNodeHttp2 } from "./port/http2-node.ts";
import type { PortOptions, TlsMaterial } from "./port/options.ts";
import { createPort, type Port } from "./port/port.ts";
import { answerNotFound, answerUnread, createRequestCheck } from "./unrouted.ts";
import { applyProtocolPolicy } from "./wire/connect-policy.ts";
import { addConnectRoutes } from "./wire/connect-routes.ts";
import { registerMethods } from "./wire/connect-service.ts";
import { createDirectPath, type DirectPath } from "./wire/direct-path.ts";
import type { UnknownFields } from "./wire/json-reader.ts";
import { maxMessageBytes } from "./wire/message-limits.ts";
import { NodeExchange } from "./wire/node-exchange.ts";
import { createOnStream } from "./wire/on-stream.ts";
import { addPlainRoutes, type PlainRoute } from "./wire/plain-routes.ts";
import { createRequestReaders, type RequestReaders } from "./wire/request-reader.ts";

/** Services, and the policies around each of their calls. */
export interface ServiceGroup {
  /** Makes the services, with `calls` around each handler. */
  readonly services: (calls: CallSettings) => readonly ServiceMethods[];
  /** Makes the policies, which log to `failures`. */
  readonly policies: (failures: FailureLog) => readonly Policy[];
}

/** The services of a plane and its bounds. */
export interface PlaneOptions {
  /** Each service is in one of them. */
  readonly groups: readonly ServiceGroup[];
  readonly log: Logger;
  readonly port: Omit<PortOptions, "maxMessageBytes" | "unsent" | "onConnectionError" | "onDefect">;
  /** The implementation of HTTP/2: the engine in `http2/`, or node:http2. */
  readonly http2: "engine" | "node";
  /** The origins whose pages may call; [] = none, "*" = any. */
  readonly corsOrigins: "*" | readonly string[];
  /** Refuses requests by their host. Absent = every host is answered. */
  readonly checkHost?: HostCheck | undefined;
  /** Hears of requests whose host was refused. Absent = nobody does. */
  readonly audit?: Audit;
  readonly maxValueBytes: number;
  /** What to do with JSON fields that a request does not have. */
  readonly jsonUnknownFields: UnknownFields;
  /** The most bytes of all requests that are arriving or being decompressed. */
  readonly maxReceivingBytes: number;
  /** The most bytes of all answers that wait for their callers. */
  readonly maxUnsentBytes: number;
  /** The most milliseconds of any call; 0 = only its own deadline and its method's bound count. */
  readonly maxTimeoutMs: number;
  /**
   * Adds plain HTTP routes beside the services; `addPlain` adds those that call methods of theirs.
   * Absent = there are none.
   */
  readonly addRoutes?: (
    app: FastifyInstance,
    failures: FailureLog,
    addPlain: (routes: readonly PlainRoute[]) => void,
  ) => void | Promise<void>;
  /** What to tell callers of a path that is not served here. "" or absent = no more than that. */
  readonly helpWithPath?: (path: string) => string;
  /** False leaves every call to Connect's own handlers. */
  readonly directPath: boolean;
}

/** What a plane counts of itself at one moment. */
export interface PlaneFigures {
  /** Open connections. */
  readonly connections: number;
  /** Bytes of requests that are arriving or being decompressed. */
  readonly receivingBytes: number;
  /** Bytes of answers that wait for their callers. */
  readonly unsentBytes: number;
}

/** The services on one port, over gRPC, gRPC-Web and Connect. */
export interface Plane {
  figures(): PlaneFigures;
  listen(host: string, port: number): Promise<AddressInfo>;
  /** As {@link Port.renewTls}. */
  renewTls(tls: TlsMaterial): () => void;
  /**
   * Takes no new calls. Calls in flight go on. Resolves when the last connection is closed. It can
   * be called again, and `close` goes on from there.
   */
  drain(): Promise<void>;
  /**
   * Takes no new calls. Calls in flight have `graceMs` to end; then the rest ends with UNAVAILABLE,
   * and last the remaining connections are cut. Resolves when all are closed.
   */
  close(graceMs: number): Promise<void>;
}

/** After the grace time: how long to tell the last streams why they end. */
const LAST_WORDS_MS = 500;

/** What the parts of a plane share. */
interface Shared {
  readonly options: PlaneOptions;
  readonly failures: FailureLog;
  /** Called with defects in calls. */
  readonly onDefect: (cause: unknown) => void;
  /** The memory of arriving requests and of waiting answers. */
  readonly bodies: BodyBudget;
  readonly unsent: UnsentBudget;
  readonly readerOf: RequestReaders;
  /** Makes a request's id from its X-Request-Id. */
  readonly requestId: (given: string | undefined) => string;
  readonly shutdownSignal: AbortSignal;
}

/** Builds a plane without listening. */
export async function createPlane(options: PlaneOptions): Promise<Plane> {
  const shutdown = new AbortController();
  const shared = createShared(options, shutdown.signal);
  const methods = createMethods(shared);
  const direct = createDirectPath(methods, {
    ...shared,
    requestTimeoutMs: options.port.requestTimeoutMs,
  });
  const { app, port } = createHttp(shared, direct);
  await registerCors(app, options.corsOrigins, shared.failures);
  await options.addRoutes?.(app, shared.failures, (routes) =>
    addPlainRoutes(app, routes, methods, shared.readerOf),
  );
  if (options.directPath) {
    addDirectHook(app, direct, shared.bodies);
  }
  addConnect(app, methods, shared);
  await app.ready();
  return lifecycle(app, port, shutdown, shared);
}

function createShared(options: PlaneOptions, shutdownSignal: AbortSignal): Shared {
  const failures = createFailureLog(options.log);
  const largestBytes = maxMessageBytes(options.maxValueBytes);
  const bodies = new BodyBudget(Math.max(options.maxReceivingBytes, 2 * largestBytes));
  const unsent = new UnsentBudget(Math.max(options.maxUnsentBytes, 2 * largestBytes), {
    onEnded: (ended, bytes) =>
      failures.tell({
        level: "warn",
        message: "answers that their callers do not take were ended",
        kind: "",
        fields: () => ({ ended, bytes }),
      }),
    onFreed: () => collectGarbageSoon(),
  });
  return {
    options,
    failures,
    onDefect: (cause) =>
      failures.tell({ level: "error", message: "stream failed", kind: "", fields: () => ({}), cause }),
    bodies,
    unsent,
    readerOf: createRequestReaders({
      maxValueBytes: options.maxValueBytes,
      unknownFields: options.jsonUnknownFields,
      budget: bodies,
    }),
    requestId: createRequestIds(),
    shutdownSignal,
  };
}

/** The methods of all services, each handler within the policies of its group. */
function createMethods({ options, failures, unsent }: Shared): readonly ServedMethod[] {
  const settings = {
    maxTimeoutMs: options.maxTimeoutMs,
    large: new LargeAnswers(unsent),
    onDefect: (cause: unknown) =>
      failures.tell({ level: "error", message: "policy failed", kind: "", fields: () => ({}), cause }),
  };
  return options.groups
    .flatMap(({ services, policies }) => services({ ...settings, policies: policies(failures) }))
    .flatMap(({ methods }) => methods);
}

/** Fastify on the port, with its own answers. The methods' routes come later. */
function createHttp(shared: Shared, direct: DirectPath): { app: FastifyInstance; port: Port } {
  const { options, failures, requestId } = shared;
  const notFound = answerNotFound(failures, options.helpWithPath);
  let port: Port | undefined;
  const app: FastifyInstance = fastify({
    loggerInstance: fastifyLog(failures),
    logController: new LogController({ disableRequestLogging: true }),
    // Each line names its request itself.
    childLoggerFactory: (logger) => logger,
    genReqId: ({ headers: { "x-request-id": given } }) =>
      requestId(typeof given === "string" ? given : undefined),
    // A malformed path names no method either.
    frameworkErrors: (_error, request, reply) => {
      reply.header("x-request-id", request.id);
      return notFound(request, reply);
    },
    // port/http1.ts answers what is not HTTP.
    clientErrorHandler: () => {},
    serverFactory: (handler) => {
      port = createPortFor(handler, shared, direct);
      return port.server;
    },
  });
  if (port === undefined) {
    throw new TypeError("Fastify made no server");
  }
  // Connect reads bodies itself. Fastify's own parsers would answer for unknown paths.
  app.removeAllContentTypeParsers();
  app.addHook("onRequest", createRequestCheck(failures, options.checkHost, options.audit));
  app.setNotFoundHandler(notFound);
  app.setErrorHandler(answerUnread(failures));
  return { app, port };
}

/** The port in front of Fastify's `handler`. With the engine the direct path comes first. */
function createPortFor(handler: RequestListener, shared: Shared, direct: DirectPath): Port {
  const { options, failures, onDefect, bodies, unsent, requestId } = shared;
  const portOptions: PortOptions = {
    ...options.port,
    maxMessageBytes: maxMessageBytes(options.maxValueBytes),
    unsent,
    onConnectionError: ({ code, message }, socket) =>
      failures.tell({
        level: "info",
        message: "connection failed",
        kind: String(code),
        fields: () => ({ peer: peerOf(socket), code, error: message }),
      }),
    onDefect,
  };
  const h2 =
    options.http2 === "node"
      ? createNodeHttp2(handler, portOptions)
      : createEngineHttp2(createOnStream(options, direct, bodies, requestId, handler), portOptions);
  return createPort(handler, h2, portOptions);
}

/** Puts the direct path before all routes, for requests that come through Fastify. */
function addDirectHook(app: FastifyInstance, direct: DirectPath, bodies: BodyBudget): void {
  app.addHook("onRequest", (request, reply, done) => {
    const { method, url = "" } = request.raw;
    if (
      method === undefined ||
      !direct.knows(method, url) ||
      !direct.take(new NodeExchange(request, reply, bodies), url)
    ) {
      done();
    }
  });
}

/** Connect's own handlers, for every call that the direct path does not take. */
function addConnect(app: FastifyInstance, methods: readonly ServedMethod[], shared: Shared): void {
  const { options, readerOf, shutdownSignal, bodies, onDefect } = shared;
  const connect = createConnectRouter({ shutdownSignal });
  registerMethods(connect, methods, readerOf);
  const { requestTimeoutMs } = options.port;
  applyProtocolPolicy(connect, { requestTimeoutMs, bodies, readerOf, shutdownSignal });
  addConnectRoutes(app, connect.handlers, methods, onDefect);
}

function lifecycle(
  app: FastifyInstance,
  port: Port,
  shutdown: AbortController,
  { failures, bodies, unsent }: Shared,
): Plane {
  let drained: Promise<void> | undefined;
  const drain = () => (drained ??= port.drain());
  return {
    figures: () => ({
      connections: port.connections,
      receivingBytes: bodies.bytes,
      unsentBytes: unsent.bytes,
    }),

    listen: (host, portNumber) => port.listen(host, portNumber),
    drain,

    renewTls: (tls) => port.renewTls(tls),

    async close(graceMs) {
      const ended = drain();
      const cut = () => {
        shutdown.abort(new PrismError("shutting_down", "the server is shutting down"));
        // 0 asks for an immediate end, without last words.
        lastWords = setTimeout(() => port.destroy(), graceMs === 0 ? 0 : LAST_WORDS_MS);
      };
      const grace = setTimeout(cut, graceMs);
      let lastWords: NodeJS.Timeout | undefined;
      await ended;
      clearTimeout(grace);
      clearTimeout(lastWords);
      await app.close();
      failures.close();
    },
  };
}

/** Fastify's own log: only what should not happen. */
function fastifyLog(failures: FailureLog): FastifyBaseLogger {
  const tell = (level: FailureLevel) => (what: unknown, message?: string) => {
    const cause: unknown = what instanceof Error ? what : Reflect.get(Object(what), "err");
    const error = typeof what === "string" ? what : message;
    failures.tell({ level, message: "request failed", kind: "", fields: () => ({ error }), cause });
  };
  const own = { info: tell("info"), warn: tell("warn"), error: tell("error") };
  return Object.assign(failures.log.child({}), own);
}

/**
 * Uses the caller's X-Request-Id if it is valid, so that a call can be followed from end to end.
 * Otherwise makes one.
 */
function createRequestIds(): (given: string | undefined) => string {
  const boot = randomBytes(4).toString("hex");
  let count = 0;
  return (given) =>
    given !== undefined && /^[\w.:-]{1,64}$/.test(given) ? given : `${boot}-${(++count).toString(36)}`;
}
