import { type Answers, answerOf, type RecordStore } from "../contract.ts";
import type { HeldItem, ItemRange, ItemWrite } from "../records.ts";
import { answersOf, bytes, CALL, NAMESPACE, present } from "./harness.ts";

/** Item keys that a store could confuse, order wrongly or cut off, in ascending byte order. */
export const ITEM_KEYS: readonly Uint8Array[] = [
  Uint8Array.of(0),
  Uint8Array.of(0, 0),
  Uint8Array.of(0, 0xff),
  Uint8Array.of(1),
  bytes("A"),
  bytes("a"),
  bytes("a\0"),
  bytes("a\0b"),
  bytes("a%"),
  bytes("ab"),
  bytes("a\x7f"),
  Uint8Array.of(0x61, 0x80),
  bytes("\\x61"),
  new Uint8Array(1023).fill(0x78),
  new Uint8Array(1024).fill(0x78),
  Uint8Array.of(0x7f),
  Uint8Array.of(0x80),
  bytes("é"),
  Uint8Array.of(0xc3, 0xa9, 0x28),
  Uint8Array.of(0xed, 0xa0, 0x80),
  Uint8Array.of(0xff),
  Uint8Array.of(0xff, 0),
  Uint8Array.of(0xff, 0xff),
  new Uint8Array(1024).fill(0xff),
].sort(Buffer.compare);

const NO_METADATA = new Uint8Array(0);

/** An item to write; the key and the value may be text. */
export function item(
  key: string | Uint8Array,
  value: string | Uint8Array,
  { ttlMs = 0, metadata = NO_METADATA }: Partial<Pick<ItemWrite, "ttlMs" | "metadata">> = {},
): ItemWrite {
  return { key: toBytes(key), value: toBytes(value), metadata, ttlMs };
}

/** The bytes of a text; bytes stay as they are. */
export function toBytes(value: string | Uint8Array): Uint8Array {
  return typeof value === "string" ? bytes(value) : value;
}

/** Writes items to one record. */
export async function put(
  records: RecordStore,
  id: string,
  items: readonly ItemWrite[],
  namespace: string = NAMESPACE,
): Promise<void> {
  await answersOf(records.putItems(namespace, [{ id, items }], CALL));
}

/** The items of a record, page by page. */
export async function read(
  records: RecordStore,
  id: string,
  range: Partial<ItemRange> = {},
  namespace: string = NAMESPACE,
): Promise<HeldItem[]> {
  const whole = { start: undefined, end: undefined, maxItems: 1000, maxBytes: 16 * 1024 * 1024 };
  const items: HeldItem[] = [];
  let after: Uint8Array | undefined;
  do {
    const page = answerOf(
      only(await records.pageItems(namespace, [{ ...whole, ...range, id, after }], CALL)),
    );
    items.push(...page.items);
    after = page.next;
  } while (after !== undefined);
  return items;
}

/** Items as pairs of text, for comparison: each byte is a character. */
export function pairs(items: Iterable<HeldItem | undefined>): ([string, string] | undefined)[] {
  return Array.from(items, (held) => held && [latin1(held.key), latin1(held.value)]);
}

/** The keys of items, each byte a character. */
export function keysOf(items: Iterable<HeldItem>): string[] {
  return Array.from(items, ({ key }) => latin1(key));
}

/** The items of one record with these keys. */
export async function get(
  records: RecordStore,
  id: string,
  keys: readonly (string | Uint8Array)[],
  namespace: string = NAMESPACE,
): Promise<readonly (HeldItem | undefined)[]> {
  const reads = [{ id, keys: keys.map(toBytes), maxBytes: 16 * 1024 * 1024 }];
  return answerOf(only(await records.getItems(namespace, reads, CALL)));
}

/** The single item of a record with this key. Throws if there is none. */
export async function getOne(records: RecordStore, id: string, key: string): Promise<HeldItem> {
  return present((await get(records, id, [key]))[0]);
}

/** Deletes a whole record step by step; answers how many items it had. */
export async function deleteAll(
  records: RecordStore,
  id: string,
  { maxItems = 1000, namespace = NAMESPACE } = {},
): Promise<number> {
  let total = 0;
  for (;;) {
    const deletes = [{ id, keys: undefined, maxItems }];
    const { deleted, more } = answerOf(only(await records.deleteItems(namespace, deletes, CALL)));
    total += deleted;
    if (!more) {
      return total;
    }
  }
}

/** Each byte as a character. */
export function latin1(value: Uint8Array): string {
  return Buffer.from(value).toString("latin1");
}

/** The single answer of a call. */
export function only<T>(answers: Answers<T>): Answers<T>[number] {
  const [answer] = answers;
  if (answer === undefined || answers.length !== 1) {
    throw new Error(`${answers.length} answers in place of one`);
  }
  return answer;
}
