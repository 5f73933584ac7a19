import type { Connection } from "./connection.ts";
import type { ShardKeys } from "./keys.ts";
import { asTexts } from "./replies.ts";
import { SCRIPTS } from "./scripts.ts";

/** The names that one step visits. Redis runs no other command meanwhile. */
const VISITS = 1000;

/**
 * Makes the indexes of a shard's lists and records, for data from a Prism that had none. Gateways
 * that know the indexes may use the shard meanwhile, and make them too.
 */
export async function indexNames(connection: Connection, keys: ShardKeys): Promise<void> {
  const { layout, named, lists, listPrefix, records, itemsPrefix } = keys;
  const add = async (index: string, prefix: string, found: readonly string[]) => {
    const names = found.filter((name) => name.startsWith(prefix));
    if (names.length > 0) {
      await connection.runScript("repeatable", SCRIPTS.index, [index, ...names], [prefix.length]);
    }
  };
  let cursor = "0";
  do {
    const args = [cursor, `${named}*`, VISITS];
    const [next = "0", ...found] = asTexts(
      await connection.runScript("repeatable", SCRIPTS.scan, [layout], args),
    );
    await add(lists, listPrefix, found);
    await add(records, itemsPrefix, found);
    cursor = next;
  } while (cursor !== "0");
}
