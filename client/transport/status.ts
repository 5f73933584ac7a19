import { validateResponse, validateTrailer } from "@connectrpc/connect/protocol-grpc";
import type { HeaderList } from "../../http2/index.ts";
import { toHeaders } from "./fields.ts";

/** Throws the ConnectError that a whole response tells. A response without trailers may have its status in the headers. */
export function checkStatus(headers: HeaderList, trailers: HeaderList | undefined): void {
  if (
    headers.status === 200 &&
    (trailers ?? headers).get("grpc-status") === "0" &&
    isGrpc(headers.get("content-type"))
  ) {
    return;
  }
  checkHeaders(headers);
  validateTrailer(toHeaders(trailers), toHeaders(headers));
}

/** Throws the ConnectError that the headers tell on their own. */
export function checkHeaders(headers: HeaderList): void {
  const { headerError } = validateResponse(headers.status, toHeaders(headers));
  if (headerError !== undefined) {
    throw headerError;
  }
}

function isGrpc(contentType: string | undefined): boolean {
  return contentType === "application/grpc+proto" || contentType === "application/grpc";
}
