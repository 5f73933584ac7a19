import { type Answers, type Interfaces, Refusal } from "../contract.ts";
import { placesOf, restOf } from "../list-range.ts";
import type { ListPage, ListSlice } from "../lists.ts";
import { STORE_MESSAGES } from "../store-errors.ts";
import { PackedValues } from "../values.ts";
import { bigintArray, booleanArray, byteaArray } from "./arrays.ts";
import type { Database } from "./database.ts";
import type { SliceRow, Statements } from "./statements.ts";

/** The answer for a list that lacks a value. */
export const DAMAGED = new Refusal("corrupt_data", STORE_MESSAGES.corrupt_data);

/** Ranges, places and moves of lists. */
export function createListEdits(
  run: Database["run"],
  statements: Statements,
): Pick<Interfaces, "listRanges" | "listIndexes" | "listMoves"> {
  const slice = async (namespace: string, slices: readonly ListSlice[], call: Parameters<typeof run>[2]) => {
    const rows = await run(
      statements.slice,
      [
        namespace,
        keyArray(slices),
        bigintArray(slices.map(({ start }) => start)),
        bigintArray(slices.map(({ stop }) => stop)),
        bigintArray(slices.map(({ maxEntries }) => maxEntries)),
        bigintArray(slices.map(({ maxBytes }) => maxBytes)),
      ],
      call,
    );
    return rows.map((row, i) => pageOf(row, slices[i]));
  };
  return {
    listRanges: {
      slice,
      async trim(namespace, ranges, call) {
        const starts = bigintArray(ranges.map(({ start }) => start));
        const stops = bigintArray(ranges.map(({ stop }) => stop));
        const rows = await run(statements.trim, [namespace, keyArray(ranges), starts, stops], call);
        return rows.map(([length]) => length);
      },
    },
    listIndexes: {
      async at(namespace, places, call): Promise<Answers<Uint8Array | undefined>> {
        const slices = places.map(({ key, index }) => ({
          key,
          start: index,
          stop: index,
          maxEntries: 1,
          maxBytes: 1,
        }));
        const pages = await slice(namespace, slices, call);
        return pages.map((page) => (page instanceof Refusal ? page : [...page.values][0]));
      },
      async put(namespace, puts, call) {
        const indexes = bigintArray(puts.map(({ index }) => index));
        const rows = await run(statements.put, [namespace, keyArray(puts), indexes, valueArray(puts)], call);
        return rows.map(([answer]) => answer);
      },
      async insert(namespace, inserts, call) {
        const rows = await run(
          statements.insert,
          [
            namespace,
            keyArray(inserts),
            booleanArray(inserts.map(({ side }) => side === "after")),
            byteaArray(inserts.map(({ pivot }) => pivot)),
            valueArray(inserts),
          ],
          call,
        );
        return rows.map(([inserted, length]) => ({ inserted, length }));
      },
      async remove(namespace, removes, call) {
        const counts = bigintArray(removes.map(({ count }) => count));
        const values = valueArray(removes);
        const rows = await run(statements.remove, [namespace, keyArray(removes), values, counts], call);
        return rows.map(([removed]) => removed);
      },
    },
    listMoves: {
      async move(namespace, moves, call) {
        const rows = await run(
          statements.move,
          [
            namespace,
            keyArray(moves),
            booleanArray(moves.map(({ end }) => end === "left")),
            byteaArray(moves.map(({ to }) => Buffer.from(to))),
            booleanArray(moves.map(({ toEnd }) => toEnd === "left")),
          ],
          call,
        );
        return rows.map(([value]) => value ?? undefined);
      },
    },
  };
}

/** A range's page: for each value its length in four bytes, and the value. */
function pageOf(
  [length, first, last, pack]: SliceRow,
  slice: ListSlice = { key: "", start: 0, stop: -1, maxEntries: 0, maxBytes: 0 },
): ListPage | Refusal {
  const places = placesOf(slice, length ?? 0);
  const values = new PackedValues();
  let bytes = 0;
  for (let at = 0; pack !== null && at < pack.length; ) {
    const end = at + 4 + pack.readUInt32BE(at);
    values.add(pack, at + 4, end);
    bytes += end - at - 4;
    at = end;
  }
  const next = restOf(places, values.length);
  const isShort = next !== undefined && values.length < slice.maxEntries && bytes < slice.maxBytes;
  const hasGaps =
    first !== null && last !== null && (first !== places.first || last - first >= values.length);
  return isShort || hasGaps ? DAMAGED : { values, next };
}

function keyArray(items: readonly { readonly key: string }[]): Buffer {
  return byteaArray(items.map(({ key }) => Buffer.from(key)));
}

function valueArray(items: readonly { readonly value: Uint8Array }[]): Buffer {
  return byteaArray(items.map(({ value }) => value));
}
