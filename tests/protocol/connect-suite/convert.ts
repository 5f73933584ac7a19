/** Converts between the suite's messages and Connect's types. */
import { create } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { ConnectError } from "@connectrpc/connect";
import {
  ErrorSchema,
  type Header,
  HeaderSchema,
  type Error as SuiteError,
} from "./gen/connectrpc/conformance/v1/service_pb.ts";

const TYPE_URL = "type.googleapis.com/";

/** Connect numbers its codes as the suite does. */
export function toConnectError({ code, message, details }: SuiteError): ConnectError {
  const error = new ConnectError(message ?? "", Number(code));
  error.details = details.map(({ typeUrl, value }) => ({ type: typeUrl.slice(TYPE_URL.length), value }));
  return error;
}

/** The inverse. */
export function toSuiteError({ code, rawMessage, details }: ConnectError): SuiteError {
  return create(ErrorSchema, {
    code: Number(code) as SuiteError["code"],
    message: rawMessage,
    details: details.map((detail) =>
      "desc" in detail
        ? anyPack(detail.desc, create(detail.desc, detail.value))
        : { typeUrl: `${TYPE_URL}${detail.type}`, value: detail.value },
    ),
  });
}

/** Names and values in turn. */
export function toPairs(headers: readonly Header[]): string[] {
  return headers.flatMap(({ name, value }) => value.flatMap((each) => [name.toLowerCase(), each]));
}

/** In Connect's form, several values of one name are joined. */
export function toSuiteHeaders(headers: Iterable<readonly [string, string]>): Header[] {
  return Array.from(headers, ([name, value]) => create(HeaderSchema, { name, value: value.split(", ") }));
}
