/** The types and errors that the clients for Node and for browsers share. */
export { Code } from "@connectrpc/connect";
export type { CallEvent, CallOptions } from "./call.ts";
export type { PrismClientOptions, PrismNamespace } from "./client.ts";
export { type Codec, json, type StandardSchema } from "./codec.ts";
export type { Value } from "./convert.ts";
export type { AccessToken, Credentials, TokenProvider } from "./credentials.ts";
export {
  KeyNotFoundError,
  NamespaceNotFoundError,
  PrismError,
  type PrismErrorInit,
  type PrismErrorReason,
} from "./errors.ts";
export type { ConditionalDelete, Creation, Swap } from "./keyvalue/cas.ts";
export type { DeletePrefixOptions } from "./keyvalue/delete-prefix.ts";
export type { Entry, Expectation } from "./keyvalue/entry.ts";
export type {
  CommonPrefix,
  FlatRangeOptions,
  PageEntry,
  PageOptions,
  RangeEntry,
  RangeKey,
  RangeOptions,
} from "./keyvalue/range.ts";
export type { ScanOptions } from "./keyvalue/scan.ts";
export type { Transaction, TransactionOutcome } from "./keyvalue/transaction.ts";
export type { TypedKeyValueApi } from "./keyvalue/typed.ts";
export type { IncrementOptions, SetOptions } from "./keyvalue/write-options.ts";
export type { KeyValueApi } from "./keyvalue.ts";
export type { BlockingPopOptions } from "./list/blocking.ts";
export type { Insertion, RemoveOptions } from "./list/indexing.ts";
export type { ListEnd } from "./list/move.ts";
export type { ListApi } from "./list.ts";
export type { NameOptions } from "./pages.ts";
export type { Compression, ItemFacts, NewItem, RecordItem } from "./records/item.ts";
export type {
  ItemSwap,
  RecordDeleteOptions,
  RecordGetOptions,
  RecordPut,
  RecordScanOptions,
  RecordsApi,
  ScannedItem,
} from "./records.ts";
export type { AggregateOptions, AggregateRow } from "./timeseries/aggregate.ts";
export type { Appended, AppendOptions } from "./timeseries/append.ts";
export type { EventFacts, NewEvent, SpanOptions, StreamEvent, Tags } from "./timeseries/event.ts";
export type { QueriedEvent, QueryOptions } from "./timeseries/query.ts";
export type { CreateStreamOptions, StreamConfig, StreamDescription } from "./timeseries/streams.ts";
export type { TailOptions } from "./timeseries/tail.ts";
export type { TypedTimeSeriesApi } from "./timeseries/typed.ts";
export type { EventWriter, WriterOptions } from "./timeseries/writer.ts";
export type { TimeSeriesApi } from "./timeseries.ts";
