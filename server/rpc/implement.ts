import {
  type DescMethod,
  type DescMethodBiDiStreaming,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type DescService,
  getOption,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import { ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import { timeout_ms as timeoutMsOption } from "../../gen/prism/options_pb.ts";
import type { Call } from "../backend/contract.ts";
import { abortError, asPrismError, PrismError } from "../errors.ts";
import { DEFAULT_NAMESPACE, NAMESPACE_PATTERN } from "../limits.ts";
import { type CallLog, type CallRecord, callRecord } from "./call-record.ts";
import { CallScope } from "./call-scope.ts";
import { loggable, requestError } from "./protocol.ts";
import { toConnectError } from "./status.ts";

/** A handler of one method: takes the request, answers or throws {@link PrismError}. It knows no protocol. */
export type Handler<Method extends DescMethod> =
  Method extends DescMethodUnary<infer I, infer O>
    ? (request: MessageShape<I>, call: Call) => Promise<MessageInitShape<O>>
    : Method extends DescMethodServerStreaming<infer I, infer O>
      ? (request: MessageShape<I>, call: Call) => AsyncIterable<MessageInitShape<O>>
      : Method extends DescMethodBiDiStreaming<infer I, infer O>
        ? (requests: AsyncIterable<MessageShape<I>>, call: Call) => AsyncIterable<MessageInitShape<O>>
        : never;

/** The handlers of a service: every method has one. */
export type Handlers<Service extends DescService> = {
  [K in keyof Service["method"]]: Handler<Service["method"][K]>;
};

/** What is done around every handler. */
export interface CallPolicy {
  readonly log: CallLog;
  /** Most that any call may take, whatever it asks for; 0 = no such bound. */
  readonly maxTimeoutMs: number;
}

type AnyUnary = (request: unknown, call: Call) => Promise<unknown>;
type AnyStream = (request: unknown, call: Call) => AsyncIterable<unknown>;

/** A unary method with its handler in the policies, ready to be called by whoever has read a request. */
export interface UnaryMethod {
  readonly method: DescMethod;
  /** The method's own bound on a call, in milliseconds; 0 = none. */
  readonly timeoutMs: number;
  /** Runs the handler and logs the outcome; closes the scope. Throws ConnectError, ready for the wire. */
  run(request: unknown, record: CallRecord, scope: CallScope): Promise<unknown>;
}

/** A service as it is registered with a Connect router, and its unary methods for the direct path. */
export interface Implementation<Service extends DescService> {
  readonly impl: ServiceImpl<Service>;
  readonly unary: readonly UnaryMethod[];
}

/**
 * Wraps the handlers of a service in the policies that every call is under: deadline, cancellation, errors to
 * codes, one log line.
 */
export function implement<Service extends DescService>(
  service: Service,
  handlers: Handlers<Service>,
  policy: CallPolicy,
): Implementation<Service> {
  const unary: UnaryMethod[] = [];
  const impl: Record<string, unknown> = {};
  for (const method of service.methods) {
    const handler = handlers[method.localName as keyof Handlers<Service>];
    const timeoutMs = shortest(getOption(method, timeoutMsOption), policy.maxTimeoutMs);
    if (method.methodKind === "unary") {
      const wrapped = wrapUnary(method, handler as AnyUnary, timeoutMs, policy.log);
      unary.push(wrapped);
      impl[method.localName] = connectUnary(wrapped);
    } else {
      impl[method.localName] = wrapStream(method, handler as AnyStream, timeoutMs, policy.log);
    }
  }
  return { impl: impl as ServiceImpl<Service>, unary };
}

function wrapUnary(method: DescMethod, handler: AnyUnary, timeoutMs: number, log: CallLog): UnaryMethod {
  return {
    method,
    timeoutMs,
    async run(request, record, scope) {
      enter(record, request);
      try {
        const response = await scope.race(handler(request, scope));
        log(method, record, undefined);
        return response;
      } catch (thrown) {
        const { error, logged } = failure(thrown);
        log(method, record, logged);
        throw toConnectError(error, record);
      } finally {
        scope.close();
      }
    },
  };
}

function connectUnary({ timeoutMs, run }: UnaryMethod) {
  return async (request: unknown, context: HandlerContext): Promise<unknown> => {
    const scope = new CallScope(timeoutMs);
    const unfollow = scope.follow(context.signal);
    try {
      return await run(request, callRecord(context.values), scope);
    } finally {
      unfollow();
    }
  };
}

function wrapStream(method: DescMethod, handler: AnyStream, timeoutMs: number, log: CallLog) {
  return async function* (request: unknown, context: HandlerContext): AsyncGenerator<unknown> {
    const record = callRecord(context.values);
    enter(record, request);
    const scope = new CallScope(timeoutMs);
    const unfollow = scope.follow(context.signal);
    const iterator = handler(request, scope)[Symbol.asyncIterator]();
    let open = true;
    const end = (error: PrismError | undefined) => {
      if (open) {
        open = false;
        log(method, record, error);
        unfollow();
        scope.close();
        // Not awaited: a `next()` that hangs would hold this up for ever.
        iterator.return?.().catch(() => {});
      }
    };
    // A reader that leaves while it owes us room may never resume this generator.
    scope.signal.addEventListener("abort", () => end(abortError(scope.signal)));
    try {
      for (;;) {
        const next = await scope.race(iterator.next());
        if (next.done === true) {
          end(undefined);
          return;
        }
        yield* handOver(next.value);
      }
    } catch (thrown) {
      const { error, logged } = failure(thrown);
      end(logged);
      throw toConnectError(error, record);
    } finally {
      end(new PrismError("canceled", "the caller left"));
    }
  };
}

/** Yields one message. What is thrown at that point comes from the connection: the reader is gone. */
function* handOver(message: unknown): Generator<unknown> {
  try {
    yield message;
  } catch (cause) {
    throw new PrismError("canceled", "the caller left", { cause });
  }
}

/** A handler that reads a stream of requests meets what Connect cannot read of it; all else is ours. */
function failure(thrown: unknown): { error: PrismError; logged: PrismError } {
  if (thrown instanceof ConnectError) {
    const error = requestError(thrown);
    return { error, logged: loggable(error) };
  }
  const error = asPrismError(thrown);
  return { error, logged: error };
}

function enter(record: CallRecord, request: unknown): void {
  record.entered = true;
  if (typeof request === "object" && request !== null && "namespace" in request) {
    const name = String(request.namespace) || DEFAULT_NAMESPACE;
    record.namespace = NAMESPACE_PATTERN.test(name) ? name : "";
  }
}

/** The shorter of two bounds of which 0 means none. */
function shortest(a: number, b: number): number {
  return a === 0 || b === 0 ? Math.max(a, b) : Math.min(a, b);
}
