import {
  type DescMessage,
  type DescMethod,
  fromBinary,
  type JsonValue,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import {
  appendHeaders,
  Code,
  ConnectError,
  type ContextValues,
  createContextValues,
  type Interceptor,
  type StreamRequest,
  type Transport,
  type UnaryRequest,
} from "@connectrpc/connect";
import {
  compressedFlag,
  createEnvelopeReadableStream,
  createMethodUrl,
  encodeEnvelope,
  runStreamingCall,
  runUnaryCall,
} from "@connectrpc/connect/protocol";
import {
  endStreamFlag,
  endStreamFromJson,
  errorFromJson,
  requestHeader,
  trailerDemux,
  validateResponse,
} from "@connectrpc/connect/protocol-connect";
import { markNotRun, type NotRun } from "./transport/not-run.ts";
import { MAX_TIMER_MS } from "./wait.ts";

/**
 * A transport over `fetch`: the Connect protocol (https://connectrpc.com/docs/protocol) with binary
 * messages, for calls with one request. `fetch` throws TypeErrors when the network fails, like a
 * program with a bug; here such calls fail as Unavailable.
 *
 * It is in place of @connectrpc/connect-web's transport, which can speak JSON too and brings all
 * that JSON needs to every page.
 */
export function createFetchTransport(baseUrl: string, interceptors: readonly Interceptor[]): Transport {
  /** What a call runs within, and what interceptors see of it before it is sent. */
  function common<M extends DescMethod>(
    method: M,
    signal: AbortSignal | undefined,
    givenMs: number | undefined,
    header: ConstructorParameters<typeof Headers>[0],
    contextValues: ContextValues | undefined,
  ) {
    const timeoutMs = givenMs !== undefined && givenMs > 0 ? Math.min(givenMs, MAX_TIMER_MS) : undefined;
    return {
      bounds: {
        interceptors: [...interceptors],
        ...(signal !== undefined && { signal }),
        ...(timeoutMs !== undefined && { timeoutMs }),
      },
      request: {
        service: method.parent,
        method,
        requestMethod: "POST" as const,
        url: createMethodUrl(baseUrl, method),
        header: requestHeader(method.methodKind, true, timeoutMs, header, false),
        contextValues: contextValues ?? createContextValues(),
      },
    };
  }

  return {
    async unary(method, signal, timeoutMs, header, message, contextValues) {
      const { bounds, request } = common(method, signal, timeoutMs, header, contextValues);
      return await runUnaryCall({
        ...bounds,
        req: { ...request, stream: false, message },
        async next(req) {
          const response = await post(req, toBinary(method.input, req.message));
          const { isUnaryError, unaryError } = check(method, response);
          const [fields, trailer] = trailerDemux(response.headers);
          if (isUnaryError) {
            const told = (await response.json().catch(unavailable)) as JsonValue;
            throw errorFromJson(told, appendHeaders(fields, trailer), unaryError);
          }
          const bytes = new Uint8Array(await response.arrayBuffer().catch(unavailable));
          const answer = parse(method.output, bytes);
          return { stream: false, service: method.parent, method, header: fields, message: answer, trailer };
        },
      });
    },

    async stream(method, signal, timeoutMs, header, input, contextValues) {
      const { bounds, request } = common(method, signal, timeoutMs, header, contextValues);
      return await runStreamingCall({
        ...bounds,
        req: { ...request, stream: true, message: input },
        async next(req) {
          const [message] = await Array.fromAsync(req.message);
          if (message === undefined || method.methodKind !== "server_streaming") {
            throw new ConnectError("a call over fetch has one request", Code.InvalidArgument);
          }
          const response = await post(req, encodeEnvelope(0, toBinary(method.input, message)));
          check(method, response);
          const trailer = new Headers();
          const messages = readStream(method.output, response, trailer, req.signal);
          return { ...req, header: response.headers, trailer, message: messages };
        },
      });
    },
  };
}

/** Sends a request. Throws ConnectError where there is no answer. */
async function post({ url, header, signal }: UnaryRequest | StreamRequest, body: Uint8Array<ArrayBuffer>) {
  try {
    return await fetch(url, { method: "POST", headers: header, signal, body, redirect: "error" });
  } catch (error) {
    throw unanswered(url, error);
  }
}

/** Throws for what is no answer of this protocol. */
function check({ methodKind }: DescMethod, { status, headers }: Response) {
  return validateResponse(methodKind, true, status, headers);
}

/** The messages of a stream. `trailer` gets what comes at its end. */
async function* readStream<O extends DescMessage>(
  output: O,
  { body, headers }: Response,
  trailer: Headers,
  signal: AbortSignal,
): AsyncGenerator<MessageShape<O>, void, undefined> {
  if (body === null) {
    throw new ConnectError("missing response body", Code.Internal);
  }
  const reader = createEnvelopeReadableStream(body).getReader();
  let ended = false;
  for (;;) {
    const { done, value } = await reader.read().catch(unavailable);
    if (done && ended) {
      return;
    }
    if (done) {
      // Node's fetch ends a body so if it was aborted before anybody read it.
      signal.throwIfAborted();
      throw new ConnectError("protocol error: the stream has no end message", Code.Internal);
    }
    const { flags, data } = value;
    if ((flags & compressedFlag) !== 0) {
      throw new ConnectError("protocol error: a compressed message, and none was asked for", Code.Internal);
    }
    if ((flags & endStreamFlag) !== 0) {
      const { metadata, error } = endStreamFromJson(data);
      if (error !== undefined) {
        headers.forEach((field, name) => {
          error.metadata.append(name, field);
        });
        throw error;
      }
      metadata.forEach((field, name) => {
        trailer.set(name, field);
      });
      ended = true;
    } else {
      yield parse(output, data);
    }
  }
}

function parse<O extends DescMessage>(output: O, bytes: Uint8Array): MessageShape<O> {
  try {
    return fromBinary(output, bytes);
  } catch (error) {
    throw ConnectError.from(error, Code.Internal);
  }
}

/** Throws the error of a body that is read; a TypeError becomes Unavailable. */
function unavailable(error: unknown): never {
  throw error instanceof TypeError ? lost(error.message, error) : error;
}

/** The error of `fetch`; a TypeError becomes Unavailable. */
function unanswered(url: string, error: unknown): unknown {
  if (!(error instanceof TypeError)) {
    return error;
  }
  const { message, cause } = error;
  const code = cause instanceof Error && "code" in cause ? `, ${cause.code}` : "";
  const hint = "check the address, that the gateway runs, and in a page server.cors of its configuration";
  const failure = lost(`no answer from ${URL.parse(url)?.origin}: ${message}${code}; ${hint}`, error);
  const why = notRun(cause);
  return why === undefined ? failure : markNotRun(failure, why);
}

function lost(message: string, cause: TypeError): ConnectError {
  return new ConnectError(message, Code.Unavailable, undefined, undefined, cause);
}

/** Node tells why there was no connection; browsers do not. */
function notRun(cause: unknown): NotRun | undefined {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  if (/^(ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN|UND_ERR_CONNECT_TIMEOUT)$/.test(code)) {
    return "unsent";
  }
  // The codes in https://nodejs.org/api/tls.html#x509-certificate-error-codes, and OpenSSL's own.
  return /CERT|ISSUER|SIGNATURE|^ERR_(SSL|TLS)_/.test(code) ? "misplaced" : undefined;
}
