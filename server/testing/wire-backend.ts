import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { ErrorSchema, ReasonSchema } from "../../gen/prism/common/errors_pb.ts";
import { KeyValueBasicInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { KeyValueScanInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { ListBasicInterface } from "../../gen/prism/interfaces/list/list_basic_pb.ts";
import type { Backend, Page } from "../backend/contract.ts";
import { ArrayValues } from "../backend/values.ts";
import { PrismError, type Reason } from "../errors.ts";
import { MAX_KEY_BYTES } from "../limits.ts";

/**
 * The contract on one side, a server's RPCs on the other, so that the conformance suite runs over a protocol.
 * A batch is as many calls, one after another; a page is the beginning of a scan. The wire counts time to live
 * in seconds and the contract in milliseconds: here one stands for one, so the server's clock has to run 1,000
 * times as fast as the suite's.
 */
export function createWireBackend(transport: Transport): Backend {
  const keyValue = createClient(KeyValueBasicInterface, transport);
  const scan = createClient(KeyValueScanInterface, transport);
  const list = createClient(ListBasicInterface, transport);
  return {
    type: "wire",
    entries: {
      get: (namespace, keys, { signal }) =>
        together(keys, async (key) => {
          try {
            return (await keyValue.get({ namespace, key }, { signal })).value;
          } catch (error) {
            if (asPrismError(error).reason === "key_not_found") {
              return undefined;
            }
            throw error;
          }
        }),
      exists: (namespace, keys, { signal }) =>
        each(keys, async (key) => (await keyValue.exists({ namespace, key }, { signal })).exists),
      async set(namespace, entries, { signal }) {
        // Side by side, but for keys that are written more than once: their order counts.
        const distinct = new Set(entries.map(({ key }) => key)).size === entries.length;
        await (distinct ? together : each)(entries, ({ key, value, ttlMs }) =>
          keyValue.set(
            { namespace, key, value: Uint8Array.from(value), ttlSeconds: BigInt(ttlMs) },
            { signal },
          ),
        );
      },
      delete: (namespace, keys, { signal }) =>
        each(keys, async (key) => (await keyValue.delete({ namespace, key }, { signal })).found),
    },
    scans: {
      async scanPage(namespace, { prefix, after, maxEntries, maxBytes, keysOnly }, { signal }) {
        const keys: string[] = [];
        const values: Uint8Array[] = [];
        const page = (next?: string): Page => ({ keys, values: new ArrayValues(values), next });
        if (Buffer.byteLength(prefix) > MAX_KEY_BYTES) {
          return page();
        }
        let bytes = 0;
        const found = keysOnly
          ? scan.scanKeys({ namespace, prefix }, { signal })
          : scan.scan({ namespace, prefix }, { signal });
        try {
          for await (const item of found) {
            if (after !== undefined && Buffer.from(item.key).compare(Buffer.from(after)) <= 0) {
              continue;
            }
            if (keys.length === maxEntries || bytes >= maxBytes) {
              return page(keys.at(-1));
            }
            keys.push(item.key);
            bytes += Buffer.byteLength(item.key);
            if ("value" in item) {
              values.push(item.value);
              bytes += item.value.byteLength;
            }
          }
        } catch (error) {
          throw asPrismError(error);
        }
        return page();
      },
      count: async (namespace, prefix, { signal }) =>
        Buffer.byteLength(prefix) > MAX_KEY_BYTES
          ? 0
          : one(async () => Number((await scan.count({ namespace, prefix }, { signal })).count)),
    },
    lists: {
      push: (namespace, pushes, { signal }) =>
        each(pushes, async ({ key, end, value }) => {
          const call = end === "left" ? list.pushLeft : list.pushRight;
          return Number(
            (await call({ namespace, listKey: key, value: Uint8Array.from(value) }, { signal })).newLength,
          );
        }),
      pop: (namespace, pops, { signal }) =>
        each(pops, async ({ key, end }) => {
          const call = end === "left" ? list.popLeft : list.popRight;
          const { found, value } = await call({ namespace, listKey: key }, { signal });
          return found ? value : undefined;
        }),
      length: (namespace, keys, { signal }) =>
        each(keys, async (listKey) => Number((await list.length({ namespace, listKey }, { signal })).length)),
    },
    async open() {},
    async check() {},
    async close() {},
  };
}

async function each<T, R>(items: readonly T[], call: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (const item of items) {
    results.push(await one(() => call(item)));
  }
  return results;
}

/** As {@link each}, with up to 64 calls in flight. */
async function together<T, R>(items: readonly T[], call: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let i = 0; i < items.length; i += 64) {
    const slice = items.slice(i, i + 64).map((item) => one(() => call(item)));
    results.push(...(await Promise.all(slice)));
  }
  return results;
}

async function one<R>(call: () => Promise<R>): Promise<R> {
  try {
    return await call();
  } catch (error) {
    throw asPrismError(error);
  }
}

function asPrismError(error: unknown): PrismError {
  if (error instanceof PrismError) {
    return error;
  }
  const wire = ConnectError.from(error);
  const [detail] = wire.findDetails(ErrorSchema);
  const reason = (detail && ReasonSchema.value[detail.reason]?.localName) ?? Code[wire.code] ?? "internal";
  return new PrismError(reason.toLowerCase() as Reason, wire.rawMessage, { cause: error });
}
