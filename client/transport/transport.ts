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
  type Interceptor,
  type Transport,
  type UnaryResponse,
} from "@connectrpc/connect";
import { createMethodSerializationLookup } from "@connectrpc/connect/protocol";
import { createTransport } from "@connectrpc/connect/protocol-grpc";
import { encodeHeaders, type HeaderBlock } from "../../http2/index.ts";
import type { CallRequest, CallSignal } from "./call.ts";
import { Channel, type ChannelOptions } from "./channel.ts";
import { envelope } from "./envelope.ts";
import { type GivenHeaders, ownFields } from "./fields.ts";
import { createHttpClient } from "./http-client.ts";
import { retryRefused } from "./retry.ts";
import { StreamCall } from "./stream.ts";
import { UnaryCall } from "./unary.ts";

export { wasNotRun } from "./retry.ts";

/** Above the largest value that a gateway can be told to keep, also in base64. */
const READ_MAX_BYTES = 128 * 1024 * 1024;
const WRITE_MAX_BYTES = 0xffff_ffff;

/** Node's timers hold 31 bits of milliseconds, 24.8 days, and take anything longer for 1 ms. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** What a transport can be given. */
export interface GrpcTransportOptions {
  /** `http://host:port`, for HTTP/2 without TLS, or `https://host:port`; a path goes in front of the methods' own. */
  readonly baseUrl: string;
  /** For `https`: as in node:tls (`ca`, `cert`, `key`, `servername`, ...). */
  readonly tls?: ConnectionOptions | undefined;
  /** Around every call. With them calls take Connect's own way, which costs a multiple. */
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
 * A gRPC transport for Connect clients in Node, on the HTTP/2 engine: calls with one request go straight to a stream of a shared
 * connection, all others through Connect's own gRPC transport. Messages are binary, and not compressed. Throws TypeError where
 * `baseUrl` is none.
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
    interceptors: [...interceptors, retryRefused],
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

  return {
    async unary(method, signal, givenTimeoutMs, header, input, contextValues) {
      const timeoutMs = bounded(givenTimeoutMs);
      if (interceptors.length > 0) {
        if (signal !== undefined && !(signal instanceof AbortSignal)) {
          throw new TypeError("interceptors need an AbortSignal");
        }
        return reference.unary(method, signal, timeoutMs, header, input, contextValues);
      }
      const { fields, encode, parse } = prepare(method);
      const call = request(fields, signal, timeoutMs, header);
      return await new UnaryCall(channel, call, { method, parse, readMaxBytes }, encode(input)).run();
    },

    async stream(method, signal, givenTimeoutMs, header, input, contextValues) {
      const timeoutMs = bounded(givenTimeoutMs);
      if (interceptors.length > 0 || method.methodKind !== "server_streaming") {
        return reference.stream(method, signal, timeoutMs, header, input, contextValues);
      }
      const { fields, encode, parse } = prepare(method);
      const [message] = await Array.fromAsync(input);
      if (message === undefined) {
        throw new ConnectError("a call of this method has one request", Code.InvalidArgument);
      }
      const call = request(fields, signal, timeoutMs, header);
      return await new StreamCall(channel, call, { method, parse, readMaxBytes }, encode(message)).run();
    },

    close: () => channel.close(),
  };
}
