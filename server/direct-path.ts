import type { ServerResponse } from "node:http";
import { Code, ConnectError } from "@connectrpc/connect";
import type { FastifyReply, FastifyRequest, HookHandlerDoneFunction } from "fastify";
import { PrismError } from "./errors.ts";
import { type CallLog, createCallRecord } from "./rpc/call-record.ts";
import { CallScope, deadlineExceeded, MAX_TIMER_MS } from "./rpc/call-scope.ts";
import {
  createDirectMethod,
  DIRECT_FORMS,
  type DirectCall,
  type DirectForm,
  type DirectMethod,
} from "./rpc/direct.ts";
import type { UnaryMethod } from "./rpc/implement.ts";
import type { WireReply } from "./rpc/wire-error.ts";

/** Bounds of the direct path. */
export interface DirectPathOptions {
  readonly log: CallLog;
  readonly readMaxBytes: number;
  /** To receive a whole request; 0 = any time. */
  readonly requestTimeoutMs: number;
  /** Ends the calls that are open, with its reason. */
  readonly shutdownSignal: AbortSignal;
}

/** Answers the calls that it can in a Fastify hook, in front of the routes of the Connect plugin. */
export interface DirectPath {
  /** Puts methods on the path. */
  add(methods: readonly UnaryMethod[]): void;
  /** For `onRequest`, behind the hooks that set headers. */
  hook(request: FastifyRequest, reply: FastifyReply, done: HookHandlerDoneFunction): void;
}

/** Makes the path; there are no methods on it yet. */
export function createDirectPath(options: DirectPathOptions): DirectPath {
  const { log, readMaxBytes, shutdownSignal } = options;
  const methods = new Map<string | undefined, DirectMethod>();
  const open = new Set<CallScope>();
  shutdownSignal.addEventListener("abort", () => {
    for (const scope of open) {
      scope.abort(shutdownSignal.reason);
    }
  });

  return {
    add(added) {
      for (const unary of added) {
        const { parent, name } = unary.method;
        methods.set(`/${parent.typeName}/${name}`, createDirectMethod(unary, log, readMaxBytes));
      }
    },

    hook(request, reply, done) {
      const method = methods.get(request.raw.url);
      const form = formOf(request);
      if (method === undefined || form === undefined) {
        done();
        return;
      }
      const scope = createScope(request, form, method.timeoutMs);
      if (scope === undefined) {
        done();
        return;
      }
      const accepted = request.headers[form.acceptHeader];
      const call: DirectCall = {
        form,
        gzip: typeof accepted === "string" && /(^|,)\s*gzip\s*(,|$)/.test(accepted),
        record: createCallRecord(request.id),
        scope,
      };
      reply.hijack();
      open.add(scope);
      const response = reply.raw;
      response.once("close", () => {
        open.delete(scope);
        scope.abort(new PrismError("canceled", "the caller left"));
      });
      receive(request, options, (body) => {
        if (body instanceof ConnectError) {
          write(reply, form, method.refuse(call, body), call.gzip);
        } else {
          method.answer(call, body).then((answer) => write(reply, form, answer, call.gzip));
        }
      });
    },
  };
}

/** The form of a request that the direct path takes, `undefined` where Connect's own handlers must. */
function formOf({ raw, headers }: FastifyRequest): DirectForm | undefined {
  const form = DIRECT_FORMS.get(headers["content-type"]);
  if (form === undefined || raw.method !== "POST") {
    return undefined;
  }
  const encoding = headers[form.encodingHeader];
  const plain = encoding === undefined || encoding === "identity";
  // Trailers are HTTP/2's; the few who speak gRPC over HTTP/1.1 are Connect's matter.
  return plain && (form.form !== "grpc" || raw.httpVersionMajor === 2) ? form : undefined;
}

/** The call's scope, with the caller's deadline and the method's; `undefined` where the header is broken. */
function createScope(
  { headers }: FastifyRequest,
  form: DirectForm,
  methodTimeoutMs: number,
): CallScope | undefined {
  const header = headers[form.timeoutHeader];
  if (header === undefined) {
    return new CallScope(methodTimeoutMs);
  }
  const { timeoutMs, error } = form.parseTimeout(String(header), Number.MAX_SAFE_INTEGER);
  if (timeoutMs === undefined || error !== undefined) {
    return undefined;
  }
  const scope = new CallScope(Math.min(timeoutMs, methodTimeoutMs || MAX_TIMER_MS, MAX_TIMER_MS));
  if (timeoutMs === 0) {
    scope.abort(deadlineExceeded());
  }
  return scope;
}

type Received = (result: Uint8Array | ConnectError) => void;

/** Reads a body whole, or says why not; once. */
function receive(
  { raw }: FastifyRequest,
  { readMaxBytes, requestTimeoutMs }: DirectPathOptions,
  received: Received,
): void {
  const chunks: Buffer[] = [];
  let bytes = 0;
  const finish: Received = (result) => {
    clearTimeout(timer);
    raw.off("data", onData).off("end", onEnd).off("close", onClose);
    received(result);
  };
  const onData = (chunk: Buffer) => {
    chunks.push(chunk);
    bytes += chunk.length;
    // An envelope has five bytes before its message; what is too large by less is found when it is read.
    if (bytes > readMaxBytes + 5) {
      const message = `message size is larger than configured readMaxBytes ${readMaxBytes}`;
      finish(new ConnectError(message, Code.ResourceExhausted));
    }
  };
  const onEnd = () => {
    const [first] = chunks;
    finish(first !== undefined && chunks.length === 1 ? first : Buffer.concat(chunks));
  };
  const onClose = () => finish(new ConnectError("the caller left", Code.Canceled));
  const timer =
    requestTimeoutMs === 0
      ? undefined
      : setTimeout(() => {
          const message = `the request was not received within ${requestTimeoutMs} ms`;
          finish(new ConnectError(message, Code.DeadlineExceeded));
        }, requestTimeoutMs);
  raw.on("data", onData).on("end", onEnd).on("close", onClose);
}

function write(reply: FastifyReply, form: DirectForm, answer: WireReply, acceptsGzip: boolean): void {
  const response: ServerResponse = reply.raw;
  if (response.destroyed) {
    return;
  }
  const headers: Record<string, string | string[] | number | undefined> = reply.getHeaders();
  headers["content-type"] = answer.contentType;
  if (form.form === "connect-unary") {
    headers["content-length"] = answer.body?.byteLength ?? 0;
    if (answer.gzip) {
      headers["content-encoding"] = "gzip";
    }
  } else if (acceptsGzip) {
    headers["grpc-encoding"] = "gzip";
  }
  response.writeHead(answer.status, headers);
  if (answer.trailer !== undefined) {
    response.addTrailers(Object.fromEntries(answer.trailer));
  }
  response.end(answer.body);
}
