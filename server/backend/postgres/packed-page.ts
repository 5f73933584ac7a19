import type { Page } from "../contract.ts";
import { PackedValues } from "../values.ts";

/**
 * Entries that come as one value of a page. A value for each costs a string and a buffer for every entry; one for the whole page is so
 * large that its memory is given back late. This many small entries are a few kilobytes.
 */
export const PACK_ENTRIES = 32;

/**
 * Reads a page whose packs hold {@link PACK_ENTRIES} each, and the last one the rest: for each entry, in order, the length of its key
 * (four bytes), the key, and the same for the value, where there are values. `seen`: how many entries there were, up to one more than
 * the page could hold.
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
