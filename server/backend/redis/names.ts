import type { Interfaces, NamePage, NameQuery } from "../contract.ts";
import type { Connection } from "./connection.ts";
import { endsOf, rangeOf } from "./index-range.ts";
import type { ShardKeys } from "./keys.ts";
import { readTogether } from "./read-many.ts";
import { asArray, asTexts, asValue } from "./replies.ts";
import { SCRIPTS } from "./scripts.ts";

/** Which lists and records a shard has, by their indexes. */
export function createNames(
  connection: Connection,
  keys: ShardKeys,
): Pick<Interfaces, "listNames" | "recordIds"> {
  return {
    listNames: {
      pageNames: (namespace, query) => readIndex(connection, keys.lists, namespace, query),
    },
    recordIds: {
      async pageIds(namespace, query) {
        const { names, next } = await readIndex(connection, keys.records, namespace, query);
        const live = await liveRecords(connection, keys, namespace, names);
        return { names: names.filter((name) => live.has(name)), next };
      },
    },
  };
}

async function readIndex(
  connection: Connection,
  index: string,
  namespace: string,
  query: NameQuery,
): Promise<NamePage> {
  const { from, below } = endsOf(rangeOf(namespace, query, query.after));
  // One more than wanted, to learn whether there are more.
  const limit = ["limit", 0, query.maxNames + 1] as const;
  const reply = await connection.run("repeatable", "zrangebylex", [index, from, below, ...limit]);
  const members = asTexts(reply);
  const names = members.slice(0, query.maxNames).map((member) => member.slice(namespace.length + 1));
  return { names, next: members.length > names.length ? names.at(-1) : undefined };
}

/** Those of the records that have an item which has not expired. */
async function liveRecords(
  connection: Connection,
  { itemExpiry, orderPrefix }: ShardKeys,
  namespace: string,
  ids: readonly string[],
): Promise<ReadonlySet<string>> {
  const live = new Set<string>();
  let asked: readonly (readonly [id: string, from: string | Buffer])[] = ids.map((id) => [id, "-"]);
  while (asked.length > 0) {
    const replies = await readTogether(asked, async (kind, some) => {
      const orders = some.map(([id]) => `${orderPrefix}${namespace}:${id}`);
      const args = [orderPrefix.length, ...some.map(([, from]) => from)];
      return asArray(await connection.runScript(kind, SCRIPTS.liveRecords, [itemExpiry, ...orders], args));
    });
    asked = asked.flatMap(([id], i) => {
      const reply = replies[i];
      if (reply === 1) {
        live.add(id);
      }
      const last = typeof reply === "number" ? undefined : asValue(reply);
      return last === undefined ? [] : [[id, Buffer.concat([Buffer.from("("), last])] as const];
    });
  }
  return live;
}
