import { type Backend, isRefusal } from "../contract.ts";
import type { Connection } from "./connection.ts";
import { endsOf, rangeOf } from "./index-range.ts";
import type { ShardKeys } from "./keys.ts";
import { asDeleted } from "./records.ts";
import { asAnswers, asTexts } from "./replies.ts";
import { SCRIPTS } from "./scripts.ts";

/** The names that one SCAN visits, for each thing that a step may remove. */
const VISITS_PER_ITEM = 10;

/**
 * Where a step begins. Entries come first, by the index. For lists and records the server is asked
 * for the names of all its keys, until a pass over all of them finds none: a move of the shard or a
 * failover can make a pass miss some. So what is in no index goes too.
 */
interface Place {
  /** Where SCAN goes on; "0" = at the start. */
  readonly cursor: string;
  /** Whether this pass has found names. */
  readonly hasFound: boolean;
}

const START: Place = { cursor: "0", hasFound: false };

/** What stands for the steps that remove entries. */
const ENTRIES = "entries";

/** Removes all that a namespace holds in a shard. */
export function createErase(connection: Connection, keys: ShardKeys): NonNullable<Backend["erase"]> {
  const { index, expiry, entryPrefix, named } = keys;

  /** Answers whether there were any. */
  async function eraseEntries(namespace: string, maxItems: number): Promise<boolean> {
    const { from, below } = endsOf(rangeOf(namespace, { prefix: "" }));
    const limit = ["limit", 0, maxItems] as const;
    const reply = await connection.run("repeatable", "zrangebylex", [index, from, below, ...limit]);
    const members = asTexts(reply);
    if (members.length > 0) {
      const names = members.map((member) => entryPrefix + member);
      const args = [entryPrefix.length];
      await connection.runScript("repeatable", SCRIPTS.delete, [index, expiry, ...names], args);
    }
    return members.length > 0;
  }

  async function eraseNamed(namespace: string, place: Place, maxItems: number): Promise<Place | undefined> {
    const { cursor, hasFound } = place;
    const args = [cursor, `${named}${namespace}:*`, maxItems * VISITS_PER_ITEM];
    const reply = await connection.runScript("repeatable", SCRIPTS.scan, [index], args);
    const [next = "0", ...names] = asTexts(reply);
    const areGone = await eraseNames(connection, keys, names.slice(0, maxItems), maxItems);
    if (!areGone || names.length > maxItems) {
      return { cursor, hasFound: true };
    }
    const found = hasFound || names.length > 0;
    if (next !== "0") {
      return { cursor: next, hasFound: found };
    }
    return found ? START : undefined;
  }

  return async (namespace, { after = ENTRIES, maxItems }) => {
    if (after === ENTRIES && (await eraseEntries(namespace, maxItems))) {
      return ENTRIES;
    }
    const place: Place = after === ENTRIES ? START : JSON.parse(after);
    const next = await eraseNamed(namespace, place, maxItems);
    return next && JSON.stringify(next);
  };
}

/** Removes lists, and up to `maxItems` items of records. Answers whether all of them are gone. */
async function eraseNames(
  connection: Connection,
  { lists, listPrefix, records: index, itemsPrefix, orderPrefix, itemExpiry }: ShardKeys,
  names: readonly string[],
  maxItems: number,
): Promise<boolean> {
  const isList = (name: string) => name.startsWith(listPrefix);
  // Redis frees what is large by itself, later.
  const remove = async (from: string, gone: readonly string[], { length }: string) =>
    gone.length > 0 &&
    (await connection.runScript("repeatable", SCRIPTS.delete, [from, from, ...gone], [length]));
  await remove(lists, names.filter(isList), listPrefix);
  const records = [
    ...new Set(names.filter((name) => !isList(name)).map((name) => name.slice(itemsPrefix.length))),
  ];
  let areGone = true;
  if (records.length > 0) {
    const damaged: string[] = [];
    const most = Math.ceil(maxItems / records.length);
    const reply = await connection.runScript(
      "repeatable",
      SCRIPTS.deleteItems,
      [itemExpiry, index, ...records.flatMap((record) => [itemsPrefix + record, orderPrefix + record])],
      ["each", itemsPrefix.length, ...records.flatMap(() => [-1, most])],
    );
    asAnswers(reply, asDeleted).forEach((answer, i) => {
      if (isRefusal(answer)) {
        // A key of another type has no items.
        damaged.push(itemsPrefix + records[i], orderPrefix + records[i]);
      } else if (answer.more) {
        areGone = false;
      }
    });
    await remove(index, damaged, itemsPrefix);
  }
  return areGone;
}
