import type { DescService } from "@bufbuild/protobuf";
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
import type { Interface } from "../backend/operations.ts";

/** The services about data, and the interface of a store that the calls of each need. */
export const SERVICE_INTERFACES: readonly (readonly [service: DescService, needs: Interface])[] = [
  [KeyValueBasicInterface, "entries"],
  [KeyValueBatchInterface, "entries"],
  [KeyValueScanInterface, "scans"],
  [KeyValueRangeInterface, "scans"],
  [KeyValueTTLInterface, "commits"],
  [KeyValueCASInterface, "commits"],
  [KeyValueCounterInterface, "commits"],
  [KeyValueTransactionInterface, "commits"],
  [ListBasicInterface, "lists"],
  [ListRangeInterface, "listRanges"],
  [ListIndexingInterface, "listIndexes"],
  [ListMoveInterface, "listMoves"],
  [ListBlockingInterface, "listBlocking"],
  [ListNamesInterface, "listNames"],
  [KeyValueService, "records"],
  [RecordIdsService, "recordIds"],
  [TimeSeriesService, "streams"],
];
