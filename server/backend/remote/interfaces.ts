import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createAsyncIterable } from "@connectrpc/connect/protocol";
import { ServerReflection } from "../../../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionV1Alpha } from "../../../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { KeyValueBasicInterface } from "../../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { KeyValueBatchInterface } from "../../../gen/prism/interfaces/keyvalue/keyvalue_batch_pb.ts";
import { KeyValueRangeInterface } from "../../../gen/prism/interfaces/keyvalue/keyvalue_range_pb.ts";
import { KeyValueScanInterface } from "../../../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { KeyValueTransactionInterface } from "../../../gen/prism/interfaces/keyvalue/keyvalue_transaction_pb.ts";
import { ListBasicInterface } from "../../../gen/prism/interfaces/list/list_basic_pb.ts";
import { ListBlockingInterface } from "../../../gen/prism/interfaces/list/list_blocking_pb.ts";
import { ListIndexingInterface } from "../../../gen/prism/interfaces/list/list_indexing_pb.ts";
import { ListEnd, ListMoveInterface } from "../../../gen/prism/interfaces/list/list_move_pb.ts";
import { ListNamesInterface } from "../../../gen/prism/interfaces/list/list_names_pb.ts";
import { ListRangeInterface } from "../../../gen/prism/interfaces/list/list_range_pb.ts";
import { KeyValueService } from "../../../gen/prism/keyvalue/v1/keyvalue_pb.ts";
import { RecordIdsService } from "../../../gen/prism/keyvalue/v1/record_ids_pb.ts";
import { TimeSeriesService } from "../../../gen/prism/timeseries/v1/timeseries_pb.ts";
import { INTERFACES, type Interface, SERVED_WITH } from "../operations.ts";

/**
 * The interface that each service of a plugin is or serves, by the service's full name. A plugin
 * may lack the batches and have the entries.
 */
export const INTERFACE_OF: ReadonlyMap<string, Interface> = new Map([
  [KeyValueBasicInterface.typeName, "entries"],
  [KeyValueBatchInterface.typeName, "entries"],
  [KeyValueTransactionInterface.typeName, "commits"],
  [KeyValueScanInterface.typeName, "scans"],
  [ListBasicInterface.typeName, "lists"],
  [ListRangeInterface.typeName, "listRanges"],
  [ListIndexingInterface.typeName, "listIndexes"],
  [ListMoveInterface.typeName, "listMoves"],
  [ListBlockingInterface.typeName, "listBlocking"],
  [ListNamesInterface.typeName, "listNames"],
  [KeyValueService.typeName, "records"],
  [RecordIdsService.typeName, "recordIds"],
  [TimeSeriesService.typeName, "streams"],
]);

/** The interfaces of which a plugin has no service, if it lacks these services. */
export function interfacesWithout(lacking: ReadonlySet<string>): ReadonlySet<Interface> {
  const there = [...INTERFACE_OF].filter(([service]) => !lacking.has(service)).map(([, of]) => of);
  return new Set(INTERFACES.filter((of) => !there.includes(SERVED_WITH[of] ?? of)));
}

/**
 * All services that stores of this room use. Ranges are no interface of their own: without them the
 * store reads prefixes in ascending order.
 */
const SERVICES: readonly string[] = [...INTERFACE_OF.keys(), KeyValueRangeInterface.typeName];

/** A key that nobody uses, for entries, lists, records and prefixes. */
const PROBE = "\0prism.probe";

/** The time limit of each question to the plugin. */
const TIMEOUT_MS = 2000;

/**
 * The interfaces that the plugin lacks, as full service names. Its reflection tells; without
 * reflection, an empty read in `namespace` shows whether each service answers. Throws ConnectError
 * if the plugin does not tell.
 */
export async function findLacking(transport: Transport, namespace: string): Promise<ReadonlySet<string>> {
  const services =
    (await reflected(transport, ServerReflection)) ?? (await reflected(transport, ServerReflectionV1Alpha));
  const has = services ?? (await probed(transport, namespace));
  return new Set(SERVICES.filter((name) => !has.has(name)));
}

/** `undefined` if the plugin lacks this version of reflection. */
async function reflected(
  transport: Transport,
  service: typeof ServerReflection | typeof ServerReflectionV1Alpha,
): Promise<ReadonlySet<string> | undefined> {
  const client = createClient(service as typeof ServerReflection, transport);
  const question = { messageRequest: { case: "listServices", value: "*" } } as const;
  const answers = client.serverReflectionInfo(createAsyncIterable([question]), { timeoutMs: TIMEOUT_MS });
  const has = await implemented(async () => {
    for await (const { messageResponse } of answers) {
      if (messageResponse.case === "listServicesResponse") {
        return new Set(messageResponse.value.service.map(({ name }) => name));
      }
    }
    return undefined;
  });
  return has;
}

async function probed(transport: Transport, namespace: string): Promise<ReadonlySet<string>> {
  const options = { timeoutMs: TIMEOUT_MS };
  const has = new Set<string>();
  const probe = async (service: string, call: () => Promise<unknown>) => {
    const answered = async () => {
      await call();
      has.add(service);
    };
    await implemented(answered);
  };
  await Promise.all([
    probe(KeyValueBasicInterface.typeName, () =>
      createClient(KeyValueBasicInterface, transport).exists({ namespace, key: PROBE }, options),
    ),
    probe(KeyValueBatchInterface.typeName, () =>
      createClient(KeyValueBatchInterface, transport).batchGet({ namespace, keys: [PROBE] }, options),
    ),
    probe(KeyValueTransactionInterface.typeName, () =>
      createClient(KeyValueTransactionInterface, transport).read({ namespace, keys: [PROBE] }, options),
    ),
    probe(KeyValueScanInterface.typeName, () =>
      createClient(KeyValueScanInterface, transport).count({ namespace, prefix: PROBE }, options),
    ),
    probe(KeyValueRangeInterface.typeName, () =>
      Array.fromAsync(
        createClient(KeyValueRangeInterface, transport).readKeys(
          { namespace, prefix: PROBE, limit: 1 },
          options,
        ),
      ),
    ),
    probe(ListBasicInterface.typeName, () =>
      createClient(ListBasicInterface, transport).length({ namespace, listKey: PROBE }, options),
    ),
    probe(ListRangeInterface.typeName, () =>
      Array.fromAsync(
        createClient(ListRangeInterface, transport).getRange({ namespace, listKey: PROBE }, options),
      ),
    ),
    probe(ListIndexingInterface.typeName, () =>
      createClient(ListIndexingInterface, transport).get({ namespace, listKey: PROBE }, options),
    ),
    probe(ListBlockingInterface.typeName, () =>
      createClient(ListBlockingInterface, transport).blockingPopLeft(
        { namespace, listKey: PROBE, waitMs: 1n },
        options,
      ),
    ),
    probe(ListMoveInterface.typeName, () =>
      // Nobody uses the list, so nothing moves.
      createClient(ListMoveInterface, transport).move(
        {
          namespace,
          sourceKey: PROBE,
          destinationKey: PROBE,
          sourceEnd: ListEnd.LEFT,
          destinationEnd: ListEnd.LEFT,
        },
        options,
      ),
    ),
    probe(ListNamesInterface.typeName, () =>
      createClient(ListNamesInterface, transport).readNames({ namespace, prefix: PROBE, limit: 1 }, options),
    ),
    probe(KeyValueService.typeName, () =>
      createClient(KeyValueService, transport).get({ namespace, id: PROBE }, options),
    ),
    probe(RecordIdsService.typeName, () =>
      createClient(RecordIdsService, transport).readIds({ namespace, prefix: PROBE, limit: 1 }, options),
    ),
    probe(TimeSeriesService.typeName, () =>
      createClient(TimeSeriesService, transport).listStreams({ namespace, prefix: PROBE, limit: 1 }, options),
    ),
  ]);
  return has;
}

/**
 * The call's answer; `undefined` if its service is missing. Throws ConnectError if that remains
 * unknown.
 */
async function implemented<T>(call: () => Promise<T>): Promise<T | undefined> {
  try {
    return await call();
  } catch (error) {
    if (ConnectError.from(error).code === Code.Unimplemented) {
      return undefined;
    }
    throw error;
  }
}
