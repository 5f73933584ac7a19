import { type Answers, type Call, isRefusal, type RecordStore, type Refusal } from "../contract.ts";
import { itemsTooLarge } from "../decide-item.ts";
import {
  AROUND_ITEM_BYTES,
  type HeldItem,
  type ItemPage,
  type ItemRange,
  type ItemSwap,
  type ItemsDelete,
  type ItemsDeleted,
  type ItemsRead,
  type RecordPut,
  type SwapAnswer,
} from "../records.ts";
import type { Argument, Connection } from "./connection.ts";
import { expiredFrom } from "./count.ts";
import type { ShardKeys } from "./keys.ts";
import { readMany, readTogether } from "./read-many.ts";
import { modeOf, orRefused } from "./refused.ts";
import { asAnswer, asAnswers, asArray, asNumber, asNumbers, asValue, asValues } from "./replies.ts";
import { SCRIPTS } from "./scripts.ts";
import { heldItemIn } from "./stored.ts";

/** The most expired items that one step of a sweep deletes. */
const SWEEP_ITEMS = 1000;

/** The records of a shard. */
export function createRecords(connection: Connection, keys: ShardKeys): RecordStore {
  const { itemsPrefix, orderPrefix, itemExpiry, records } = keys;
  const itemsName = (namespace: string, id: string) => `${itemsPrefix}${namespace}:${id}`;
  /** What a record is in Redis: its items, and their order. */
  const names = (namespace: string, records: readonly { readonly id: string }[]) =>
    records.flatMap(({ id }) => [itemsName(namespace, id), `${orderPrefix}${namespace}:${id}`]);

  const change =
    <Item extends { readonly id: string }, Answer>(
      script: typeof SCRIPTS.writeItems | typeof SCRIPTS.deleteItems,
      argsOf: (item: Item) => readonly Argument[],
      as: (reply: unknown) => Answer,
    ) =>
    async (namespace: string, items: readonly Item[], call: Call): Promise<Answers<Answer>> =>
      await orRefused(items, async () => {
        if (items.length === 0) {
          return [];
        }
        const args = [modeOf(call), itemsPrefix.length, ...items.flatMap(argsOf)];
        const reply = await connection.runScript(
          "once",
          script,
          [itemExpiry, records, ...names(namespace, items)],
          args,
        );
        return asAnswers(reply, as);
      });

  return {
    putItems: change(SCRIPTS.writeItems, argsOfPut, asWritten),
    swapItem: change(SCRIPTS.writeItems, argsOfSwap, asSwapAnswer),
    deleteItems: change(SCRIPTS.deleteItems, argsOfDelete, asDeleted),
    async getItems(namespace, reads) {
      return await readMany(reads, async (some) => {
        const reply = await connection.runScript(
          "repeatable",
          SCRIPTS.readItems,
          some.map(({ id }) => itemsName(namespace, id)),
          [AROUND_ITEM_BYTES, ...some.flatMap(argsOfRead)],
        );
        const items = asArray(reply);
        return some.map((read, i) => asAnswer(items[i], (item) => asItems(item, read)));
      });
    },
    async pageItems(namespace, ranges) {
      return await readTogether(ranges, async (kind, some) => {
        const args = [AROUND_ITEM_BYTES, ...some.flatMap(argsOfRange)];
        const reply = await connection.runScript(kind, SCRIPTS.pageItems, names(namespace, some), args);
        return asAnswers(reply, asPage);
      });
    },
  };
}

/**
 * Deletes up to {@link SWEEP_ITEMS} expired items of a shard. `wasFull`: there may be more. Nothing
 * else removes them, because they expire one by one.
 */
export async function sweepItems(
  connection: Connection,
  { itemExpiry, itemsPrefix, orderPrefix, records }: ShardKeys,
): Promise<{ readonly wasFull: boolean }> {
  const { members } = await expiredFrom(connection, itemExpiry, "", 0, SWEEP_ITEMS);
  if (members.length > 0) {
    const names = members.flatMap((member) => {
      const record = member.toString("utf8", 2, 2 + member.readUInt16BE());
      return [itemsPrefix + record, orderPrefix + record];
    });
    await connection.runScript("repeatable", SCRIPTS.sweepItems, [itemExpiry, records, ...names], members);
  }
  return { wasFull: members.length === SWEEP_ITEMS };
}

function argsOfPut({ items }: RecordPut): Argument[] {
  return [
    items.length,
    ...items.flatMap(({ key, value, metadata, ttlMs }) => [
      "put",
      ...[key, value, metadata].map(copy),
      Math.ceil(ttlMs),
    ]),
  ];
}

function argsOfSwap({ key, expected, value }: ItemSwap): Argument[] {
  return expected === undefined
    ? [1, "make", copy(key), copy(value)]
    : [1, "swap", copy(key), copy(value), copy(expected)];
}

function argsOfDelete({ keys, maxItems }: ItemsDelete): Argument[] {
  return keys === undefined ? [-1, maxItems] : [keys.length, ...keys.map(copy)];
}

function argsOfRead({ keys, maxBytes }: ItemsRead): Argument[] {
  return [keys.length, maxBytes, ...keys.map(copy)];
}

function argsOfRange({ start = NOTHING, end, after, maxItems, maxBytes }: ItemRange): Argument[] {
  const isLater = after !== undefined && Buffer.compare(after, start) >= 0;
  const from = isLater ? lexEnd("(", after) : lexEnd("[", start);
  return [from, end === undefined ? "+" : lexEnd("(", end), maxItems, maxBytes];
}

/** An end of a range as ZRANGEBYLEX takes it: "[" includes it, "(" excludes it. */
function lexEnd(mark: "[" | "(", key: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(mark), key]);
}

/** The bytes that a command sends. The caller's are a view of a request. */
function copy(part: Uint8Array): Buffer {
  return Buffer.from(part);
}

const NOTHING = new Uint8Array(0);

/** write-items.lua's answer to a put. */
function asWritten(reply: unknown): undefined {
  asNumber(reply);
}

/** The same to a swap. */
function asSwapAnswer(reply: unknown): SwapAnswer {
  return reply === 1 ? { swapped: true } : { swapped: false, actual: asValue(reply) };
}

/** What a delete of items answers. */
export function asDeleted(reply: unknown): ItemsDeleted {
  const [deleted = 0, more = 0] = asNumbers(reply);
  return { deleted, more: more === 1 };
}

/** The items of a read; a refusal if they are too large, or one is damaged. */
function asItems(reply: unknown, read: ItemsRead): readonly (HeldItem | undefined)[] | Refusal {
  if (Buffer.isBuffer(reply)) {
    return itemsTooLarge(read);
  }
  const stored = asValues(reply);
  const items: (HeldItem | undefined)[] = [];
  for (const [i, key] of read.keys.entries()) {
    const found = stored[i];
    const item = found && heldItemIn(copy(key), found);
    if (isRefusal(item)) {
      return item;
    }
    items.push(item);
  }
  return items;
}

/** A page; a refusal if one of its items is damaged. */
function asPage(reply: unknown): ItemPage | Refusal {
  const [next, ...parts] = asValues(reply);
  const items: HeldItem[] = [];
  for (let at = 0; at < parts.length; at += 2) {
    const [key = NOTHING, stored = Buffer.alloc(0)] = parts.slice(at, at + 2);
    const item = heldItemIn(key, stored);
    if (isRefusal(item)) {
      return item;
    }
    items.push(item);
  }
  return { items, next };
}
