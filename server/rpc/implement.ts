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
import { Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import { timeout_ms as timeoutMsOption } from "../../gen/prism/options_pb.ts";
import type { Call } from "../backend/contract.ts";
import { abortError, asPrismError, PrismError } from "../errors.ts";
import { DEFAULT_NAMESPACE, NAMESPACE_PATTERN } from "../limits.ts";
import { type CallLog, type CallRecord, callRecord } from "./call-record.ts";
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

/**
 * Wraps the handlers of a service in the policies that every call is under (deadline, cancellation, errors
 * to codes, one log line) and gives the implementation to register with a Connect router.
 */
export function implement<Service extends DescService>(
  service: Service,
  handlers: Handlers<Service>,
  policy: CallPolicy,
): ServiceImpl<Service> {
  const wrapped = service.methods.map((method) => {
    const handler = handlers[method.localName as keyof Handlers<Service>];
    const timeoutMs = shortest(getOption(method, timeoutMsOption), policy.maxTimeoutMs);
    const wrap =
      method.methodKind === "unary"
        ? wrapUnary(method, handler as AnyUnary, timeoutMs, policy.log)
        : wrapStream(method, handler as AnyStream, timeoutMs, policy.log);
    return [method.localName, wrap];
  });
  return Object.fromEntries(wrapped) as ServiceImpl<Service>;
}

function wrapUnary(method: DescMethod, handler: AnyUnary, timeoutMs: number, log: CallLog) {
  return async (request: unknown, context: HandlerContext): Promise<unknown> => {
    const record = enter(context, request);
    const scope = new CallScope(context.signal, timeoutMs);
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
  };
}

function wrapStream(method: DescMethod, handler: AnyStream, timeoutMs: number, log: CallLog) {
  return async function* (request: unknown, context: HandlerContext): AsyncGenerator<unknown> {
    const record = enter(context, request);
    const scope = new CallScope(context.signal, timeoutMs);
    const iterator = handler(request, scope)[Symbol.asyncIterator]();
    let open = true;
    const end = (error: PrismError | undefined) => {
      if (open) {
        open = false;
        log(method, record, error);
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

function enter(context: HandlerContext, request: unknown): CallRecord {
  const record = callRecord(context.values);
  record.entered = true;
  if (typeof request === "object" && request !== null && "namespace" in request) {
    const name = String(request.namespace) || DEFAULT_NAMESPACE;
    record.namespace = NAMESPACE_PATTERN.test(name) ? name : "";
  }
  return record;
}

/** What a handler and a store see of a call: its signal, with the deadline in it. */
class CallScope implements Call {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #outer: AbortSignal;
  readonly #onOuterAbort = () => this.#controller.abort(abortedBy(this.#outer));

  /** `timeoutMs` 0 = only the caller's own deadline, which `outer` has in it. */
  constructor(outer: AbortSignal, timeoutMs: number) {
    this.#outer = outer;
    if (outer.aborted) {
      this.#onOuterAbort();
      return;
    }
    outer.addEventListener("abort", this.#onOuterAbort);
    if (timeoutMs > 0) {
      this.#timer = setTimeout(() => this.#controller.abort(deadlineExceeded()), timeoutMs);
    }
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Settles as `work` does, or rejects when the call is aborted, whichever is first: a stuck store holds up no caller. */
  race<T>(work: Promise<T>): Promise<T> {
    const { signal } = this;
    return new Promise<T>((resolve, reject) => {
      const onAbort = () => reject(abortError(signal));
      const settled = () => signal.removeEventListener("abort", onAbort);
      work.then(resolve, reject).finally(settled);
      if (signal.aborted) {
        onAbort();
      } else {
        signal.addEventListener("abort", onAbort, { once: true });
      }
    });
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#outer.removeEventListener("abort", this.#onOuterAbort);
  }
}

/** Why Connect's signal was aborted: shutdown (our own reason), the caller's deadline, or the caller left. */
function abortedBy(signal: AbortSignal): PrismError | undefined {
  if (!signal.aborted) {
    return undefined;
  }
  const { reason } = signal;
  if (reason instanceof PrismError) {
    return reason;
  }
  return reason instanceof ConnectError && reason.code === Code.DeadlineExceeded
    ? deadlineExceeded()
    : new PrismError("canceled", "the call was canceled", { cause: reason });
}

function deadlineExceeded(): PrismError {
  return new PrismError("deadline_exceeded", "the deadline of the call passed");
}

/** The shorter of two bounds of which 0 means none. */
function shortest(a: number, b: number): number {
  return a === 0 || b === 0 ? Math.max(a, b) : Math.min(a, b);
}
