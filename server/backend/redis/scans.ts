import type { ScanStore } from "../contract.ts";
import type { Connection } from "./connection.ts";
import { countEntries } from "./count.ts";
import { endsOf, rangeOf } from "./index-range.ts";
import type { ShardKeys } from "./keys.ts";
import { readEntries, readKeys } from "./page.ts";
import { asTexts } from "./replies.ts";

/** Pages and counts of one shard, by its index. */
export function createScans(connection: Connection, keys: ShardKeys): ScanStore {
  return {
    async scanPage(namespace, query) {
      const { prefix, after, maxEntries, maxBytes, keysOnly, inlineBytes = Number.MAX_SAFE_INTEGER } = query;
      const start = `${namespace}:`;
      const { from, below } = endsOf(rangeOf(namespace, prefix, after));
      // One more than wanted, to learn whether there are more.
      const args = [keys.index, from, below, "limit", 0, maxEntries + 1];
      const members = asTexts(await connection.run("repeatable", "zrangebylex", args));
      const candidates = {
        keys: members.slice(0, maxEntries).map((member) => member.slice(start.length)),
        entryPrefix: keys.entryPrefix + start,
        isLast: members.length <= maxEntries,
      };
      return keysOnly
        ? await readKeys(connection, candidates, maxBytes)
        : await readEntries(connection, candidates, maxBytes, inlineBytes);
    },

    count: (namespace, prefix, call) =>
      countEntries(connection, keys, rangeOf(namespace, prefix, undefined), call),
  };
}
