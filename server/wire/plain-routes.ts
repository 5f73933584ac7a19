import {
  create,
  type DescMessage,
  type JsonObject,
  type JsonValue,
  type MessageInitShape,
  toJson,
} from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { codeToHttpStatus, codeToString } from "@connectrpc/connect/protocol-connect";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { ErrorSchema, Reason } from "../../gen/prism/common/errors_pb.ts";
import { CallRecord } from "../calls/record.ts";
import { CallScope } from "../calls/scope.ts";
import type { ServedMethod, UnaryMethod } from "../calls/served-method.ts";
import { toConnectError } from "../calls/status.ts";
import { asPrismError, PrismError } from "../errors.ts";
import type { RequestReaders } from "./request-reader.ts";
import { JSON_OPTIONS } from "./wire-format.ts";

const REASON_NAMES = new Map<Reason, string>(Object.entries(Reason).map(([name, value]) => [value, name]));

declare module "fastify" {
  interface FastifyRequest {
    /** Of a request to a {@link PlainRoute}. */
    plainCall?: CallRecord | undefined;
  }
}

/** The most bytes of a request's body. */
const MAX_BODY_BYTES = 64 * 1024;

/** A request to a plain route. */
export interface PlainRequest {
  /** The parts of the path that the route names. */
  readonly path: Readonly<Record<string, string>>;
  /** The parameters of the query. Of one that is given twice, the last. */
  readonly query: Readonly<Record<string, string>>;
  /** `undefined` = there is none. */
  readonly body: JsonValue | undefined;
}

/**
 * A plain HTTP route of a unary method, for people and programs without a client. It runs the same
 * handler within the same policies.
 */
export interface PlainRoute {
  readonly method: "GET" | "POST" | "DELETE";
  /** In Fastify's form: `/things/:name`. */
  readonly path: string;
  /** The method's path: `/package.Service/Method`. */
  readonly call: string;
  /** The HTTP status of success. */
  readonly status: number;
  /** The method's request as JSON. */
  toRequest(request: PlainRequest): JsonValue;
  /** The body of the answer, from the method's response as JSON. */
  toAnswer(response: JsonObject): JsonValue;
}

/**
 * Adds plain routes of these methods. A body must be JSON by its Content-Type, which a page of
 * another origin cannot send without asking first. A failure is answered as JSON: `{code, reason,
 * message}`.
 */
export function addPlainRoutes(
  app: FastifyInstance,
  routes: readonly PlainRoute[],
  methods: readonly ServedMethod[],
  readerOf: RequestReaders,
): void {
  // In a scope of its own, because elsewhere bodies are not Fastify's business.
  app.register(async (scope) => {
    scope.addContentTypeParser(
      "application/json",
      { parseAs: "buffer", bodyLimit: MAX_BODY_BYTES },
      (_request, body, done) => done(null, body),
    );
    for (const route of routes) {
      const method = methods.find(({ row }) => row.path === route.call);
      if (method?.kind !== "unary") {
        throw new TypeError(`${route.call} is no unary method`);
      }
      scope.route({
        method: route.method,
        url: route.path,
        onRequest: (request, _reply, done) => {
          // Here, so that its time counts from its headers.
          callOf(method, request);
          done();
        },
        handler: (request, reply) => run(route, method, readerOf, request, reply),
        errorHandler: (error, request, reply) => endUnread(method, error, request, reply),
      });
    }
  });
}

/** The call of a request; the same each time. */
function callOf({ row }: UnaryMethod, request: FastifyRequest): CallRecord {
  const known = request.plainCall;
  if (known !== undefined) {
    return known;
  }
  const { headers, socket, method, url = "" } = request.raw;
  const record = new CallRecord(row, request.id, {
    header: (name) => {
      const value = headers[name];
      return typeof value === "string" ? value : value?.join(", ");
    },
    socket,
    url,
  });
  record.requestBytes = method === "GET" || method === "HEAD" ? url.length : 0;
  request.plainCall = record;
  return record;
}

async function run(
  route: PlainRoute,
  method: UnaryMethod,
  readerOf: RequestReaders,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { row, policies } = method;
  const record = callOf(method, request);
  const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
  record.requestBytes += body.length;
  const scope = new CallScope(row.timeoutMs);
  let message: object;
  try {
    const json = JSON.stringify(
      route.toRequest({
        path: textsOf(request.params),
        query: textsOf(request.query),
        body: readBody(body),
      }),
    );
    message = readerOf(row.desc.input).read(Buffer.from(json), false);
  } catch (thrown) {
    scope.close();
    const error =
      thrown instanceof PrismError
        ? thrown
        : new PrismError("malformed_request", thrown instanceof Error ? thrown.message : "not readable");
    policies.finish(record, error);
    return refuse(reply, record, error);
  }
  reply.raw.once("close", () => scope.leave());
  try {
    const response = await method.run(message, record, scope, (answer) =>
      toJson(row.desc.output, create(row.desc.output, answer as MessageInitShape<DescMessage>), JSON_OPTIONS),
    );
    return send(reply, record, route.status, route.toAnswer(response as JsonObject));
  } catch (error) {
    return refuse(reply, record, error);
  }
}

/** Ends a call whose body Fastify did not read. */
function endUnread(
  method: UnaryMethod,
  error: Error & { readonly statusCode?: number },
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const record = callOf(method, request);
  const { statusCode = 500, message } = error;
  const known =
    statusCode < 500
      ? new PrismError(statusCode === 413 ? "value_too_large" : "malformed_request", message)
      : asPrismError(error);
  method.policies.finish(record, known);
  return refuse(reply, record, known, statusCode);
}

/** `undefined` = empty: some clients name a type for the body that they do not send. */
function readBody(body: Buffer): JsonValue | undefined {
  try {
    return body.length === 0 ? undefined : JSON.parse(body.toString());
  } catch {
    throw new PrismError("malformed_request", "the body is not valid JSON");
  }
}

/** The parameters that are text. */
function textsOf(parameters: unknown): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(Object(parameters)).map(([name, value]) => [
      name,
      String(Array.isArray(value) ? value.at(-1) : value),
    ]),
  );
}

/** `status`: absent = that of the error's code. */
function refuse(reply: FastifyReply, record: CallRecord, thrown: unknown, status?: number): FastifyReply {
  const error =
    thrown instanceof ConnectError
      ? thrown
      : toConnectError(asPrismError(thrown), { requestId: record.requestId, namespace: "" });
  const [detail] = error.findDetails(ErrorSchema);
  if (error.code === Code.Unauthenticated) {
    // RFC 9110 section 11.6.1 demands it with 401.
    reply.header("www-authenticate", "Bearer");
  }
  return send(reply, record, status ?? codeToHttpStatus(error.code), {
    code: codeToString(error.code),
    reason: REASON_NAMES.get(detail?.reason ?? Reason.INTERNAL) ?? "",
    message: error.rawMessage,
  });
}

function send(reply: FastifyReply, record: CallRecord, status: number, answer: JsonValue): FastifyReply {
  const body = Buffer.from(JSON.stringify(answer));
  // Fastify answers HEAD as GET, and leaves out the body.
  record.series?.answer(reply.request.method === "HEAD" ? 0 : body.length);
  return reply.code(status).type("application/json; charset=utf-8").send(body);
}
