import { createHash } from "node:crypto";
import { PACK_ENTRIES } from "./packed-page.ts";
import { type StateRow, stateText } from "./rights.ts";
import type { Statement } from "./session.ts";

/** A row of `entry`: key and value. */
export type EntryRow = readonly [key: Buffer, value: Buffer];

/** Every statement of a store, on the tables of one PostgreSQL schema. `$1` is always the namespace. */
export type Statements = ReturnType<typeof createStatements>;

/** The server's clock, as it was when the statement began: with several gateways no other will do. */
export const SERVER_TIME = "statement_timestamp()";

/** Writes the statements for `schema`, which has to be a name that needs no escaping. `now` is SQL that tells the time. */
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
    /** Keys in ascending order and each once: two calls that write the same keys would else wait for each other. */
    set: write<readonly []>(
      "set",
      "entry",
      `INSERT INTO ${entry} (namespace, key, value, expires_at)
       SELECT $1, k, v, CASE WHEN ttl_ms > 0 THEN ${now} + ttl_ms * INTERVAL '1 millisecond' END
       FROM unnest($2::bytea[], $3::bytea[], $4::bigint[]) AS given (k, v, ttl_ms)
       ON CONFLICT (namespace, key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at`,
    ),
    /** Locks in ascending order of the keys first. Answers those that held a value. */
    delete: write<readonly [key: Buffer, wasLive: boolean]>(
      "delete",
      "entry",
      `WITH locked AS MATERIALIZED (
         SELECT key FROM ${entry} WHERE namespace = $1 AND key = ANY ($2::bytea[]) ORDER BY key FOR UPDATE
       )
       DELETE FROM ${entry} AS e USING locked WHERE e.namespace = $1 AND e.key = locked.key
       RETURNING e.key, ${live}`,
    ),
    /**
     * A page, as `packed-page.ts` reads it: keys from `$2` on and below `$3`, `$4` of them at most, up to the one that takes keys and
     * values to `$5` bytes; `$6`: without values. Large values are stored apart, and not read for their length.
     */
    page: {
      ...read<readonly [pack: Buffer, seen: number]>(
        "page",
        "entry",
        `SELECT
         string_agg(
           int4send(octet_length(key)) || key
             || CASE WHEN $6::boolean THEN '' ELSE int4send(octet_length(value)) || value END,
           '' ORDER BY key),
         max(seen)
       FROM (
         SELECT key, value, count(*) OVER () AS seen, row_number() OVER by_key - 1 AS number,
           coalesce(sum(octet_length(key) + CASE WHEN $6::boolean THEN 0 ELSE octet_length(value) END)
             OVER (by_key ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS bytes_before
         FROM (
           SELECT key, value FROM ${entry}
           WHERE namespace = $1 AND key >= $2::bytea AND key < $3::bytea AND ${live}
           ORDER BY key LIMIT $4::integer + 1
         ) AS candidate
         WINDOW by_key AS (ORDER BY key)
       ) AS sized
       WHERE bytes_before < $5::bigint AND number < $4::integer
       GROUP BY number / ${PACK_ENTRIES} ORDER BY number / ${PACK_ENTRIES}`,
      ),
      endsWithCall: true,
    },
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
    /** Deletes up to `$1` expired entries, passing over those that somebody else is at. */
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
    /** What the store is fit for. */
    check: read<StateRow>("check", undefined, stateText(schema)),
  };
}

/**
 * A pooler may give a statement that another client prepared to whoever asks for its name: no other text may ever have it, whichever
 * schema, database or version of Prism it comes from.
 */
function nameOf(name: string, text: string): string {
  return `prism_${name}_${createHash("sha256").update(text).digest("hex").slice(0, 32)}`;
}
