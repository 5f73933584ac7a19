import { gunzipSync } from "node:zlib";
import type { JsonObject } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { createAsyncIterable, type UniversalServerResponse } from "@connectrpc/connect/protocol";
import * as connect from "@connectrpc/connect/protocol-connect";
import * as grpc from "@connectrpc/connect/protocol-grpc";
import * as grpcWeb from "@connectrpc/connect/protocol-grpc-web";
import type { FieldPairs, Metadata } from "../calls/metadata.ts";
import type { Answer, AnswerHead } from "./exchange.ts";
import { envelope, JSON_OPTIONS } from "./wire-format.ts";

/** The form of an error, by the form of the request. */
export type ErrorForm =
  /** Trailers without a message. */
  | "grpc"
  /** The same trailers in the body. */
  | "grpc-web"
  /** An HTTP status and JSON. */
  | "connect-unary"
  /** HTTP 200 and a last envelope with JSON. */
  | "connect-stream";

/** The form for a request's Content-Type; `undefined` = it is no RPC of ours. */
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

/**
 * The answer with `error` and no message. `head` is the head of an answer in the request's own
 * form. `status` is used only by the form that has an HTTP status for errors.
 */
export function errorAnswer(
  form: ErrorForm,
  head: AnswerHead,
  error: ConnectError,
  status = connect.codeToHttpStatus(error.code),
  metadata?: Metadata,
): Answer {
  if (form === "connect-unary") {
    const body = connect.errorToJsonBytes(error, JSON_OPTIONS);
    return { head: headWith(form, unaryErrorHead(status), metadata), body, trailer: undefined };
  }
  return { head: headWith(form, head, metadata), ...endOfStream(form, error, metadata?.trailer) };
}

/**
 * The head with the metadata. Connect's single answer has no end part, so it gets the trailers as
 * headers too.
 */
export function headWith(form: ErrorForm, head: AnswerHead, metadata: Metadata | undefined): AnswerHead {
  if (metadata === undefined) {
    return head;
  }
  const fields = [...head.fields, ...metadata.header];
  if (form === "connect-unary") {
    metadata.trailer.forEach((part, i) => {
      fields.push(i % 2 === 0 ? `trailer-${part}` : part);
    });
  }
  return { ...head, fields };
}

/** One for each status; there are few. */
const unaryErrorHeads = new Map<number, AnswerHead>();

function unaryErrorHead(status: number): AnswerHead {
  let head = unaryErrorHeads.get(status);
  if (head === undefined) {
    head = { status, fields: ["content-type", connect.contentTypeUnaryJson], sized: true };
    unaryErrorHeads.set(status, head);
  }
  return head;
}

/**
 * The end of an answer: bytes after the last envelope, trailers, or nothing (for a single message).
 * `error` undefined = success.
 */
export function endOfStream(
  form: ErrorForm,
  error: ConnectError | undefined,
  metadata: FieldPairs = NO_FIELDS,
): { readonly body: Uint8Array | undefined; readonly trailer: FieldPairs | undefined } {
  if (error === undefined && metadata.length === 0) {
    return OK_END[form];
  }
  const fields = toHeaders(metadata);
  switch (form) {
    case "connect-unary":
      return NO_END;
    case "grpc":
      grpc.setTrailerStatus(fields, error);
      return { body: undefined, trailer: [...fields].flat() };
    case "grpc-web":
      grpc.setTrailerStatus(fields, error);
      return { body: grpcWebEnd(fields), trailer: undefined };
    case "connect-stream":
      return { body: connectEnd(fields, error), trailer: undefined };
  }
}

/** The trailers of a successful gRPC call. */
export const OK_TRAILER: FieldPairs = ["grpc-status", grpc.grpcStatusOk];

const NO_FIELDS: FieldPairs = [];

const NO_END = { body: undefined, trailer: undefined };

const OK_END = {
  "connect-unary": NO_END,
  grpc: { body: undefined, trailer: OK_TRAILER },
  "grpc-web": { body: grpcWebEnd(toHeaders(OK_TRAILER)), trailer: undefined },
  "connect-stream": { body: connectEnd(new Headers(), undefined), trailer: undefined },
} as const;

function grpcWebEnd(trailer: Headers): Uint8Array {
  return envelope(grpcWeb.trailerFlag, grpcWeb.trailerSerialize(trailer));
}

function connectEnd(metadata: Headers, error: ConnectError | undefined): Uint8Array {
  return envelope(connect.endStreamFlag, encode(connect.endStreamToJson(metadata, error, JSON_OPTIONS)));
}

/**
 * {@link errorAnswer} for Connect's adapters. `contentType` is the request's; the answer has the
 * same.
 */
export function errorResponse(
  form: ErrorForm,
  contentType: string,
  error: ConnectError,
  status?: number,
): UniversalServerResponse {
  const inKind = { status: 200, fields: ["content-type", contentType], sized: false };
  const { head, body, trailer } = errorAnswer(form, inKind, error, status);
  const header = toHeaders(head.fields);
  if (head.sized && body !== undefined) {
    header.set("content-length", String(body.byteLength));
  }
  return {
    status: head.status,
    header,
    ...(body && { body: createAsyncIterable([body]) }),
    ...(trailer && { trailer: toHeaders(trailer) }),
  };
}

function toHeaders(fields: FieldPairs): Headers {
  const headers = new Headers();
  appendFields(headers, fields);
  return headers;
}

/** Adds header fields to the existing ones. */
export function appendFields(headers: Headers, fields: FieldPairs): void {
  for (let i = 0; i < fields.length; i += 2) {
    headers.append(fields[i] ?? "", fields[i + 1] ?? "");
  }
}

/**
 * The error in a response that has no message before it; `undefined` = no error. Consumes the body.
 */
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

/**
 * The data of the first envelope, decompressed if it has flag 1; `undefined` = there is no
 * envelope.
 */
async function readEnvelope(response: UniversalServerResponse): Promise<Uint8Array | undefined> {
  const body = await readBody(response);
  const [flags] = body;
  if (flags === undefined || body.length < 5) {
    return undefined;
  }
  return (flags & 1) === 0 ? body.subarray(5) : gunzipSync(body.subarray(5));
}

/** The whole body of a response. */
export async function readBody(response: UniversalServerResponse): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of response.body ?? []) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function encode(json: JsonObject): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(json));
}
