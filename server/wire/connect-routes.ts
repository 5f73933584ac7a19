import { Code, ConnectError } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from "@connectrpc/connect-node";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { ServedMethod } from "../calls/served-method.ts";
import { beginConnectCall, connectCall } from "./connect-call.ts";

/**
 * A route for each of Connect's handlers, as @connectrpc/connect-fastify makes them, with two
 * differences. A call whose caller left has its line in the log and nothing on standard error.
 * Fastify never looks at a request's body.
 */
export function addConnectRoutes(
  app: FastifyInstance,
  handlers: readonly UniversalHandler[],
  methods: readonly ServedMethod[],
  onDefect: (error: unknown) => void,
): void {
  const byPath = new Map(methods.map((method) => [method.row.path, method]));
  for (const handler of handlers) {
    const target = byPath.get(handler.requestPath);
    if (target === undefined) {
      throw new TypeError(`${handler.requestPath} has a handler and is no method`);
    }
    const onRequest = (request: FastifyRequest, reply: FastifyReply) => {
      reply.hijack();
      answer(handler, target, request, reply).catch((error) => {
        if (!hasLeft(reply, error)) {
          onDefect(error);
        }
        reply.raw.destroy();
      });
    };
    // Runs before Fastify reads the body, which would need a parser for the Content-Type.
    app.all(handler.requestPath, { onRequest }, () => {});
  }
}

/**
 * Connect would destroy a request that is left early. This keeps it, so that `port/` can drop the
 * rest and keep the connection.
 */
const KEPT = { destroyOnReturn: false };

async function answer(
  handler: UniversalHandler,
  target: ServedMethod,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  const { headers, socket } = request.raw;
  const header = (name: string) => headers[name]?.toString();
  const asked = universalRequestFromNodeRequest(request.raw, reply.raw, undefined, undefined);
  const source = { header, socket, url: request.url };
  const call = beginConnectCall(target, request.id, source, asked);
  const { record } = connectCall(call);
  const sent = counted(request.raw.iterator(KEPT), (bytes) => (record.requestBytes += bytes));
  const response = await handler({ ...call, body: sent });
  // CORS has its own, which the response's would replace.
  const vary = reply.getHeader("vary");
  if (vary !== undefined && response.header?.has("vary") === true) {
    response.header.append("vary", String(vary));
  }
  tellHeaders(reply);
  const body = response.body && counted(response.body, (bytes) => record.series?.answer(bytes));
  await universalResponseToNodeResponse({ ...response, ...(body && { body }) }, reply.raw);
}

/** The same chunks; `count` is told the length of each. */
async function* counted(
  chunks: AsyncIterable<Uint8Array>,
  count: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    count(chunk.length);
    yield chunk;
  }
}

/**
 * Adds the headers of Fastify and its plugins (X-Request-Id, CORS) to a response that they do not
 * send.
 */
export function tellHeaders(reply: FastifyReply): void {
  for (const [name, value] of Object.entries(reply.getHeaders())) {
    reply.raw.setHeader(name, value ?? "");
  }
}

/** Whether an answer failed because its reader is gone. */
function hasLeft({ raw, request }: FastifyReply, error: unknown): boolean {
  const { socket } = request.raw;
  return (
    raw.destroyed ||
    socket.destroyed ||
    socket.errored !== null ||
    ConnectError.from(error).code === Code.Aborted
  );
}
