import type { ItemFacts, RecordItem, RecordsApi } from "../../web.ts";
import { fromHex, textOf, toHex, visible } from "./bytes.ts";
import { formatCount, formatDuration, formatTime } from "./format.ts";
import { isSame, lookAfter, type Outcome } from "./key-write.ts";
import { type Preview, previewOf } from "./preview.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Items of a page. */
export const ITEMS_PAGE = 200;

/** An item, of which a row of a list shows what its value begins with. */
export interface ItemRow {
  readonly key: Bytes;
  readonly preview: Preview;
  /** `undefined` = it never expires. */
  readonly ttlSeconds: number | undefined;
  /** Milliseconds since 1970, by the store's clock. */
  readonly updatedAtMs: number;
}

/** The row of an item. The value is not kept. */
export function rowOf({ key, value, ttlSeconds, updatedAtMs }: RecordItem): ItemRow {
  return { key, preview: previewOf(value), ttlSeconds, updatedAtMs };
}

/** The items of a record, page by page; each page is a call of its own. */
export async function* itemPages(
  records: Pick<RecordsApi, "scan">,
  id: string,
  signal: AbortSignal,
): AsyncGenerator<readonly ItemRow[]> {
  let cursor: Bytes | undefined;
  do {
    const rows: ItemRow[] = [];
    const items = records.scan(id, { limit: ITEMS_PAGE, cursor, signal });
    cursor = undefined;
    for await (const item of items) {
      rows.push(rowOf(item));
      cursor = item.cursor;
    }
    yield rows;
  } while (cursor !== undefined);
}

/** The key of an item as one line: text, or hexadecimal digits where it is no UTF-8. */
export function keyText(key: Uint8Array): string {
  const text = textOf(key);
  return text === undefined ? `0x${hexOf(key)}` : visible(text);
}

/** The digits of a key, as the page's address has them. {@link fromHex} reads them. */
export function hexOf(key: Uint8Array): string {
  return toHex(key).replace(/\s/g, "");
}

/** The key in the page's address; `undefined` = there is none. */
export function keyInAddress(digits: string | undefined): Bytes | undefined {
  const key = digits === undefined ? undefined : fromHex(digits);
  return key?.length === 0 ? undefined : key;
}

/** Reads an item; `undefined` = there is none. */
export async function readItem(
  records: Pick<RecordsApi, "get">,
  id: string,
  key: Uint8Array,
  signal?: AbortSignal,
): Promise<RecordItem | undefined> {
  const [item] = await records.get(id, { keys: [key], signal });
  return item;
}

/** A value that an item has. */
export interface ItemValue {
  readonly value: Bytes;
}

/**
 * Writes a value if the item still has that of `base` (`undefined` = there is no item). A write
 * whose answer was lost is looked for. What another wrote is no conflict if it is the same value.
 */
export async function saveItem(
  records: Pick<RecordsApi, "get" | "compareAndSwap">,
  id: string,
  key: Uint8Array,
  base: ItemValue | undefined,
  value: Bytes,
): Promise<Outcome<ItemValue>> {
  let theirs: ItemValue | undefined;
  let isLost = false;
  try {
    const swap = await records.compareAndSwap(id, key, base?.value, value);
    if (swap.swapped) {
      return { kind: "done", entry: { value } };
    }
    theirs = swap.actual && { value: swap.actual };
  } catch (thrown) {
    theirs = await lookAfter(() => readItem(records, id, key), thrown);
    if (hasSame(theirs, base)) {
      throw thrown;
    }
    isLost = true;
  }
  // A new item that another made is a conflict whatever its value: it was there before.
  return (base !== undefined || isLost) && hasSame(theirs, { value })
    ? { kind: "done", entry: theirs }
    : { kind: "conflict", theirs };
}

/**
 * Deletes an item if it still has the value of `base`. No call compares and deletes at one moment:
 * a change in between stays unseen.
 */
export async function deleteItem(
  records: Pick<RecordsApi, "get" | "delete">,
  id: string,
  base: RecordItem,
): Promise<Outcome<RecordItem>> {
  const now = await readItem(records, id, base.key);
  if (now !== undefined && !hasSame(now, base)) {
    return { kind: "conflict", theirs: now };
  }
  await records.delete(id, { keys: [base.key] });
  return { kind: "done", entry: undefined };
}

/**
 * Puts a deleted item back, with all that was kept with it, if there is none with its key. Its time
 * to live begins anew. No call compares and writes that: an item that comes in between is lost.
 */
export async function putItemBack(
  records: Pick<RecordsApi, "get" | "put">,
  id: string,
  item: RecordItem,
): Promise<Outcome<RecordItem>> {
  const { createdAtMs, updatedAtMs, ...kept } = item;
  const theirs = await readItem(records, id, item.key);
  if (theirs !== undefined) {
    return { kind: "conflict", theirs };
  }
  await records.put(id, [kept]);
  return { kind: "done", entry: item };
}

/** When an item expires, in words. */
export function expiryOfItem({
  ttlSeconds,
  updatedAtMs,
}: Pick<RecordItem, "ttlSeconds" | "updatedAtMs">): string {
  return ttlSeconds === undefined
    ? "never expires"
    : `expires ${formatTime(updatedAtMs + ttlSeconds * 1000)}, ${formatDuration(ttlSeconds * 1000)} after its last write`;
}

/** How its writer prepared the value, in words; [] = it did not say. */
export function preparationOf({ compression, encryption, chunking }: ItemFacts): readonly string[] {
  const { algorithm = "", keyId = "" } = encryption ?? {};
  return [
    compression === undefined || compression === "none" ? "" : `compressed with ${compression}`,
    encryption === undefined
      ? ""
      : `encrypted${algorithm && ` with ${visible(algorithm)}`}${keyId && `, key ${visible(keyId)}`}`,
    chunking?.totalChunks ? `one of ${formatCount(chunking.totalChunks)} chunks` : "",
  ].filter((words) => words !== "");
}

function hasSame(a: ItemValue | undefined, b: ItemValue | undefined): boolean {
  return a === undefined || b === undefined ? a === b : isSame(a.value, b.value);
}
