import { validateResponse, validateTrailer } from "@connectrpc/connect/protocol-grpc";
import type { HeaderList } from "../../http2/index.ts";
import { toHeaders } from "./fields.ts";

/** What says how a call went. */
const STATUS_FIELDS = ["grpc-status", "grpc-message", "grpc-status-details-bin"];

/**
 * Throws the ConnectError of a whole response. Its status is in the trailers, and in the headers
 * only if nothing follows them ("Trailers-Only" in
 * https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).
 */
export function checkStatus(headers: HeaderList, trailers: HeaderList | undefined, hasBody: boolean): void {
  const trailersOnly = trailers === undefined && !hasBody;
  if (
    headers.status === 200 &&
    (trailersOnly ? headers : trailers)?.get("grpc-status") === "0" &&
    isGrpc(headers.get("content-type"))
  ) {
    return;
  }
  checkHeaders(headers);
  if (trailersOnly) {
    const { headerError } = validateResponse(headers.status, toHeaders(headers));
    if (headerError !== undefined) {
      throw headerError;
    }
  }
  validateTrailer(toHeaders(trailers), trailersOnly ? toHeaders(headers) : withoutStatus(toHeaders(headers)));
}

/** Throws the ConnectError of the headers alone, whatever comes after them. */
export function checkHeaders(headers: HeaderList): void {
  validateResponse(headers.status, withoutStatus(toHeaders(headers)));
}

/** Takes the status out of headers that are not the end of their response. */
export function withoutStatus(headers: Headers): Headers {
  for (const name of STATUS_FIELDS) {
    headers.delete(name);
  }
  return headers;
}

function isGrpc(contentType: string | undefined): boolean {
  return contentType === "application/grpc+proto" || contentType === "application/grpc";
}
