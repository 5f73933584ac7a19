import type { DatabaseSync, SQLInputValue } from "node:sqlite";

/** A prepared statement whose rows are arrays, which node:sqlite makes faster than objects but types as objects. */
export interface Query<Row extends readonly unknown[]> {
  /** The first row. */
  get(...parameters: SQLInputValue[]): Row | undefined;
  /** The rows, one by one. Leaving the loop early resets the statement. */
  iterate(...parameters: SQLInputValue[]): Iterable<Row>;
}

/** Prepares `sql`; the caller states what its columns are. */
export function prepare<Row extends readonly unknown[]>(db: DatabaseSync, sql: string): Query<Row> {
  return db.prepare(sql, { returnArrays: true }) as unknown as Query<Row>;
}
