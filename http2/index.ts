/**
 * HTTP/2 for RPC, over any Duplex: RFC 9113 and RFC 7541, without server push and priorities. It
 * knows nothing of what it carries.
 */
export { BodyBudget, BodyCollector, type NoBody, type OnWhole } from "./body-collector.ts";
export { type ClientConnection, createClientConnection } from "./client-connection.ts";
export { type CompatRequest, type CompatResponse, createCompat } from "./compat.ts";
export type { ConnectionOptions } from "./connection.ts";
export { ConnectionError, ErrorCode, errorName } from "./errors.ts";
export { PREFACE } from "./frame.ts";
export type { HeaderList } from "./header-list.ts";
export {
  appendField,
  type EncodedHeaders,
  encodeHeaders,
  type FieldName,
  fieldName,
  type HeaderBlock,
  type HeaderPairs,
  NO_HEADERS,
} from "./hpack-encoder.ts";
export * from "./limits.ts";
export { createServerConnection, type ServerConnection } from "./server-connection.ts";
export type { OnStream } from "./server-role.ts";
export type { OnData, Stream } from "./stream.ts";
export { type Unsent, UnsentBudget, type UnsentHolder } from "./unsent-budget.ts";
