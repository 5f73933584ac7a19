import { createHash } from "node:crypto";
import type { ListPutAnswer } from "../lists.ts";
import { createEraseStatements } from "./erase.ts";
import { PACK_ENTRIES } from "./packed-page.ts";
import { createRecordStatements } from "./records.ts";
import { type StateRow, stateText } from "./rights.ts";
import type { Statement } from "./session.ts";
import { createStreamStatements } from "./streams.ts";

/** A row of `entry`: key and value. */
export type EntryRow = readonly [key: Buffer, value: Buffer];

/**
 * What became of a commit; see entry_commit. Version, milliseconds to live and value are the held
 * entry's if a check failed.
 */
export type CommitRow = readonly [
  outcome: string,
  details: string,
  version: number | null,
  ttlMs: number | null,
  value: Buffer | null,
];

/** An entry that was read. The places count from 1. */
export type ReadRow = readonly [place: number, version: number, ttlMs: number, value: Buffer | null];

/**
 * A page of a list: the list's length (NULL = there is none), the places of the page's first and
 * last value (NULL = it has none), and the values.
 */
export type SliceRow = readonly [
  length: number | null,
  first: number | null,
  last: number | null,
  pack: Buffer | null,
];

/**
 * All statements of a store, on the tables of one PostgreSQL schema. `$1` is always the namespace.
 */
export type Statements = ReturnType<typeof createStatements>;

/** The server's clock at the start of the statement. Several gateways need the same clock. */
export const SERVER_TIME = "statement_timestamp()";

/**
 * Writes the statements for `schema`, a name that needs no escaping. `now` is an SQL expression for
 * the time.
 */
export function createStatements(schema: string, now: string) {
  const live = `(expires_at IS NULL OR expires_at > ${now})`;
  const entry = `"${schema}".entry`;
  const list = `"${schema}".list`;
  const read = <Row extends readonly unknown[]>(
    name: string,
    table: Statement<Row>["table"],
    text: string,
  ): Statement<Row> => ({ name: nameOf(name, text), text, kind: "read", ...(table && { table }) });
  const write = <Row extends readonly unknown[]>(
    name: string,
    table: Statement<Row>["table"],
    text: string,
  ): Statement<Row> => ({ ...read(name, table, text), kind: "write" });
  const page = (name: string, order: "ASC" | "DESC") => ({
    ...read<readonly [pack: Buffer, seen: number]>(
      name,
      "entry",
      `SELECT
         string_agg(
           int4send(octet_length(key)) || key
             || CASE WHEN $6::boolean THEN '' ELSE int4send(octet_length(value)) || value END,
           '' ORDER BY key ${order}),
         max(seen)
       FROM (
         SELECT key, value, count(*) OVER () AS seen, row_number() OVER by_key - 1 AS number,
           coalesce(sum(octet_length(key) + CASE WHEN $6::boolean THEN 0 ELSE octet_length(value) END)
             OVER (by_key ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS bytes_before
         FROM (
           SELECT key, value FROM ${entry}
           WHERE namespace = $1 AND key >= $2::bytea AND key < $3::bytea AND ${live}
           ORDER BY key ${order} LIMIT $4::integer + 1
         ) AS candidate
         WINDOW by_key AS (ORDER BY key ${order})
       ) AS sized
       WHERE bytes_before < $5::bigint AND number < $4::integer
       GROUP BY number / ${PACK_ENTRIES} ORDER BY number / ${PACK_ENTRIES}`,
    ),
    endsWithCall: true as const,
  });
  return {
    get: read<EntryRow>(
      "get",
      "entry",
      `SELECT key, value FROM ${entry} WHERE namespace = $1 AND key = ANY ($2::bytea[]) AND ${live}`,
    ),
    exists: read<readonly [key: Buffer]>(
      "exists",
      "entry",
      `SELECT key FROM ${entry} WHERE namespace = $1 AND key = ANY ($2::bytea[]) AND ${live}`,
    ),
    /**
     * Keys must be in ascending order and unique: otherwise two calls that write the same keys
     * could wait for each other. An entry takes its version before its row is locked, so another
     * call may have written a larger one meanwhile. Then it takes a new one.
     */
    set: write<readonly []>(
      "set",
      "entry",
      `INSERT INTO ${entry} AS e (namespace, key, value, expires_at)
       SELECT $1, k, v, CASE WHEN ttl_ms > 0 THEN ${now} + ttl_ms * INTERVAL '1 millisecond' END
       FROM unnest($2::bytea[], $3::bytea[], $4::bigint[]) AS given (k, v, ttl_ms)
       ON CONFLICT (namespace, key) DO UPDATE
         SET value = excluded.value, expires_at = excluded.expires_at, version =
           CASE WHEN excluded.version > e.version THEN excluded.version ELSE nextval('"${schema}".entry_version') END`,
    ),
    /** First locks the rows in ascending key order. Answers the keys that held a value. */
    delete: write<readonly [key: Buffer, wasLive: boolean]>(
      "delete",
      "entry",
      `WITH locked AS MATERIALIZED (
         SELECT key FROM ${entry} WHERE namespace = $1 AND key = ANY ($2::bytea[]) ORDER BY key FOR UPDATE
       )
       DELETE FROM ${entry} AS e USING locked WHERE e.namespace = $1 AND e.key = locked.key
       RETURNING e.key, ${live}`,
    ),
    /** See the function. `$2` to `$11`: what it takes, without the time. */
    commit: write<CommitRow>(
      "commit",
      "entry",
      `SELECT * FROM "${schema}".entry_commit($1, ${now}, $2::bytea[], $3::integer[], $4::boolean[],
         $5::integer[], $6::integer[], $7::text[], $8::bytea[], $9::bigint[], $10::bigint[], $11::bigint[])`,
    ),
    /**
     * Reads at one moment: for each place the number of its read, the key, and the most bytes that
     * the values of that read may have together (-1 = no values are wanted). Answers the places
     * that hold an entry. A value is NULL if none is wanted or there are too many bytes. PostgreSQL
     * does not read large values for their length. LIMIT makes it look up each key in the index.
     */
    read: read<ReadRow>(
      "read",
      "entry",
      `SELECT place, version, coalesce(ceil(extract(epoch FROM expires_at - ${now}) * 1000), 0)::bigint,
         CASE WHEN bytes <= most THEN value END
       FROM (
         SELECT place, most, version, expires_at, value, sum(octet_length(value)) OVER (PARTITION BY item) AS bytes
         FROM unnest($2::integer[], $3::bytea[], $4::bigint[]) WITH ORDINALITY AS given (item, k, most, place)
           CROSS JOIN LATERAL (
             SELECT version, expires_at, value FROM ${entry} WHERE namespace = $1 AND key = k AND ${live} LIMIT 1
           ) AS found
       ) AS held`,
    ),
    /**
     * A page for `packed-page.ts`: keys from `$2` (included) to `$3` (excluded), at most `$4`, up
     * to the key that brings keys and values to `$5` bytes. `$6`: without values. PostgreSQL stores
     * large values apart and does not read them for their length.
     */
    page: page("page", "ASC"),
    /** The same in descending order of the keys. */
    pageBackwards: page("page_backwards", "DESC"),
    count: {
      ...read<readonly [count: number]>(
        "count",
        "entry",
        `SELECT count(*) FROM ${entry}
         WHERE namespace = $1 AND key >= $2::bytea AND key < $3::bytea AND ${live}`,
      ),
      isLong: true,
      endsWithCall: true,
    },
    push: write<readonly [length: number]>(
      "push",
      "list",
      `SELECT * FROM "${schema}".list_push($1, $2::bytea[], $3::boolean[], $4::bytea[])`,
    ),
    pop: write<readonly [value: Buffer | null, damaged: boolean]>(
      "pop",
      "list",
      `SELECT * FROM "${schema}".list_pop($1, $2::bytea[], $3::boolean[], $4::boolean)`,
    ),
    length: read<readonly [key: Buffer, length: number]>(
      "length",
      "list",
      `SELECT key, tail - head FROM ${list} WHERE namespace = $1 AND key = ANY ($2::bytea[])`,
    ),
    /**
     * For each key (`$2`) a page of the range from `$3` to `$4`, of at most `$5` values, up to the
     * one that brings them to `$6` bytes.
     */
    slice: read<SliceRow>(
      "slice",
      "list",
      `SELECT l.tail - l.head, page.first - l.head, page.last - l.head, page.pack
       FROM unnest($2::bytea[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
         WITH ORDINALITY AS given (k, start, stop, most, most_bytes, n)
       LEFT JOIN ${list} AS l ON l.namespace = $1 AND l.key = k
       LEFT JOIN LATERAL (
         SELECT min(position) AS first, max(position) AS last,
           string_agg(int4send(octet_length(value)) || value, '' ORDER BY position) AS pack
         FROM (
           SELECT position, value, coalesce(sum(octet_length(value))
             OVER (ORDER BY position ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS bytes_before
           FROM (
             SELECT position, value FROM "${schema}".list_item WHERE list_id = l.id
               AND position >= l.head + greatest(0, CASE WHEN start < 0 THEN l.tail - l.head ELSE 0 END + start)
               AND position <= least(l.tail - 1, CASE WHEN stop < 0 THEN l.tail ELSE l.head END + stop)
             ORDER BY position LIMIT most
           ) AS candidate
         ) AS sized
         WHERE bytes_before < most_bytes
       ) AS page ON TRUE
       ORDER BY n`,
    ),
    trim: write<readonly [length: number]>(
      "trim",
      "list",
      `SELECT * FROM "${schema}".list_trim($1, $2::bytea[], $3::bigint[], $4::bigint[])`,
    ),
    put: write<readonly [answer: ListPutAnswer]>(
      "put",
      "list",
      `SELECT * FROM "${schema}".list_put($1, $2::bytea[], $3::bigint[], $4::bytea[])`,
    ),
    insert: write<readonly [inserted: boolean, length: number]>(
      "insert",
      "list",
      `SELECT * FROM "${schema}".list_insert($1, $2::bytea[], $3::boolean[], $4::bytea[], $5::bytea[])`,
    ),
    remove: write<readonly [removed: number]>(
      "remove",
      "list",
      `SELECT * FROM "${schema}".list_remove($1, $2::bytea[], $3::bytea[], $4::bigint[])`,
    ),
    move: write<readonly [value: Buffer | null]>(
      "move",
      "list",
      `SELECT * FROM "${schema}".list_move($1, $2::bytea[], $3::boolean[], $4::bytea[], $5::boolean[])`,
    ),
    /** Keys of lists from `$2` (included) to `$3` (excluded), the first `$4`. */
    listNames: {
      ...read<readonly [key: Buffer]>(
        "list_names",
        "list",
        `SELECT key FROM ${list} WHERE namespace = $1 AND key >= $2::bytea AND key < $3::bytea
         ORDER BY key LIMIT $4::integer`,
      ),
      endsWithCall: true as const,
    },
    /** Deletes up to `$1` expired entries, skipping those that others have locked. */
    sweep: {
      ...write<readonly [key: Buffer]>(
        "sweep",
        "entry",
        `WITH expired AS MATERIALIZED (
         SELECT namespace, key FROM ${entry} WHERE expires_at <= ${now}
         ORDER BY expires_at LIMIT $1::integer FOR UPDATE SKIP LOCKED
       )
       DELETE FROM ${entry} AS e USING expired WHERE e.namespace = expired.namespace AND e.key = expired.key
       RETURNING e.key`,
      ),
      endsWithCall: true,
    },
    ...createEraseStatements(schema, read, write),
    ...createRecordStatements(
      schema,
      now,
      (name, text) => read(name, "record", text),
      (name, text) => write(name, "record", text),
    ),
    ...createStreamStatements(
      schema,
      now,
      (name, text) => read(name, "stream", text),
      (name, text) => write(name, "stream", text),
    ),
    /** Tells what the store can do now. */
    check: read<StateRow>("check", undefined, stateText(schema)),
  };
}

/**
 * A pooler may run a statement that another client prepared under the same name. So a name never
 * stands for two texts, whichever schema, database or version of Prism they come from.
 */
export function nameOf(name: string, text: string): string {
  return `prism_${name}_${createHash("sha256").update(text).digest("hex").slice(0, 32)}`;
}
