/**
 * The contract and the wire agree on what writes: the rows of the operations, and the methods that
 * serve them.
 */
import type { DescMethod } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { KeyValueBasicInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { KeyValueBatchInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_batch_pb.ts";
import { KeyValueCASInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_cas_pb.ts";
import { KeyValueCounterInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_counter_pb.ts";
import { KeyValueRangeInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_range_pb.ts";
import { KeyValueScanInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { KeyValueTransactionInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_transaction_pb.ts";
import { KeyValueTTLInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_ttl_pb.ts";
import { ListBasicInterface } from "../gen/prism/interfaces/list/list_basic_pb.ts";
import { ListBlockingInterface } from "../gen/prism/interfaces/list/list_blocking_pb.ts";
import { ListIndexingInterface } from "../gen/prism/interfaces/list/list_indexing_pb.ts";
import { ListMoveInterface } from "../gen/prism/interfaces/list/list_move_pb.ts";
import { ListNamesInterface } from "../gen/prism/interfaces/list/list_names_pb.ts";
import { ListRangeInterface } from "../gen/prism/interfaces/list/list_range_pb.ts";
import { KeyValueService } from "../gen/prism/keyvalue/v1/keyvalue_pb.ts";
import { RecordIdsService } from "../gen/prism/keyvalue/v1/record_ids_pb.ts";
import { TimeSeriesService } from "../gen/prism/timeseries/v1/timeseries_pb.ts";
import { INTERFACES, type OPERATIONS, rowsOf, SERVED_WITH } from "../server/backend/operations.ts";
import { INTERFACE_OF } from "../server/backend/remote/interfaces.ts";
import { readMethod } from "../server/calls/methods.ts";
import { SERVICE_INTERFACES } from "../server/services/service-interfaces.ts";
import { SERVICES } from "../server/services/services.ts";

type Methods = {
  readonly [I in keyof typeof OPERATIONS]: {
    readonly [M in keyof (typeof OPERATIONS)[I]]: readonly DescMethod[];
  };
};

const entries = KeyValueBasicInterface.method;
const batches = KeyValueBatchInterface.method;
const ttls = KeyValueTTLInterface.method;
const conditions = KeyValueCASInterface.method;
const counters = KeyValueCounterInterface.method;
const transactions = KeyValueTransactionInterface.method;
const scans = KeyValueScanInterface.method;
const ranges = KeyValueRangeInterface.method;
const lists = ListBasicInterface.method;
const listRanges = ListRangeInterface.method;
const waits = ListBlockingInterface.method;
const indexes = ListIndexingInterface.method;
const records = KeyValueService.method;
const series = TimeSeriesService.method;

/** The methods that serve each operation. */
const METHODS: Methods = {
  entries: {
    get: [entries.get, batches.batchGet],
    exists: [entries.exists],
    set: [entries.set, batches.batchSet],
    delete: [entries.delete, batches.batchDelete],
  },
  commits: {
    read: [transactions.read, ttls.getTTL],
    commit: [
      transactions.commit,
      ttls.expire,
      ttls.persist,
      conditions.compareAndSwap,
      conditions.compareAndDelete,
      conditions.setIfAbsent,
      counters.increment,
    ],
  },
  scans: {
    scanPage: [scans.scan, scans.scanKeys, ranges.readRange, ranges.readKeys],
    count: [scans.count],
  },
  lists: {
    push: [lists.pushLeft, lists.pushRight],
    pop: [lists.popLeft, lists.popRight],
    length: [lists.length],
  },
  listRanges: { slice: [listRanges.getRange], trim: [listRanges.trim] },
  listIndexes: {
    at: [indexes.get],
    put: [indexes.set],
    insert: [indexes.insert],
    remove: [indexes.remove],
  },
  listMoves: { move: [ListMoveInterface.method.move] },
  listNames: { pageNames: [ListNamesInterface.method.readNames] },
  records: {
    putItems: [records.put, records.putBatch],
    getItems: [records.get],
    pageItems: [records.get, records.scan],
    deleteItems: [records.delete],
    swapItem: [records.compareAndSwap],
  },
  recordIds: { pageIds: [RecordIdsService.method.readIds] },
  listBlocking: { blockingPop: [waits.blockingPopLeft, waits.blockingPopRight] },
  streams: {
    appendEvents: [series.append, series.appendBatch],
    queryEvents: [series.query, series.aggregate],
    readEvents: [series.tail],
    createStream: [series.createStream],
    describeStream: [series.describeStream],
    deleteStream: [series.deleteStream],
  },
  streamNames: { pageStreams: [series.listStreams] },
  streamTails: { waitEvents: [series.tail] },
};

const cases = INTERFACES.flatMap((name) => {
  const methods: Readonly<Record<string, readonly DescMethod[]>> = METHODS[name];
  return rowsOf(name).flatMap(([operation, { writes }]) =>
    (methods[operation] ?? []).map((method) => [operation, method.name, writes, method] as const),
  );
});

test("every operation serves a method", () => {
  expect(new Set(cases.map(([operation]) => operation)).size).toBe(INTERFACES.flatMap(rowsOf).length);
});

test.each(cases)(
  "whether %s writes is what the proto says of %s: %s",
  (_operation, _method, writes, method) => {
    expect(readMethod(method, 0).writes).toBe(writes);
  },
);

test("what a service needs, by what operators and plugins are told, is what serves it", () => {
  const needs = new Map(SERVICE_INTERFACES.map(([service, of]) => [service.typeName, of]));
  for (const name of INTERFACES) {
    const methods: Readonly<Record<string, readonly DescMethod[]>> = METHODS[name];
    for (const { parent } of Object.values(methods).flat()) {
      expect([parent.typeName, needs.get(parent.typeName)]).toEqual([
        parent.typeName,
        SERVED_WITH[name] ?? name,
      ]);
    }
  }
  const data = SERVICES.map(({ typeName }) => typeName).filter((name) => !name.startsWith("grpc."));
  expect([...needs.keys()].sort()).toEqual([...data].sort());
  for (const [service, of] of INTERFACE_OF) {
    expect([service, needs.get(service)]).toEqual([service, of]);
  }
});
