import type { ConnectionOptions } from "node:tls";
import {
  create,
  type DescMessage,
  type DescMethod,
  type DescMethodStreaming,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type ContextValues,
  createContextValues,
  type Interceptor,
  type StreamResponse,
  type Transport,
  type UnaryResponse,
} from "@connectrpc/connect";
import {
  createMethodSerializationLookup,
  createMethodUrl,
  runStreamingCall,
  runUnaryCall,
} from "@connectrpc/connect/protocol";
import { createTransport } from "@connectrpc/connect/protocol-grpc";
import { encodeHeaders, type HeaderBlock } from "../../http2/index.ts";
import type { CallRequest, CallSignal } from "./call.ts";
import { Channel, type ChannelOptions } from "./channel.ts";
import { envelope } from "./envelope.ts";
import { type GivenHeaders, ownFields } from "./fields.ts";
import { createHttpClient } from "./http-client.ts";
import { StreamCall } from "./stream.ts";
import { UnaryCall } from "./unary.ts";

export { wasNotRun } from "./not-run.ts";

/** More than the largest value that a gateway can be set to keep, in base64 too. */
const READ_MAX_BYTES = 128 * 1024 * 1024;
const WRITE_MAX_BYTES = 0xffff_ffff;

/** Node's timers hold 31 bits of milliseconds, 24.8 days, and take anything longer for 1 ms. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** What a transport can be given. */
export interface GrpcTransportOptions {
  /**
   * `http://host:port`, for HTTP/2 without TLS, or `https://host:port`; a path goes in front of the
   * methods' own.
   */
  readonly baseUrl: string;
  /** For `https`: as in node:tls (`ca`, `cert`, `key`, `servername`, ...). */
  readonly tls?: ConnectionOptions | undefined;
  /** Run around every call. A call with interceptors costs several times as much. */
  readonly interceptors?: readonly Interceptor[] | undefined;
  /** The largest response message, in bytes. Default: 128 MiB. */
  readonly readMaxBytes?: number | undefined;
  /** For calls that name no timeout, in milliseconds; 0 = none. Default: 0. */
  readonly defaultTimeoutMs?: number | undefined;
  /** How connections are made and kept. */
  readonly channel?: ChannelOptions | undefined;
}

/** A Connect transport with connections that can be closed. */
export interface GrpcTransport extends Transport {
  /** As in every transport; without interceptors `signal` need not be a whole AbortSignal. */
  unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    signal: CallSignal | undefined,
    timeoutMs: number | undefined,
    header: GivenHeaders,
    input: MessageInitShape<I>,
    contextValues?: ContextValues,
  ): Promise<UnaryResponse<I, O>>;
  /** Closes the connections as soon as their calls have ended; further calls fail as `canceled`. */
  close(): void;
}

/** What all calls of a method have in common. */
interface PreparedMethod<I extends DescMessage, O extends DescMessage> {
  readonly fields: HeaderBlock;
  /** From what a caller gives to a message in its envelope. Throws ConnectError. */
  encode(input: MessageInitShape<I>): Uint8Array;
  parse(bytes: Uint8Array): MessageShape<O>;
}

/**
 * A gRPC transport for Connect clients in Node, on the HTTP/2 engine: calls with one request go
 * straight to a stream of a shared connection, all others through Connect's own gRPC transport.
 * Messages are binary, and not compressed. Throws TypeError where `baseUrl` is none.
 */
export function createGrpcTransport(options: GrpcTransportOptions): GrpcTransport {
  const { interceptors = [], readMaxBytes = READ_MAX_BYTES, defaultTimeoutMs = 0 } = options;
  const url = new URL(options.baseUrl);
  const secure = url.protocol === "https:";
  const channel = new Channel(
    {
      host: url.hostname.replace(/^\[|\]$/g, ""),
      port: Number(url.port || (secure ? 443 : 80)),
      tls: secure ? (options.tls ?? {}) : undefined,
    },
    options.channel,
  );
  const common = (path: string) =>
    encodeHeaders([
      ":method",
      "POST",
      ":scheme",
      secure ? "https" : "http",
      ":path",
      path,
      ":authority",
      url.host,
      "content-type",
      "application/grpc+proto",
      "te",
      "trailers",
      "user-agent",
      "prism-gateway-node",
    ]);
  const limits = { readMaxBytes, writeMaxBytes: WRITE_MAX_BYTES };
  const reference = createTransport({
    baseUrl: options.baseUrl,
    httpClient: createHttpClient(channel, common),
    useBinaryFormat: true,
    interceptors: [...interceptors],
    acceptCompression: [],
    sendCompression: null,
    compressMinBytes: WRITE_MAX_BYTES,
    ...limits,
  });

  const methods = new Map<DescMethod, unknown>();
  const prefix = url.pathname.replace(/\/$/, "");
  function prepare<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O> | DescMethodStreaming<I, O>,
  ): PreparedMethod<I, O> {
    let prepared = methods.get(method) as PreparedMethod<I, O> | undefined;
    if (prepared === undefined) {
      const lookup = createMethodSerializationLookup(method, undefined, undefined, limits);
      const { serialize } = lookup.getI(true);
      const { parse } = lookup.getO(true);
      prepared = {
        fields: common(`${prefix}/${method.parent.typeName}/${method.name}`),
        encode: (input) => envelope(serialize(create(method.input, input))),
        parse,
      };
      methods.set(method, prepared);
    }
    return prepared;
  }

  function request(
    fields: HeaderBlock,
    signal: CallSignal | undefined,
    timeoutMs: number | undefined,
    header: GivenHeaders,
  ): CallRequest {
    return { fields, ownFields: ownFields(timeoutMs, header), timeoutMs, signal, canSendAgain: true };
  }

  /** `undefined` = any time. */
  function bounded(given: number | undefined): number | undefined {
    const ms = Math.ceil(given ?? defaultTimeoutMs);
    return ms > 0 ? Math.min(ms, MAX_TIMER_MS) : undefined;
  }

  function unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    signal: CallSignal | undefined,
    timeoutMs: number | undefined,
    header: GivenHeaders,
    input: MessageInitShape<I>,
  ): Promise<UnaryResponse<I, O>> {
    const { fields, encode, parse } = prepare(method);
    const call = request(fields, signal, timeoutMs, header);
    return new UnaryCall(channel, call, { method, parse, readMaxBytes }, encode(input)).run();
  }

  async function stream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodStreaming<I, O>,
    signal: AbortSignal | undefined,
    timeoutMs: number | undefined,
    header: GivenHeaders,
    input: AsyncIterable<MessageInitShape<I>>,
  ): Promise<StreamResponse<I, O>> {
    const { fields, encode, parse } = prepare(method);
    const [message] = await Array.fromAsync(input);
    if (message === undefined) {
      throw new ConnectError("a call of this method has one request", Code.InvalidArgument);
    }
    const call = request(fields, signal, timeoutMs, header);
    return await new StreamCall(channel, call, { method, parse, readMaxBytes }, encode(message)).run();
  }

  /** What interceptors run within. */
  function bounds(signal: AbortSignal | undefined, timeoutMs: number | undefined) {
    return {
      interceptors: [...interceptors],
      ...(signal !== undefined && { signal }),
      ...(timeoutMs !== undefined && { timeoutMs }),
    };
  }

  /** What interceptors see of a call before it is sent. */
  function intercepted<M extends DescMethod>(method: M, header: GivenHeaders, contextValues?: ContextValues) {
    return {
      service: method.parent,
      method,
      requestMethod: "POST" as const,
      url: createMethodUrl(options.baseUrl, method),
      header: new Headers(header),
      contextValues: contextValues ?? createContextValues(),
    };
  }

  return {
    async unary(method, signal, givenTimeoutMs, header, input, contextValues) {
      const timeoutMs = bounded(givenTimeoutMs);
      if (interceptors.length === 0) {
        return await unary(method, signal, timeoutMs, header, input);
      }
      if (signal !== undefined && !(signal instanceof AbortSignal)) {
        throw new TypeError("interceptors need an AbortSignal");
      }
      return await runUnaryCall({
        ...bounds(signal, timeoutMs),
        req: { stream: false, ...intercepted(method, header, contextValues), message: input },
        next: (req) => unary(method, req.signal, timeoutMs, req.header, req.message),
      });
    },

    async stream(method, signal, givenTimeoutMs, header, input, contextValues) {
      const timeoutMs = bounded(givenTimeoutMs);
      if (method.methodKind !== "server_streaming") {
        return reference.stream(method, signal, timeoutMs, header, input, contextValues);
      }
      if (interceptors.length === 0) {
        return await stream(method, signal, timeoutMs, header, input);
      }
      return await runStreamingCall({
        ...bounds(signal, timeoutMs),
        req: { stream: true, ...intercepted(method, header, contextValues), message: input },
        next: (req) => stream(method, req.signal, timeoutMs, req.header, req.message),
      });
    },

    close: () => channel.close(),
  };
}
