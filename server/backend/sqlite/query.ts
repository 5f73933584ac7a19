import type { DatabaseSync, SQLInputValue } from "node:sqlite";

/**
 * A prepared statement whose rows are arrays. node:sqlite makes these faster than objects, but
 * types them as objects.
 */
export interface Query<Row extends readonly unknown[]> {
  /** The first row. */
  get(...parameters: SQLInputValue[]): Row | undefined;
  /** All rows, one by one. Leaving the loop early resets the statement. */
  iterate(...parameters: SQLInputValue[]): Iterable<Row>;
}

/** Prepares `sql`; the caller states the columns' types. */
export function prepare<Row extends readonly unknown[]>(db: DatabaseSync, sql: string): Query<Row> {
  return db.prepare(sql, { returnArrays: true }) as unknown as Query<Row>;
}
