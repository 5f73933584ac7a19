import type { Page } from "../contract.ts";
import { PackedValues } from "../values.ts";

/**
 * Entries in one value of a page. A value for each entry would cost a string and a buffer each. A
 * single value for the page is so large that its memory is freed late. This many small entries are
 * a few kilobytes.
 */
export const PACK_ENTRIES = 32;

/**
 * Reads a page in packs of {@link PACK_ENTRIES} entries; the last pack has the rest. For each
 * entry, in order: the key's length (four bytes), the key, and the same for the value if there are
 * values. `seen`: the number of entries, up to one more than the page could hold.
 */
export function readPackedPage(packs: readonly Buffer[], keysOnly: boolean, seen: number): Page {
  const keys: string[] = [];
  const values = new PackedValues();
  for (const pack of packs) {
    for (let at = 0; at < pack.length; ) {
      const keyEnd = at + 4 + pack.readUInt32BE(at);
      keys.push(pack.toString("utf8", at + 4, keyEnd));
      at = keyEnd;
      if (!keysOnly) {
        const valueEnd = at + 4 + pack.readUInt32BE(at);
        values.add(pack, at + 4, valueEnd);
        at = valueEnd;
      }
    }
  }
  return { keys, values, next: seen > keys.length ? keys.at(-1) : undefined };
}
