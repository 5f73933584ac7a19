import { create, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { createMethodSerializationLookup } from "@connectrpc/connect/protocol";
import * as connect from "@connectrpc/connect/protocol-connect";
import * as grpc from "@connectrpc/connect/protocol-grpc";
import * as grpcWeb from "@connectrpc/connect/protocol-grpc-web";
import { compressionGzip } from "@connectrpc/connect-node";
import type { CallLog, CallRecord } from "./call-record.ts";
import type { CallScope } from "./call-scope.ts";
import type { UnaryMethod } from "./implement.ts";
import { loggable, requestError } from "./protocol.ts";
import { toConnectError } from "./status.ts";
import { type ErrorForm, envelope, errorReply, JSON_OPTIONS, type WireReply } from "./wire-error.ts";

/*
 * The direct path: unary calls with an uncompressed body in a common codec, from bytes to bytes. Connect's own
 * handlers are the reference, and take every other call; they spend most of their time on streams, Headers and
 * URLs that such a call has no use for.
 */

/** How a request on the direct path is framed and encoded. */
export interface DirectForm {
  readonly form: Exclude<ErrorForm, "connect-stream">;
  readonly contentType: string;
  readonly binary: boolean;
  /** Names the compression of the request. */
  readonly encodingHeader: string;
  /** Names the compressions that the caller can read. */
  readonly acceptHeader: string;
  /** Carries the caller's deadline. */
  readonly timeoutHeader: string;
  readonly parseTimeout: (
    value: string | null,
    maxTimeoutMs: number,
  ) => { timeoutMs?: number; error?: ConnectError | undefined };
}

const CONNECT = {
  form: "connect-unary",
  encodingHeader: "content-encoding",
  acceptHeader: "accept-encoding",
  timeoutHeader: "connect-timeout-ms",
  parseTimeout: connect.parseTimeout,
} as const;

const GRPC = {
  binary: true,
  encodingHeader: "grpc-encoding",
  acceptHeader: "grpc-accept-encoding",
  timeoutHeader: "grpc-timeout",
  parseTimeout: grpc.parseTimeout,
} as const;

/** By the request's Content-Type, which must match to the letter. `contentType` is the answer's. */
export const DIRECT_FORMS: ReadonlyMap<string | undefined, DirectForm> = new Map<
  string | undefined,
  DirectForm
>([
  ["application/json", { ...CONNECT, contentType: "application/json", binary: false }],
  ["application/proto", { ...CONNECT, contentType: "application/proto", binary: true }],
  ["application/grpc", { ...GRPC, form: "grpc", contentType: grpc.contentTypeProto }],
  ["application/grpc+proto", { ...GRPC, form: "grpc", contentType: grpc.contentTypeProto }],
  ["application/grpc-web", { ...GRPC, form: "grpc-web", contentType: grpcWeb.contentTypeProto }],
  ["application/grpc-web+proto", { ...GRPC, form: "grpc-web", contentType: grpcWeb.contentTypeProto }],
]);

/** Answers below this size are not compressed, as in Connect. */
const COMPRESS_MIN_BYTES = 1024;

const COMPRESSED_FLAG = 1;

/** One call on the direct path. */
export interface DirectCall {
  readonly form: DirectForm;
  /** Whether the caller can read gzip. */
  readonly gzip: boolean;
  readonly record: CallRecord;
  readonly scope: CallScope;
}

/** A unary method on the direct path. Neither function throws; each logs the call once and closes its scope. */
export interface DirectMethod {
  /** The method's own bound on a call, in milliseconds; 0 = none. */
  readonly timeoutMs: number;
  /** From a request's whole body to the whole answer. */
  answer(call: DirectCall, body: Uint8Array): Promise<WireReply>;
  /** The answer to a request that was not received whole. */
  refuse(call: DirectCall, error: ConnectError): WireReply;
}

/** Puts a unary method on the direct path. Messages above `readMaxBytes` are refused. */
export function createDirectMethod(unary: UnaryMethod, log: CallLog, readMaxBytes: number): DirectMethod {
  const { method } = unary;
  const codec = createMethodSerializationLookup(method, undefined, JSON_OPTIONS, {
    readMaxBytes,
    writeMaxBytes: 0xffffffff,
  });

  function refuse({ form, record, scope }: DirectCall, wireError: ConnectError): WireReply {
    const error = requestError(wireError);
    log(method, record, loggable(error));
    scope.close();
    return errorReply(form.form, form.contentType, toConnectError(error, record));
  }

  return {
    timeoutMs: unary.timeoutMs,
    refuse,
    async answer(call, body) {
      const { form, gzip, record, scope } = call;
      let request: MessageShape<DescMessage>;
      try {
        const message = form.form === "connect-unary" ? body : onlyMessage(body, readMaxBytes);
        request = codec.getI(form.binary).parse(message);
      } catch (error) {
        return refuse(call, ConnectError.from(error, Code.InvalidArgument));
      }
      try {
        const response = create(
          method.output,
          (await unary.run(request, record, scope)) as Record<string, unknown>,
        );
        const bytes = codec.getO(form.binary).serialize(response);
        return await reply(form, bytes, gzip);
      } catch (error) {
        return errorReply(form.form, form.contentType, ConnectError.from(error));
      }
    },
  };
}

/** The message of a body that must hold exactly one envelope: five bytes of flags and length, and the data. */
function onlyMessage(body: Uint8Array, readMaxBytes: number): Uint8Array {
  if (body.byteLength === 0) {
    throw new ConnectError("protocol error: missing input message for unary method", Code.Unimplemented);
  }
  const length = envelopeLength(body);
  if (length > readMaxBytes && length !== Number.POSITIVE_INFINITY) {
    throw new ConnectError(
      `message size ${length} is larger than configured readMaxBytes ${readMaxBytes}`,
      Code.ResourceExhausted,
    );
  }
  const rest = body.byteLength - 5 - length;
  if (rest < 0 || (rest > 0 && rest < 5 + envelopeLength(body.subarray(5 + length)))) {
    throw new ConnectError("protocol error: incomplete envelope", Code.InvalidArgument);
  }
  if (body[0] !== 0) {
    throw new ConnectError("protocol error: a flag without its meaning", Code.InvalidArgument);
  }
  if (rest > 0) {
    throw new ConnectError(
      "protocol error: received extra input message for unary method",
      Code.Unimplemented,
    );
  }
  return body.subarray(5);
}

/** The length that an envelope promises; Infinity where not even its head is whole. */
function envelopeLength(bytes: Uint8Array): number {
  return bytes.byteLength < 5
    ? Number.POSITIVE_INFINITY
    : new DataView(bytes.buffer, bytes.byteOffset).getUint32(1);
}

async function reply(form: DirectForm, message: Uint8Array, gzip: boolean): Promise<WireReply> {
  const compress = gzip && message.byteLength >= COMPRESS_MIN_BYTES;
  const bytes = compress ? await compressionGzip.compress(message) : message;
  const { contentType } = form;
  const flags = compress ? COMPRESSED_FLAG : 0;
  switch (form.form) {
    case "connect-unary":
      return { status: 200, contentType, body: bytes, trailer: undefined, gzip: compress };
    case "grpc":
      return { status: 200, contentType, body: envelope(flags, bytes), trailer: OK_TRAILER, gzip };
    case "grpc-web": {
      const body = Buffer.concat([envelope(flags, bytes), OK_TRAILER_ENVELOPE]);
      return { status: 200, contentType, body, trailer: undefined, gzip };
    }
  }
}

const OK_TRAILER = new Headers({ "grpc-status": grpc.grpcStatusOk });
const OK_TRAILER_ENVELOPE = envelope(grpcWeb.trailerFlag, grpcWeb.trailerSerialize(OK_TRAILER));
