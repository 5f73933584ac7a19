/** The types and errors that the clients for Node and for browsers share. */
export { Code } from "@connectrpc/connect";
export type { CallOptions } from "./call.ts";
export type { PrismClientOptions } from "./client.ts";
export type { Value } from "./convert.ts";
export {
  KeyNotFoundError,
  NamespaceNotFoundError,
  PrismError,
  type PrismErrorInit,
  type PrismErrorReason,
} from "./errors.ts";
export type { KeyValueApi, ScanOptions, SetOptions } from "./keyvalue.ts";
export type { ListApi } from "./list.ts";
