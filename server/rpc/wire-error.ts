import { gunzipSync } from "node:zlib";
import type { JsonObject } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { createAsyncIterable, type UniversalServerResponse } from "@connectrpc/connect/protocol";
import * as connect from "@connectrpc/connect/protocol-connect";
import * as grpc from "@connectrpc/connect/protocol-grpc";
import * as grpcWeb from "@connectrpc/connect/protocol-grpc-web";

/**
 * How JSON is read and written, in every protocol: fields that are zero, false or empty are there, and text that
 * is not UTF-8 is refused, where the default decoder would put U+FFFD in its place.
 */
export const JSON_OPTIONS = {
  alwaysEmitImplicit: true,
  textDecoder: new TextDecoder("utf-8", { fatal: true }),
} as const;

/** How a failed call is told, by the form of the request. */
export type ErrorForm =
  /** Trailers after no message. */
  | "grpc"
  /** The same trailers in the body. */
  | "grpc-web"
  /** An HTTP status and JSON. */
  | "connect-unary"
  /** HTTP 200 and a last envelope of JSON. */
  | "connect-stream";

/** The form that a request's Content-Type asks for; `undefined` where it is no RPC of ours. */
export function errorForm(contentType: string | null | undefined): ErrorForm | undefined {
  const type = contentType ?? "";
  if (grpcWeb.contentTypeRegExp.test(type)) {
    return "grpc-web";
  }
  if (grpc.contentTypeRegExp.test(type)) {
    return "grpc";
  }
  if (connect.contentTypeStreamRegExp.test(type)) {
    return "connect-stream";
  }
  return connect.contentTypeUnaryRegExp.test(type) ? "connect-unary" : undefined;
}

/** A whole answer, as bytes. */
export interface WireReply {
  readonly status: number;
  readonly contentType: string;
  /** `undefined` = none, not even an empty one with a length. */
  readonly body: Uint8Array | undefined;
  /** For gRPC only. */
  readonly trailer: Headers | undefined;
  /** Whether the body is (Connect), or may be (the others), compressed. */
  readonly gzip: boolean;
}

/** The answer that tells `error` and nothing else. `contentType` is the request's, and is answered in kind. */
export function errorReply(form: ErrorForm, contentType: string, error: ConnectError): WireReply {
  switch (form) {
    case "grpc":
      return { status: 200, contentType, body: undefined, trailer: grpcTrailer(error), gzip: false };
    case "grpc-web": {
      const body = envelope(grpcWeb.trailerFlag, grpcWeb.trailerSerialize(grpcTrailer(error)));
      return { status: 200, contentType, body, trailer: undefined, gzip: false };
    }
    case "connect-stream": {
      const end = connect.endStreamToJson(new Headers(), error, JSON_OPTIONS);
      const body = envelope(connect.endStreamFlag, encode(end));
      return { status: 200, contentType, body, trailer: undefined, gzip: false };
    }
    case "connect-unary": {
      const body = connect.errorToJsonBytes(error, JSON_OPTIONS);
      const status = connect.codeToHttpStatus(error.code);
      return { status, contentType: connect.contentTypeUnaryJson, body, trailer: undefined, gzip: false };
    }
  }
}

/** {@link errorReply} as Connect's adapters take it. */
export function errorResponse(
  form: ErrorForm,
  contentType: string,
  error: ConnectError,
): UniversalServerResponse {
  const { status, body, trailer, contentType: answered } = errorReply(form, contentType, error);
  const header = new Headers({ "content-type": answered });
  if (form === "connect-unary" && body !== undefined) {
    header.set("content-length", String(body.byteLength));
  }
  return {
    status,
    header,
    ...(body && { body: createAsyncIterable([body]) }),
    ...(trailer && { trailer }),
  };
}

/** The error that a response tells, if it has no message before it; `undefined` where it tells none. Consumes the body. */
export async function readError(
  form: ErrorForm,
  response: UniversalServerResponse,
): Promise<ConnectError | undefined> {
  switch (form) {
    case "grpc":
      return response.trailer && grpc.findTrailerError(response.trailer);
    case "grpc-web": {
      const last = await readEnvelope(response);
      return last && grpc.findTrailerError(grpcWeb.trailerParse(last));
    }
    case "connect-stream": {
      const last = await readEnvelope(response);
      return last && connect.endStreamFromJson(last).error;
    }
    case "connect-unary": {
      const sent = await readBody(response);
      const body = response.header?.has("content-encoding") ? gunzipSync(sent) : sent;
      const fallback = new ConnectError(`HTTP ${response.status}`, Code.Unknown);
      return body.length === 0 ? undefined : connect.errorFromJsonBytes(body, undefined, fallback);
    }
  }
}

function grpcTrailer(error: ConnectError): Headers {
  const trailer = new Headers();
  grpc.setTrailerStatus(trailer, error);
  return trailer;
}

/** Five bytes (flags, length) and the data, as gRPC and Connect frame a message. */
export function envelope(flags: number, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(5 + data.byteLength);
  bytes[0] = flags;
  new DataView(bytes.buffer).setUint32(1, data.byteLength);
  bytes.set(data, 5);
  return bytes;
}

/** The data of the first envelope, unzipped where it is compressed (flag 1); `undefined` where there is none. */
async function readEnvelope(response: UniversalServerResponse): Promise<Uint8Array | undefined> {
  const body = await readBody(response);
  const [flags] = body;
  if (flags === undefined || body.length < 5) {
    return undefined;
  }
  return (flags & 1) === 0 ? body.subarray(5) : gunzipSync(body.subarray(5));
}

async function readBody(response: UniversalServerResponse): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of response.body ?? []) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function encode(json: JsonObject): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(json));
}
