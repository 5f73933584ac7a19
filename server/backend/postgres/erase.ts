import { ERASE_STEP_BYTES } from "../../limits.ts";
import type { Backend, Call, EraseStep } from "../contract.ts";
import { bigintArray, byteaArray } from "./arrays.ts";
import type { Database } from "./database.ts";
import type { Teller } from "./notifications.ts";
import type { Statement } from "./session.ts";

const NO_KEY = Buffer.alloc(0);

type Make = <Row extends readonly unknown[]>(
  name: string,
  table: Statement<Row>["table"],
  text: string,
) => Statement<Row>;

/** The column `before`: the sum of a number in the rows before, in an order. */
const sumBefore = (number: string, order: string) =>
  `coalesce(sum(${number}) OVER (ORDER BY ${order} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before`;

/**
 * The statements that remove a namespace's rows (`$1`), up to `$2` of them and up to the one that
 * brings their values to {@link ERASE_STEP_BYTES}, after a place. PostgreSQL does not read large
 * values for their length. A step goes on after the last one, because the removed rows stay in the
 * index until a vacuum. They answer the last key, if there were any: what was there when the
 * statement began, also where somebody else removes it at the same time.
 */
export function createEraseStatements(schema: string, read: Make, write: Make) {
  const entry = `"${schema}".entry`;
  const item = `"${schema}".record_item`;
  const stream = `"${schema}".stream`;
  const last = (column: string, order: string) => `(array_agg(${column} ORDER BY ${order}))[1] AS ${column}`;
  /** The first of `rows`, up to the one that brings their `bytes` to a step's. */
  const firstBytes = (rows: string, order: string) =>
    `(SELECT *, ${sumBefore("bytes", order)} FROM (${rows}) AS next) AS sized
         WHERE before < ${ERASE_STEP_BYTES}`;
  const chosen = (column: string) => `(SELECT ${column} FROM chosen)`;
  return {
    /** After the key `$3`. */
    eraseEntries: write<readonly [key: Buffer | null]>(
      "erase_entries",
      "entry",
      `WITH chosen AS MATERIALIZED (
         SELECT ${last("key", "key DESC")} FROM ${firstBytes(
           `SELECT key, octet_length(value) AS bytes FROM ${entry} WHERE namespace = $1 AND key > $3::bytea
            ORDER BY key LIMIT $2::integer`,
           "key",
         )}
       ), gone AS (
         DELETE FROM ${entry} WHERE namespace = $1 AND key > $3::bytea AND key <= ${chosen("key")}
       )
       SELECT key FROM chosen`,
    ),
    /** After the item `$4` of the record `$3`. */
    eraseItems: write<readonly [id: Buffer | null, key: Buffer | null]>(
      "erase_items",
      "record",
      `WITH chosen AS MATERIALIZED (
         SELECT ${last("id", "id DESC, key DESC")}, ${last("key", "id DESC, key DESC")} FROM ${firstBytes(
           `SELECT id, key, octet_length(value) AS bytes FROM ${item}
            WHERE namespace = $1 AND (id, key) > ($3::bytea, $4::bytea)
            ORDER BY id, key LIMIT $2::integer`,
           "id, key",
         )}
       ), gone AS (
         DELETE FROM ${item} WHERE namespace = $1
           AND (id, key) > ($3::bytea, $4::bytea) AND (id, key) <= (${chosen("id")}, ${chosen("key")})
       )
       SELECT id, key FROM chosen`,
    ),
    /**
     * Deletes streams after the name `$3`, and answers their names in order. Their events are yet
     * to be removed.
     */
    eraseStreams: write<readonly [name: Buffer]>(
      "erase_streams",
      "stream",
      `WITH chosen AS MATERIALIZED (
         SELECT id, name FROM ${stream} WHERE namespace = $1 AND name > $3::bytea
         ORDER BY name LIMIT $2::integer FOR UPDATE
       ), gone AS (
         UPDATE ${stream} AS s SET name = NULL, sweep_at_ms = 0 FROM chosen WHERE s.id = chosen.id
       )
       SELECT name FROM chosen ORDER BY name`,
    ),
    /**
     * Removes events of deleted streams, after the event `$4` of the stream `$3`. Takes the lock of
     * each stream.
     */
    eraseEvents: write<readonly [id: string | null, number: string | null]>(
      "erase_events",
      "stream",
      `SELECT at_stream::text, at_number::text
       FROM "${schema}".stream_erase($1, $2::integer, ${ERASE_STEP_BYTES}, $3::bigint, $4::bigint)`,
    ),
    /**
     * Lists after the key `$3`: how long they are, and how many of their first values to remove.
     * One that lacks values is damaged, and may be removed step by step.
     */
    lists: read<readonly [key: Buffer, length: number, count: number]>(
      "lists",
      "list",
      `WITH chosen AS (
         SELECT * FROM (
           SELECT *, ${sumBefore("length", "key")} FROM (
             SELECT id, key, head, tail - head AS length FROM "${schema}".list
             WHERE namespace = $1 AND key > $3::bytea ORDER BY key LIMIT $2::integer
           ) AS next
         ) AS counted WHERE before < $2::integer
       )
       SELECT key, length, coalesce(max(place) + 1, length) FROM (
         SELECT key, length, place, ${sumBefore("bytes", "key, place")}
         FROM chosen LEFT JOIN LATERAL (
           SELECT position - head AS place, octet_length(value) AS bytes FROM "${schema}".list_item
           WHERE list_id = id AND position >= head ORDER BY position LIMIT ($2::integer - chosen.before)::bigint
         ) AS first_values ON TRUE
       ) AS sized
       WHERE before < ${ERASE_STEP_BYTES}
       GROUP BY key, length ORDER BY key`,
    ),
  };
}

/** Where a step begins. The key spaces come in this order. */
type Place =
  | { readonly space: "entries" | "lists" | "streams"; readonly key: Buffer }
  | { readonly space: "records"; readonly id: Buffer; readonly key: Buffer }
  | { readonly space: "events"; readonly stream: string; readonly number: string };

/**
 * Removes all that a namespace holds: its entries, then its lists, its records and its streams. All
 * streams are deleted before their events are removed; `teller` tells of them.
 */
export function createErase(
  run: Database["run"],
  statements: ReturnType<typeof createEraseStatements> & {
    readonly trim: Statement<readonly [length: number]>;
  },
  teller: Teller,
): NonNullable<Backend["erase"]> {
  /** The place after a step. `undefined` = the key space has nothing more. */
  async function erase(
    namespace: string,
    place: Place,
    maxItems: number,
    call: Call,
  ): Promise<Place | undefined> {
    switch (place.space) {
      case "entries": {
        const [row] = await run(statements.eraseEntries, [namespace, maxItems, place.key], call);
        const key = row?.[0] ?? undefined;
        return key && { space: "entries", key };
      }
      case "lists":
        return await eraseLists(namespace, place.key, maxItems, call);
      case "records": {
        const values = [namespace, maxItems, place.id, place.key];
        const [id, key] = (await run(statements.eraseItems, values, call))[0] ?? [];
        return id && key ? { space: "records", id, key } : undefined;
      }
      case "streams": {
        const rows = await run(statements.eraseStreams, [namespace, maxItems, place.key], call);
        teller.replaced(
          namespace,
          rows.map(([name]) => name.toString()),
        );
        const key = rows.at(-1)?.[0];
        return key && { space: "streams", key };
      }
      case "events": {
        const values = [namespace, maxItems, place.stream, place.number];
        const [stream, number] = (await run(statements.eraseEvents, values, call))[0] ?? [];
        return stream && number ? { space: "events", stream, number } : undefined;
      }
    }
  }

  /** Takes values off the left of lists, and so the lists that have no more. */
  async function eraseLists(
    namespace: string,
    after: Buffer,
    maxItems: number,
    call: Call,
  ): Promise<Place | undefined> {
    const found = await run(statements.lists, [namespace, maxItems, after], call);
    const keys: Buffer[] = [];
    const counts: number[] = [];
    let done = after;
    for (const [key, length, count] of found) {
      keys.push(key);
      counts.push(count);
      if (count < length) {
        break;
      }
      done = key;
    }
    if (keys.length === 0) {
      return undefined;
    }
    // What is left of each list is from there to its last value.
    const lasts = keys.map(() => -1);
    await run(statements.trim, [namespace, byteaArray(keys), bigintArray(counts), bigintArray(lasts)], call);
    return { space: "lists", key: done };
  }

  return async (namespace, { after, maxItems }: EraseStep, call) => {
    const place = after === undefined ? ({ space: "entries", key: NO_KEY } as const) : placeIn(after);
    const next = (await erase(namespace, place, maxItems, call)) ?? FOLLOWING[place.space];
    return next && textOf(next);
  };
}

/** Where the key space after another begins. */
const FOLLOWING: Readonly<Record<Place["space"], Place | undefined>> = {
  entries: { space: "lists", key: NO_KEY },
  lists: { space: "records", id: NO_KEY, key: NO_KEY },
  records: { space: "streams", key: NO_KEY },
  streams: { space: "events", stream: "0", number: "-1" },
  events: undefined,
};

function textOf(place: Place): string {
  switch (place.space) {
    case "entries":
    case "lists":
    case "streams":
      return `${place.space} ${place.key.toString("hex")}`;
    case "records":
      return `${place.space} ${place.key.toString("hex")} ${place.id.toString("hex")}`;
    case "events":
      return `${place.space} ${place.stream} ${place.number}`;
  }
}

function placeIn(text: string): Place {
  const [space, key = "", id = ""] = text.split(" ");
  const bytes = Buffer.from(key, "hex");
  switch (space) {
    case "entries":
    case "lists":
    case "streams":
      return { space, key: bytes };
    case "events":
      return { space, stream: key, number: id };
    case "records":
      return { space, id: Buffer.from(id, "hex"), key: bytes };
    default:
      throw new TypeError("not a place of an earlier step");
  }
}
