import * as grpc from "@connectrpc/connect/protocol-grpc";
import * as grpcWeb from "@connectrpc/connect/protocol-grpc-web";
import { TIMEOUT_HEADERS, type TimeoutHeader } from "./call-scope.ts";
import { mediaType } from "./content-type.ts";
import type { AnswerHead } from "./exchange.ts";
import type { ErrorForm } from "./wire-error.ts";

/** The framing and encoding of a request on the direct path; its answer has the same. */
export interface DirectForm {
  readonly form: ErrorForm;
  /** True: messages are protobuf. False: JSON. */
  readonly binary: boolean;
  /** The header with the request's compression. */
  readonly encodingHeader: string;
  /** The header with the compressions that the caller can read. */
  readonly acceptHeader: string;
  /** The header with the caller's deadline. */
  readonly timeout: TimeoutHeader;
  /** The head of a successful answer. */
  readonly head: AnswerHead;
  /** The same head for compressed messages; in envelopes they may be compressed. */
  readonly gzipHead: AnswerHead;
}

function define(
  form: ErrorForm,
  binary: boolean,
  contentType: string,
  names: Pick<DirectForm, "encodingHeader" | "acceptHeader">,
): DirectForm {
  const fields = ["content-type", contentType];
  const head = { status: 200, fields, sized: form === "connect-unary" };
  return {
    form,
    binary,
    timeout: TIMEOUT_HEADERS[form],
    head,
    gzipHead: { ...head, fields: [...fields, names.encodingHeader, "gzip"] },
    ...names,
  };
}

const UNARY = {
  encodingHeader: "content-encoding",
  acceptHeader: "accept-encoding",
};
const STREAM = {
  ...UNARY,
  encodingHeader: "connect-content-encoding",
  acceptHeader: "connect-accept-encoding",
};
const GRPC = {
  encodingHeader: "grpc-encoding",
  acceptHeader: "grpc-accept-encoding",
};

const GRPC_PROTO = define("grpc", true, grpc.contentTypeProto, GRPC);
const GRPC_WEB_PROTO = define("grpc-web", true, grpcWeb.contentTypeProto, GRPC);

/** The forms of the direct path, by the most common Content-Types. */
export const DIRECT_FORMS: ReadonlyMap<string | undefined, DirectForm> = new Map<
  string | undefined,
  DirectForm
>([
  ["application/json", define("connect-unary", false, "application/json", UNARY)],
  ["application/proto", define("connect-unary", true, "application/proto", UNARY)],
  ["application/connect+json", define("connect-stream", false, "application/connect+json", STREAM)],
  ["application/connect+proto", define("connect-stream", true, "application/connect+proto", STREAM)],
  ["application/grpc", GRPC_PROTO],
  ["application/grpc+proto", GRPC_PROTO],
  ["application/grpc+json", define("grpc", false, grpc.contentTypeJson, GRPC)],
  ["application/grpc-web", GRPC_WEB_PROTO],
  ["application/grpc-web+proto", GRPC_WEB_PROTO],
  ["application/grpc-web+json", define("grpc-web", false, grpcWeb.contentTypeJson, GRPC)],
]);

/**
 * The form for a request's Content-Type; `undefined` = none of ours. Covers everything that
 * Connect's own handlers take, so that no large message is left to them.
 */
export function directForm(contentType: string | undefined): DirectForm | undefined {
  const form = DIRECT_FORMS.get(contentType);
  if (form !== undefined || contentType === undefined) {
    return form;
  }
  if (contentType !== last.contentType) {
    last = { contentType, form: DIRECT_FORMS.get(mediaType(contentType)) };
  }
  return last.form;
}

/** A cache of the last unusual Content-Type, which mostly all such calls share. */
let last: { readonly contentType: string; readonly form: DirectForm | undefined } = {
  contentType: "",
  form: undefined,
};
