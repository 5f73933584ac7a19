import type { DescService } from "@bufbuild/protobuf";
import { Health } from "../../gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionV1Alpha } from "../../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { file_prism_common_errors } from "../../gen/prism/common/errors_pb.ts";
import { KeyValueBasicInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { KeyValueBatchInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_batch_pb.ts";
import { KeyValueCASInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_cas_pb.ts";
import { KeyValueCounterInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_counter_pb.ts";
import { KeyValueRangeInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_range_pb.ts";
import { KeyValueScanInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { KeyValueTransactionInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_transaction_pb.ts";
import { KeyValueTTLInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_ttl_pb.ts";
import { ListBasicInterface } from "../../gen/prism/interfaces/list/list_basic_pb.ts";
import { ListBlockingInterface } from "../../gen/prism/interfaces/list/list_blocking_pb.ts";
import { ListIndexingInterface } from "../../gen/prism/interfaces/list/list_indexing_pb.ts";
import { ListMoveInterface } from "../../gen/prism/interfaces/list/list_move_pb.ts";
import { ListNamesInterface } from "../../gen/prism/interfaces/list/list_names_pb.ts";
import { ListRangeInterface } from "../../gen/prism/interfaces/list/list_range_pb.ts";
import { KeyValueService } from "../../gen/prism/keyvalue/v1/keyvalue_pb.ts";
import { RecordIdsService } from "../../gen/prism/keyvalue/v1/record_ids_pb.ts";
import { TimeSeriesService } from "../../gen/prism/timeseries/v1/timeseries_pb.ts";
import { type CallSettings, implement } from "../calls/implement.ts";
import type { ServiceMethods } from "../calls/served-method.ts";
import type { NamespaceRouter } from "../namespaces/registry.ts";
import { createHealth, type HealthState } from "./health.ts";
import { createKeyValueBasic } from "./keyvalue-basic.ts";
import { createKeyValueBatch } from "./keyvalue-batch.ts";
import { createKeyValueCas } from "./keyvalue-cas.ts";
import { createKeyValueCounter } from "./keyvalue-counter.ts";
import { createKeyValueRange } from "./keyvalue-range.ts";
import { createKeyValueScan } from "./keyvalue-scan.ts";
import { createKeyValueTransaction } from "./keyvalue-transaction.ts";
import { createKeyValueTtl } from "./keyvalue-ttl.ts";
import { createKeyValueV1 } from "./keyvalue-v1.ts";
import { createListBasic } from "./list-basic.ts";
import { createListBlocking } from "./list-blocking.ts";
import { createListIndexing } from "./list-indexing.ts";
import { createListMove } from "./list-move.ts";
import { createListNames } from "./list-names.ts";
import { createListRange } from "./list-range.ts";
import { createRecordIds } from "./record-ids.ts";
import { createReflection } from "./reflection.ts";
import { createTimeSeries } from "./timeseries.ts";

/** Every service about data. The data port has them, and with the console the admin port too. */
export const DATA_SERVICES = [
  KeyValueBasicInterface,
  KeyValueScanInterface,
  KeyValueBatchInterface,
  KeyValueTTLInterface,
  KeyValueCASInterface,
  KeyValueCounterInterface,
  KeyValueTransactionInterface,
  KeyValueRangeInterface,
  ListBasicInterface,
  ListRangeInterface,
  ListIndexingInterface,
  ListMoveInterface,
  KeyValueService,
  ListBlockingInterface,
  ListNamesInterface,
  RecordIdsService,
  TimeSeriesService,
] as const satisfies readonly DescService[];

/** Every service of the data port. Reflection lists them, and each has health. */
export const SERVICES = [
  ...DATA_SERVICES,
  Health,
  ServerReflection,
  ServerReflectionV1Alpha,
] as const satisfies readonly DescService[];

/** What the services about data need. */
export interface DataServiceOptions {
  readonly router: NamespaceRouter;
  readonly limits: { readonly maxValueBytes: number };
  /** What surrounds every handler. */
  readonly calls: CallSettings;
}

/** Makes every service about data, each handler within the policies. */
export function createDataServices({ router, limits, calls }: DataServiceOptions): ServiceMethods[] {
  return [
    implement(KeyValueBasicInterface, createKeyValueBasic(router, limits), calls),
    implement(KeyValueScanInterface, createKeyValueScan(router), calls),
    implement(KeyValueBatchInterface, createKeyValueBatch(router, limits), calls),
    implement(KeyValueTTLInterface, createKeyValueTtl(router), calls),
    implement(KeyValueCASInterface, createKeyValueCas(router, limits), calls),
    implement(KeyValueCounterInterface, createKeyValueCounter(router), calls),
    implement(KeyValueTransactionInterface, createKeyValueTransaction(router, limits), calls),
    implement(KeyValueRangeInterface, createKeyValueRange(router), calls),
    implement(ListBasicInterface, createListBasic(router, limits), calls),
    implement(ListRangeInterface, createListRange(router), calls),
    implement(ListIndexingInterface, createListIndexing(router, limits), calls),
    implement(ListMoveInterface, createListMove(router), calls),
    implement(KeyValueService, createKeyValueV1(router, limits), calls),
    implement(ListBlockingInterface, createListBlocking(router), calls),
    implement(ListNamesInterface, createListNames(router), calls),
    implement(RecordIdsService, createRecordIds(router), calls),
    implement(TimeSeriesService, createTimeSeries(router, limits), calls),
  ];
}

/** What the services of the data port need. */
export interface ServiceOptions extends DataServiceOptions {
  readonly health: HealthState;
}

/** Makes every service of the data port. */
export function createServices({ health, ...options }: ServiceOptions): ServiceMethods[] {
  const { calls } = options;
  const reflection = createReflection(SERVICES, [file_prism_common_errors]);
  return [
    ...createDataServices(options),
    implement(Health, createHealth(health), calls),
    implement(ServerReflection, reflection, calls),
    implement(ServerReflectionV1Alpha, reflection, calls),
  ];
}
