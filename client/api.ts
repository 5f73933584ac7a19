/** The types and errors that the clients for Node and for browsers share. */
export { Code } from "@connectrpc/connect";
export type { CallOptions } from "./call.ts";
export type { PrismClientOptions } from "./client.ts";
export type { Value } from "./convert.ts";
export type { Entry, Expectation } from "./entry.ts";
export {
  KeyNotFoundError,
  NamespaceNotFoundError,
  PrismError,
  type PrismErrorInit,
  type PrismErrorReason,
} from "./errors.ts";
export type {
  ConditionalDelete,
  Creation,
  KeyValueApi,
  ScanOptions,
  Swap,
} from "./keyvalue.ts";
export type { ListApi } from "./list.ts";
export type { Transaction, TransactionOutcome } from "./transaction.ts";
export type { IncrementOptions, SetOptions } from "./write-options.ts";
