import { MAX_ITEM_KEY_BYTES } from "../../limits.ts";
import type { RecordStore } from "../contract.ts";
import { itemsTooLarge } from "../decide-item.ts";
import { successor } from "../key-range.ts";
import { AROUND_ITEM_BYTES, type HeldItem } from "../records.ts";
import { bigintArray, byteaArray, integerArray, optionalByteaArray } from "./arrays.ts";
import type { Database } from "./database.ts";
import type { Statement } from "./session.ts";

const NO_KEY = new Uint8Array(0);
/** Stands for all items of a record: no key is empty. */
const WHOLE = new Uint8Array(0);
const AFTER_ALL = new Uint8Array(MAX_ITEM_KEY_BYTES + 1).fill(0xff);

/** An item as it is read. The place counts from 1; a value of NULL was not read. */
type ItemRow = readonly [
  place: number,
  key: Buffer,
  value: Buffer | null,
  metadata: Buffer,
  createdAtMs: number,
  updatedAtMs: number,
  ttlMs: number,
];

type Make = <Row extends readonly unknown[]>(name: string, text: string) => Statement<Row>;

/** The statements on records. `$1` is always the namespace. */
export function createRecordStatements(schema: string, serverNow: string, read: Make, write: Make) {
  const now = `date_trunc('milliseconds', ${serverNow})`;
  const live = `(expires_at IS NULL OR expires_at > ${now})`;
  const item = `"${schema}".record_item`;
  const bytes = `(${AROUND_ITEM_BYTES} + octet_length(key) + octet_length(value) + octet_length(metadata))`;
  const ms = (time: string) => `(extract(epoch FROM ${time}) * 1000)::bigint`;
  const times = `${ms("created_at")}, ${ms("updated_at")}, coalesce(${ms("(expires_at - updated_at)")}, 0)`;
  return {
    /** Items must be in ascending order and unique, as the keys of `set`. */
    putItems: write<readonly []>(
      "put_items",
      `INSERT INTO ${item} AS r (namespace, id, key, value, metadata, created_at, updated_at, expires_at)
       SELECT $1, i, k, v, m, ${now}, ${now}, CASE WHEN ttl_ms > 0 THEN ${now} + ttl_ms * INTERVAL '1 millisecond' END
       FROM unnest($2::bytea[], $3::bytea[], $4::bytea[], $5::bytea[], $6::bigint[]) AS given (i, k, v, m, ttl_ms)
       ON CONFLICT (namespace, id, key) DO UPDATE SET value = excluded.value, metadata = excluded.metadata,
         created_at = CASE WHEN r.expires_at <= excluded.updated_at THEN excluded.created_at ELSE r.created_at END,
         updated_at = excluded.updated_at, expires_at = excluded.expires_at`,
    ),
    /** For each place the number of its read, id, key, and the most bytes of that read. */
    getItems: read<ItemRow>(
      "get_items",
      `SELECT place::integer, key, CASE WHEN bytes <= most THEN value END, metadata, ${times}
       FROM (
         SELECT given.place, most, found.*, sum(${bytes}) OVER (PARTITION BY given.item) AS bytes
         FROM unnest($2::integer[], $3::bytea[], $4::bytea[], $5::bigint[]) WITH ORDINALITY AS given (item, i, k, most, place)
           CROSS JOIN LATERAL (
             SELECT * FROM ${item} AS r WHERE namespace = $1 AND r.id = i AND r.key = k AND ${live} LIMIT 1
           ) AS found
       ) AS held`,
    ),
    /** For each place the id, start, end, most items and most bytes; as pages of entries. */
    pageItems: read<readonly [...ItemRow, seen: number]>(
      "page_items",
      `SELECT place::integer, key, value, metadata, ${times}, seen::integer
       FROM unnest($2::bytea[], $3::bytea[], $4::bytea[], $5::integer[], $6::bigint[])
         WITH ORDINALITY AS given (i, first, past, most_items, most_bytes, place)
         CROSS JOIN LATERAL (
           SELECT *, count(*) OVER () AS seen, row_number() OVER by_key AS number,
             coalesce(sum(${bytes}) OVER (by_key ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS bytes_before
           FROM (
             SELECT * FROM ${item} AS r
             WHERE namespace = $1 AND r.id = i AND key >= first AND key < past AND ${live}
             ORDER BY key LIMIT most_items + 1
           ) AS candidate
           WINDOW by_key AS (ORDER BY key)
         ) AS sized
       WHERE bytes_before < most_bytes AND number <= most_items ORDER BY place, number`,
    ),
    /**
     * Ids of records from `$2` (included) to `$3` (excluded), the first `$4`. It looks up each id
     * behind the one before, because PostgreSQL would read all items for DISTINCT.
     */
    recordIds: {
      ...read<readonly [id: Buffer]>(
        "record_ids",
        `WITH RECURSIVE found (id) AS (
           (SELECT r.id FROM ${item} AS r WHERE namespace = $1 AND r.id >= $2::bytea AND r.id < $3::bytea AND ${live}
            ORDER BY r.id, r.key LIMIT 1)
           UNION ALL
           SELECT next.id FROM found CROSS JOIN LATERAL (
             SELECT r.id FROM ${item} AS r WHERE namespace = $1 AND r.id > found.id AND r.id < $3::bytea AND ${live}
             ORDER BY r.id, r.key LIMIT 1
           ) AS next
         )
         SELECT id FROM found LIMIT $4::integer`,
      ),
      endsWithCall: true as const,
    },
    /** See the function. `$2` to `$4`: what it takes, without the time. */
    deleteItems: write<readonly [deleted: number, more: boolean]>(
      "delete_items",
      `SELECT * FROM "${schema}".record_delete($1, ${now}, $2::bytea[], $3::bytea[], $4::integer[])`,
    ),
    /** See the function. `$2` to `$5`: what it takes, without the time. */
    swapItem: write<readonly [swapped: boolean, actual: Buffer | null]>(
      "swap_items",
      `SELECT * FROM "${schema}".record_swap($1, ${now}, $2::bytea[], $3::bytea[], $4::bytea[], $5::bytea[])`,
    ),
    /** Deletes up to `$1` expired items, skipping those that others have locked. */
    sweepItems: {
      ...write<readonly [key: Buffer]>(
        "sweep_items",
        `WITH expired AS MATERIALIZED (
         SELECT namespace, id, key FROM ${item} WHERE expires_at <= ${now}
         ORDER BY expires_at LIMIT $1::integer FOR UPDATE SKIP LOCKED
       )
       DELETE FROM ${item} AS r USING expired
       WHERE r.namespace = expired.namespace AND r.id = expired.id AND r.key = expired.key RETURNING r.key`,
      ),
      endsWithCall: true,
    },
  };
}

/** Records in the table of items. */
export function createRecords(
  run: Database["run"],
  statements: ReturnType<typeof createRecordStatements>,
): RecordStore {
  return {
    async putItems(namespace, puts, call) {
      const all = puts.flatMap(({ id, items }) => items.map((item) => ({ id, ...item })));
      const last = new Map(all.map((item) => [nameOf(item), item]));
      const items = inOrder([...last.values()]);
      await run(
        statements.putItems,
        [
          namespace,
          byteaArray(items.map(({ id }) => Buffer.from(id))),
          byteaArray(items.map(({ key }) => key)),
          byteaArray(items.map(({ value }) => value)),
          byteaArray(items.map(({ metadata }) => metadata)),
          bigintArray(items.map(({ ttlMs }) => Math.ceil(ttlMs))),
        ],
        call,
      );
      return undefined;
    },
    async getItems(namespace, reads, call) {
      const places = reads.flatMap(({ id, keys, maxBytes }, item) =>
        keys.map((key) => ({ item, id, key, maxBytes })),
      );
      const rows = await run(
        statements.getItems,
        [
          namespace,
          integerArray(places.map(({ item }) => item)),
          byteaArray(places.map(({ id }) => Buffer.from(id))),
          byteaArray(places.map(({ key }) => key)),
          bigintArray(places.map(({ maxBytes }) => maxBytes)),
        ],
        call,
      );
      const found = new Map(rows.map((row) => [row[0] - 1, row]));
      let at = 0;
      return reads.map((read) => {
        const mine = read.keys.map(() => found.get(at++));
        return mine.some((row) => row !== undefined && row[2] === null)
          ? itemsTooLarge(read)
          : mine.map((row) => row && itemOf(row));
      });
    },
    async pageItems(namespace, ranges, call) {
      const rows = await run(
        statements.pageItems,
        [
          namespace,
          byteaArray(ranges.map(({ id }) => Buffer.from(id))),
          byteaArray(ranges.map(({ start = NO_KEY, after }) => laterOf(start, after))),
          byteaArray(ranges.map(({ end = AFTER_ALL }) => end)),
          integerArray(ranges.map(({ maxItems }) => maxItems)),
          bigintArray(ranges.map(({ maxBytes }) => maxBytes)),
        ],
        call,
      );
      const byPlace = Map.groupBy(rows, ([place]) => place - 1);
      return ranges.map((_, i) => {
        const mine = byPlace.get(i) ?? [];
        const isLast = mine.length === (mine[0]?.[7] ?? 0);
        return { items: mine.map(itemOf), next: isLast ? undefined : mine.at(-1)?.[1] };
      });
    },
    async deleteItems(namespace, deletes, call) {
      const order = inOrder(
        deletes.flatMap(({ id, keys = [WHOLE], maxItems }, place) =>
          keys.map((key) => ({ id, key, maxItems, place })),
        ),
      );
      const rows = await run(
        statements.deleteItems,
        [
          namespace,
          byteaArray(order.map(({ id }) => Buffer.from(id))),
          byteaArray(order.map(({ key }) => key)),
          integerArray(order.map(({ maxItems }) => maxItems)),
        ],
        call,
      );
      const answers = deletes.map(() => ({ deleted: 0, more: false }));
      for (const [i, { place }] of order.entries()) {
        const answer = answers[place];
        const [deleted, more] = rows[i] ?? [0, false];
        if (answer !== undefined) {
          answer.deleted += deleted;
          answer.more ||= more;
        }
      }
      return answers;
    },
    async swapItem(namespace, swaps, call) {
      const order = inOrder(swaps.map((swap, place) => ({ ...swap, place })));
      const rows = await run(
        statements.swapItem,
        [
          namespace,
          byteaArray(order.map(({ id }) => Buffer.from(id))),
          byteaArray(order.map(({ key }) => key)),
          optionalByteaArray(order.map(({ expected }) => expected)),
          byteaArray(order.map(({ value }) => value)),
        ],
        call,
      );
      const byPlace = new Map(order.map(({ place }, i) => [place, rows[i]]));
      return swaps.map((_, place) => {
        const [swapped, actual] = byPlace.get(place) ?? [];
        return swapped === true ? { swapped } : { swapped: false, actual: actual ?? undefined };
      });
    },
  };
}

function itemOf(row: readonly [...ItemRow, ...unknown[]]): HeldItem {
  const [, key, value, metadata, createdAtMs, updatedAtMs, ttlMs] = row;
  return { key, value: value ?? NO_KEY, metadata, createdAtMs, updatedAtMs, ttlMs };
}

function laterOf(start: Uint8Array, after: Uint8Array | undefined): Uint8Array {
  const next = after === undefined ? NO_KEY : successor(after);
  return Buffer.compare(start, next) > 0 ? start : next;
}

/** Where an item is. */
interface ItemName {
  readonly id: string;
  readonly key: Uint8Array;
}

function nameOf({ id, key }: ItemName): string {
  return JSON.stringify([id, Buffer.from(key).toString("latin1")]);
}

/**
 * In ascending order of ids and keys: every call takes its locks in this order, so that no two wait
 * for each other. Those on one item keep their order.
 */
function inOrder<Item extends ItemName>(items: readonly Item[]): Item[] {
  return items
    .map((item) => ({ item, id: Buffer.from(item.id) }))
    .sort((a, b) => a.id.compare(b.id) || Buffer.compare(a.item.key, b.item.key))
    .map(({ item }) => item);
}
