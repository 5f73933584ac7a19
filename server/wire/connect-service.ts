import type { DescMethodUnary } from "@bufbuild/protobuf";
import { ConnectError, type ConnectRouter, type HandlerContext, type MethodImpl } from "@connectrpc/connect";
import type { AnyBatch } from "../calls/columns.ts";
import type { ServiceMethods, StreamMethod, UnaryMethod } from "../calls/implement.ts";
import { type CallRecord, callRecord } from "../calls/record.ts";
import { CallScope, createDeadlineScope } from "../calls/scope.ts";
import { requestError } from "./connect-policy.ts";
import { connectOptions, type RequestReaders } from "./request-reader.ts";
import { appendFields } from "./wire-error.ts";

/** Registers a service with a Connect router, each method with the limits of its own requests. */
export function registerService(
  connect: ConnectRouter,
  { methods }: ServiceMethods,
  readerOf: RequestReaders,
): void {
  for (const each of methods) {
    // Connect goes by the kind of the method, whatever the type says.
    connect.rpc(
      each.method as DescMethodUnary,
      (each.kind === "unary" ? connectUnary(each) : connectStream(each)) as MethodImpl<DescMethodUnary>,
      connectOptions(readerOf(each.method.input)),
    );
  }
}

function connectUnary({ method, timeoutMs, run }: UnaryMethod) {
  const manyRequests = method.methodKind === "client_streaming";
  return async (request: unknown, context: HandlerContext): Promise<unknown> => {
    const scope = connectScope(timeoutMs, context);
    const unfollow = scope.follow(context.signal);
    const record = callRecord(context.values);
    const read = manyRequests ? readable(request as AsyncIterable<unknown>) : request;
    try {
      return await run(read, record, scope, asIs);
    } finally {
      unfollow();
      tellMetadata(record, context);
    }
  };
}

function connectStream({ method, timeoutMs, open }: StreamMethod) {
  const manyRequests = method.methodKind === "bidi_streaming";
  return async function* (request: unknown, context: HandlerContext): AsyncGenerator<unknown> {
    const scope = connectScope(timeoutMs, context);
    const unfollow = scope.follow(context.signal);
    const record = callRecord(context.values);
    const read = manyRequests ? readable(request as AsyncIterable<unknown>) : request;
    const batches = open(read, record, scope, asIs);
    try {
      let batch: AnyBatch | undefined;
      try {
        batch = await batches.next();
      } finally {
        tellMetadata(record, context);
      }
      for (; batch !== undefined; batch = await batches.next()) {
        yield* batch;
      }
    } finally {
      unfollow();
      batches.close();
    }
  };
}

/** A stream of requests as a handler reads it: what Connect cannot read of it is an error of ours. */
async function* readable(requests: AsyncIterable<unknown>): AsyncGenerator<unknown> {
  try {
    yield* requests;
  } catch (error) {
    throw error instanceof ConnectError ? requestError(error) : error;
  }
}

/** The scope of a call on Connect's handlers, which know its caller's deadline. */
function connectScope(timeoutMs: number, context: HandlerContext): CallScope {
  const givenMs = context.timeoutMs();
  return givenMs === undefined
    ? new CallScope(timeoutMs)
    : createDeadlineScope(Math.max(0, givenMs), timeoutMs);
}

/** Hands to Connect what the answer tells beside its messages. */
function tellMetadata({ metadata }: CallRecord, context: HandlerContext): void {
  if (metadata !== undefined) {
    appendFields(context.responseHeader, metadata.header);
    appendFields(context.responseTrailer, metadata.trailer);
  }
}

/** Connect encodes by itself. */
const asIs = <T>(response: T): T => response;
