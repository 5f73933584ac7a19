import * as grpc from "@connectrpc/connect/protocol-grpc";
import * as grpcWeb from "@connectrpc/connect/protocol-grpc-web";
import { TIMEOUT_HEADERS, type TimeoutHeader } from "./call-scope.ts";
import { mediaType } from "./content-type.ts";
import type { AnswerHead } from "./exchange.ts";
import type { ErrorForm } from "./wire-error.ts";

/** How a request on the direct path is framed and encoded, and its answer like it. */
export interface DirectForm {
  readonly form: ErrorForm;
  /** Whether messages are protobuf; else they are JSON. */
  readonly binary: boolean;
  /** Names the compression of the request. */
  readonly encodingHeader: string;
  /** Names the compressions that the caller can read. */
  readonly acceptHeader: string;
  /** Carries the caller's deadline. */
  readonly timeout: TimeoutHeader;
  /** Of an answer that went well. */
  readonly head: AnswerHead;
  /** The same where messages are compressed, or (in envelopes) can be. */
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

/** Those of the direct path, by the Content-Types that most callers send. */
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
 * The form that a request's Content-Type asks for; `undefined` where it is none of ours. It takes all that Connect's own handlers take, and
 * so leaves no large message to them.
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

/** Of the last Content-Type that had to be looked into: mostly that of all calls which have one. */
let last: { readonly contentType: string; readonly form: DirectForm | undefined } = {
  contentType: "",
  form: undefined,
};
