import type { DescMethodUnary } from "@bufbuild/protobuf";
import { ConnectError, type ConnectRouter, type HandlerContext, type MethodImpl } from "@connectrpc/connect";
import type { AnyBatch } from "../calls/columns.ts";
import type { CallRecord } from "../calls/record.ts";
import type { ServedMethod, StreamMethod, UnaryMethod } from "../calls/served-method.ts";
import { connectCall } from "./connect-call.ts";
import { requestError } from "./connect-policy.ts";
import { connectOptions, type RequestReaders } from "./request-reader.ts";
import { appendFields } from "./wire-error.ts";

/** Registers methods with a Connect router, each with the limits of its own requests. */
export function registerMethods(
  connect: ConnectRouter,
  methods: readonly ServedMethod[],
  readerOf: RequestReaders,
): void {
  for (const each of methods) {
    // Connect looks at the method's kind, whatever the type says.
    connect.rpc(
      each.row.desc as DescMethodUnary,
      (each.kind === "unary" ? connectUnary(each) : connectStream(each)) as MethodImpl<DescMethodUnary>,
      connectOptions(readerOf(each.row.desc.input)),
    );
  }
}

function connectUnary({ row, run }: UnaryMethod) {
  const manyRequests = row.kind === "client_streaming";
  return async (request: object, context: HandlerContext): Promise<unknown> => {
    const { record, scope } = connectCall({ contextValues: context.values });
    const unfollow = scope.follow(context.signal);
    const read = manyRequests ? readable(request as AsyncIterable<unknown>) : request;
    try {
      return await run(read, record, scope, asIs);
    } finally {
      unfollow();
      tellMetadata(record, context);
    }
  };
}

function connectStream({ row, open }: StreamMethod) {
  const manyRequests = row.kind === "bidi_streaming";
  return async function* (request: object, context: HandlerContext): AsyncGenerator<unknown> {
    const { record, scope } = connectCall({ contextValues: context.values });
    const unfollow = scope.follow(context.signal);
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

/** A stream of requests for a handler. What Connect cannot read becomes an error of ours. */
async function* readable(requests: AsyncIterable<unknown>): AsyncGenerator<unknown> {
  try {
    yield* requests;
  } catch (error) {
    throw error instanceof ConnectError ? requestError(error) : error;
  }
}

/** Passes the answer's metadata to Connect. */
function tellMetadata({ metadata }: CallRecord, context: HandlerContext): void {
  if (metadata !== undefined) {
    appendFields(context.responseHeader, metadata.header);
    appendFields(context.responseTrailer, metadata.trailer);
  }
}

/** Connect encodes by itself. */
const asIs = <T>(response: T): T => response;
