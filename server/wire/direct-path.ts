import { CallRecord } from "../calls/record.ts";
import type { ServedMethod } from "../calls/served-method.ts";
import { scopeOf } from "./call-scope.ts";
import { createDirectMethod, type DirectMethod } from "./direct-method.ts";
import type { Exchange } from "./exchange.ts";
import { directForm } from "./forms.ts";
import { type CallBounds, OpenCall } from "./open-call.ts";
import { OpenCalls } from "./open-calls.ts";
import type { RequestReaders } from "./request-reader.ts";

/** Bounds of the direct path. */
export interface DirectPathOptions {
  readonly readerOf: RequestReaders;
  /** The time limit to receive a whole request; 0 = none. */
  readonly requestTimeoutMs: number;
  readonly onDefect: (error: unknown) => void;
  /** Ends the open calls with its reason. */
  readonly shutdownSignal: AbortSignal;
}

/** Answers the calls that it can before Connect's own handlers, which get the others. */
export interface DirectPath {
  /**
   * Whether a request with this HTTP method and path may be one for {@link DirectPath.take}; cheap.
   */
  knows(httpMethod: string, path: string): boolean;
  /** Takes the exchange and answers it. False = it is untouched and belongs to Connect. */
  take(exchange: Exchange, path: string): boolean;
}

/** Makes the direct path of the methods with a single request. */
export function createDirectPath(served: readonly ServedMethod[], options: DirectPathOptions): DirectPath {
  const { readerOf, requestTimeoutMs, onDefect, shutdownSignal } = options;
  const methods = new Map<string, DirectMethod>();
  for (const target of served) {
    const { path, kind, desc } = target.row;
    if (kind === "unary" || kind === "server_streaming") {
      methods.set(path, createDirectMethod(target, readerOf(desc.input)));
    }
  }
  const open = new OpenCalls<OpenCall>();
  const bounds: CallBounds = { open, requestTimeoutMs, onDefect };
  shutdownSignal.addEventListener("abort", () => {
    for (const { scope } of [...open.all]) {
      scope.abort(shutdownSignal.reason);
    }
  });

  /** A query after the path means nothing in a POST. */
  const methodOf = (path: string) => {
    const end = path.indexOf("?");
    return methods.get(end < 0 ? path : path.slice(0, end));
  };

  return {
    knows: (httpMethod, path) => httpMethod === "POST" && methodOf(path) !== undefined,

    take(exchange, path) {
      const method = methodOf(path);
      const form = directForm(exchange.header("content-type"));
      if (method === undefined || form === undefined || !method.takes(form)) {
        return false;
      }
      const encoding = exchange.header(form.encodingHeader);
      const zipped = encoding === "gzip";
      if (!zipped && encoding !== undefined && encoding !== "identity") {
        return false;
      }
      const scope = scopeOf(method.row, form.timeout, exchange);
      if (scope === undefined) {
        return false;
      }
      const gzip = acceptsGzip(exchange.header(form.acceptHeader), zipped);
      const record = new CallRecord(method.row, exchange.requestId, exchange);
      new OpenCall(exchange, form, zipped, gzip, record, scope, method, bounds).receive();
      return true;
    },
  };
}

/** A caller that does not say can read what it sends. */
function acceptsGzip(accepted: string | undefined, zipped: boolean): boolean {
  return accepted === undefined || accepted === "" ? zipped : /(^|,)\s*gzip\s*(,|$)/.test(accepted);
}
