import { type CallLog, CallRecord } from "../rpc/call-record.ts";
import { CallScope, createDeadlineScope } from "../rpc/call-scope.ts";
import { createDirectMethod, type DirectMethod } from "../rpc/direct.ts";
import type { Exchange } from "../rpc/exchange.ts";
import { DIRECT_FORMS, type DirectForm } from "../rpc/forms.ts";
import type { StreamMethod, UnaryMethod } from "../rpc/implement.ts";
import { type CallBounds, OpenCall } from "./open-call.ts";
import { OpenCalls } from "./open-calls.ts";

/** Bounds of the direct path. */
export interface DirectPathOptions {
  readonly log: CallLog;
  readonly readMaxBytes: number;
  /** To receive a whole request; 0 = any time. */
  readonly requestTimeoutMs: number;
  readonly onDefect: (error: unknown) => void;
  /** Ends the calls that are open, with its reason. */
  readonly shutdownSignal: AbortSignal;
}

/** Answers the calls that it can, in front of Connect's own handlers, which get the others. */
export interface DirectPath {
  /** Puts methods on the path. */
  add(methods: readonly (UnaryMethod | StreamMethod)[]): void;
  /** Whether a request of this HTTP method and path could be one for {@link DirectPath.take}; cheap. */
  knows(httpMethod: string, path: string): boolean;
  /** Takes the exchange and answers it, or leaves it alone: false = it is for Connect. */
  take(exchange: Exchange, path: string): boolean;
}

/** Makes the path; there are no methods on it yet. */
export function createDirectPath(options: DirectPathOptions): DirectPath {
  const { log, readMaxBytes, requestTimeoutMs, onDefect, shutdownSignal } = options;
  const methods = new Map<string, DirectMethod>();
  const open = new OpenCalls<OpenCall>();
  const bounds: CallBounds = { open, readMaxBytes, requestTimeoutMs, onDefect };
  shutdownSignal.addEventListener("abort", () => {
    for (const { scope } of [...open.all]) {
      scope.abort(shutdownSignal.reason);
    }
  });

  return {
    add(added) {
      for (const target of added) {
        const { parent, name } = target.method;
        methods.set(`/${parent.typeName}/${name}`, createDirectMethod(target, log, readMaxBytes));
      }
    },

    knows: (httpMethod, path) => httpMethod === "POST" && methods.has(path),

    take(exchange, path) {
      const method = methods.get(path);
      const form = formOf(exchange);
      if (method === undefined || form === undefined || !method.takes(form)) {
        return false;
      }
      const scope = createScope(exchange, form, method.timeoutMs);
      if (scope === undefined) {
        return false;
      }
      const gzip = acceptsGzip(exchange.header(form.acceptHeader));
      new OpenCall(exchange, form, gzip, new CallRecord(exchange.requestId), scope, method, bounds).receive();
      return true;
    },
  };
}

/** The form of a request that the direct path takes, `undefined` where Connect's own handlers must. */
function formOf(exchange: Exchange): DirectForm | undefined {
  const form = DIRECT_FORMS.get(exchange.header("content-type"));
  if (form === undefined) {
    return undefined;
  }
  const encoding = exchange.header(form.encodingHeader);
  const plain = encoding === undefined || encoding === "identity";
  // The few who speak gRPC over HTTP/1.1 are Connect's matter.
  return plain && (form.form !== "grpc" || exchange.hasTrailers) ? form : undefined;
}

/** The call's scope, with the caller's deadline and the method's; `undefined` where the header is broken. */
function createScope(exchange: Exchange, form: DirectForm, methodTimeoutMs: number): CallScope | undefined {
  const header = exchange.header(form.timeoutHeader);
  if (header === undefined) {
    return new CallScope(methodTimeoutMs);
  }
  const { timeoutMs, error } = form.parseTimeout(header, Number.MAX_SAFE_INTEGER);
  if (timeoutMs === undefined || error !== undefined) {
    return undefined;
  }
  return createDeadlineScope(timeoutMs, methodTimeoutMs);
}

function acceptsGzip(accepted: string | undefined): boolean {
  return accepted !== undefined && /(^|,)\s*gzip\s*(,|$)/.test(accepted);
}
