import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorCode, errorName } from "../../http2/index.ts";

/**
 * The error of a call whose stream closed with an HTTP/2 error code
 * (grpc.github.io/grpc/core/md_doc__p_r_o_t_o_c_o_l-_h_t_t_p2.html, "Errors"). The server closed
 * it, or this client did because of what the server sent. `undefined` = in good order, and before
 * an answer.
 */
export function resetError(code: ErrorCode | undefined): ConnectError {
  switch (code) {
    case undefined:
    case ErrorCode.NO_ERROR:
      return new ConnectError("the stream ended without an answer", Code.Internal);
    case ErrorCode.REFUSED_STREAM:
      return new ConnectError("the server refused the call", Code.Unavailable);
    case ErrorCode.CONNECT_ERROR:
      return new ConnectError("the connection was lost", Code.Unavailable);
    case ErrorCode.CANCEL:
      return new ConnectError("the server canceled the call", Code.Canceled);
    case ErrorCode.ENHANCE_YOUR_CALM:
      return new ConnectError(`the stream was closed: ${errorName(code)}`, Code.ResourceExhausted);
    case ErrorCode.INADEQUATE_SECURITY:
    case ErrorCode.HTTP_1_1_REQUIRED:
      return new ConnectError(`the stream was closed: ${errorName(code)}`, Code.PermissionDenied);
    case ErrorCode.PROTOCOL_ERROR:
    case ErrorCode.INTERNAL_ERROR:
    case ErrorCode.FLOW_CONTROL_ERROR:
    case ErrorCode.SETTINGS_TIMEOUT:
    case ErrorCode.STREAM_CLOSED:
    case ErrorCode.FRAME_SIZE_ERROR:
    case ErrorCode.COMPRESSION_ERROR:
      return new ConnectError(`the stream was closed: ${errorName(code)}`, Code.Internal);
  }
}
