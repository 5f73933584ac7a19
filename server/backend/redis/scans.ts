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
      const { reverse, after, maxEntries, maxBytes, keysOnly, inlineBytes = Number.MAX_SAFE_INTEGER } = query;
      const start = `${namespace}:`;
      const { from, below } = endsOf(rangeOf(namespace, query, after));
      // One more than wanted, to learn whether there are more.
      const limit = ["limit", 0, maxEntries + 1] as const;
      const reply = reverse
        ? connection.run("repeatable", "zrevrangebylex", [keys.index, below, from, ...limit])
        : connection.run("repeatable", "zrangebylex", [keys.index, from, below, ...limit]);
      const members = asTexts(await reply);
      const candidates = {
        keys: members.slice(0, maxEntries).map((member) => member.slice(start.length)),
        entryPrefix: keys.entryPrefix + start,
        isLast: members.length <= maxEntries,
      };
      return keysOnly
        ? await readKeys(connection, candidates, maxBytes)
        : await readEntries(connection, candidates, maxBytes, inlineBytes);
    },

    count: (namespace, prefix, call) => countEntries(connection, keys, rangeOf(namespace, { prefix }), call),
  };
}
