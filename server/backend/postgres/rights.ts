import type { ClientBase } from "pg";

/** The tables that a gateway needs. */
const TABLES = ["entry", "list", "list_item", "record_item", "stream", "event"];
const SEQUENCES = ["entry_version"];
const FUNCTIONS = [
  "entry_commit",
  ...["list_push", "list_pop", "list_lock", "list_shift"],
  ...["list_trim", "list_put", "list_insert", "list_remove", "list_move"],
  ...["record_swap", "record_delete"],
  ...["event_append", "stream_lock", "stream_create", "stream_sweep", "stream_erase"],
];
const WRITES = ["INSERT", "UPDATE", "DELETE"];
const ALL_RIGHTS = ["SELECT", ...WRITES];

const texts = (names: readonly string[]) => names.map((name) => `'${name}'`).join(", ");
const mayRead = "has_table_privilege(c.oid, 'SELECT')";
const mayWrite = WRITES.map((right) => `has_table_privilege(c.oid, '${right}')`).join(" AND ");
const mayCount = "has_sequence_privilege(c.oid, 'USAGE')";
const ofSequence = (then: string, otherwise: string) =>
  `CASE WHEN c.relkind = 'S' THEN ${then} ELSE ${otherwise} END`;

/**
 * SQL that waits for no lock and tells: whether this is a standby, or takes no writes; whether
 * everything that a gateway needs is in `schema`; whether its user may read it; whether its user
 * may write it.
 */
export function stateText(schema: string): string {
  return `
    SELECT current_setting('transaction_read_only')::boolean,
      count(*) = ${TABLES.length + SEQUENCES.length} AND (
        SELECT count(DISTINCT p.proname) = ${FUNCTIONS.length} FROM pg_proc AS p JOIN pg_namespace AS n ON p.pronamespace = n.oid
        WHERE n.nspname = '${schema}' AND p.proname IN (${texts(FUNCTIONS)})),
      bool_and(has_schema_privilege(n.oid, 'USAGE') AND ${ofSequence("true", mayRead)}),
      bool_and(${ofSequence(mayCount, mayWrite)})
    FROM pg_namespace AS n JOIN pg_class AS c ON c.relnamespace = n.oid
    WHERE n.nspname = '${schema}' AND c.relname IN (${texts([...TABLES, ...SEQUENCES])})`;
}

/** A row of {@link stateText}. */
export type StateRow = readonly [isReadOnly: boolean, isThere: boolean, mayRead: boolean, mayWrite: boolean];

/** The rights on each table. The last two are of a catalog of namespaces (server/catalog/). */
const RIGHTS: readonly (readonly [table: string, rights: readonly string[]])[] = [
  ...TABLES.map((table) => [table, ALL_RIGHTS] as const),
  ["migration", ["SELECT"]],
  ["namespace", ALL_RIGHTS],
  ["catalog", ["SELECT", "UPDATE"]],
];

const NEEDED = RIGHTS.flatMap(([table, rights]) => rights.map((right) => [table, right]))
  .map((row) => `(${texts(row)})`)
  .join(", ");

/** `$1`: the schema. One row for each missing GRANT. */
const MISSING = `
  WITH here AS (SELECT oid FROM pg_namespace WHERE nspname = $1)
  SELECT format('GRANT CREATE ON DATABASE %I TO %I', current_database(), current_user) AS sql
    WHERE NOT EXISTS (SELECT FROM here) AND NOT has_database_privilege(current_database(), 'CREATE')
  UNION ALL
  SELECT format('GRANT USAGE ON SCHEMA %I TO %I', $1, current_user)
    FROM here WHERE NOT has_schema_privilege(oid, 'USAGE')
  UNION ALL
  SELECT format('GRANT CREATE ON SCHEMA %I TO %I', $1, current_user)
    FROM here WHERE NOT has_schema_privilege(oid, 'CREATE')
      AND NOT EXISTS (SELECT FROM pg_class WHERE relnamespace = here.oid AND relname = 'migration')
  UNION ALL
  SELECT format('GRANT %s ON %I.%I TO %I', string_agg(needed.privilege, ', '), $1, c.relname, current_user)
    FROM here JOIN pg_class AS c ON c.relnamespace = here.oid
      JOIN (VALUES ${NEEDED}) AS needed (name, privilege) ON needed.name = c.relname
    WHERE NOT has_table_privilege(c.oid, needed.privilege) GROUP BY c.relname
  UNION ALL
  SELECT format('GRANT USAGE ON SEQUENCE %I.%I TO %I', $1, c.relname, current_user)
    FROM here JOIN pg_class AS c ON c.relnamespace = here.oid
    WHERE c.relname IN (${texts(SEQUENCES)}) AND NOT ${ofSequence(mayCount, "true")}
  UNION ALL
  SELECT format('GRANT EXECUTE ON FUNCTION %s TO %I', p.oid::regprocedure, current_user)
    FROM here JOIN pg_proc AS p ON p.pronamespace = here.oid
    WHERE p.proname IN (${texts(FUNCTIONS)}) AND NOT has_function_privilege(p.oid, 'EXECUTE')`;

/**
 * `$1`: the schema, which has tables. A row for each right that is missing to change them. Only its
 * owner may change a table; the former owner keeps its rights to the rows.
 */
const MISSING_FOR_STEPS = `
  SELECT format('GRANT CREATE ON SCHEMA %I TO %I', $1::text, current_user) AS sql
    WHERE NOT has_schema_privilege($1::text, 'CREATE')
  UNION ALL
  SELECT format('GRANT INSERT ON %I.migration TO %I', $1::text, current_user)
    WHERE NOT has_table_privilege(format('%I.migration', $1::text), 'INSERT')
  UNION ALL
  SELECT format('ALTER TABLE %1$I.%2$I OWNER TO %3$I; GRANT %5$s ON %1$I.%2$I TO %4$I',
      $1::text, relname, current_user, pg_get_userbyid(relowner), '${ALL_RIGHTS.join(", ")}')
    FROM pg_class WHERE oid IN (to_regclass(format('%I.entry', $1::text)), to_regclass(format('%I.list', $1::text))) AND NOT pg_has_role(relowner, 'USAGE')`;

/**
 * What an administrator has to run before the connection's user can bring the tables of `schema` up
 * to this version; empty = nothing.
 */
export async function missingGrantsForSteps(client: ClientBase, schema: string): Promise<string[]> {
  const { rows } = await client.query<{ sql: string }>(MISSING_FOR_STEPS, [schema]);
  return rows.map(({ sql }) => sql);
}

/**
 * The missing GRANTs that the connection's user needs to make `schema`, or to use it if it exists.
 * Empty = none.
 */
export async function missingGrants(client: ClientBase, schema: string): Promise<string[]> {
  const { rows } = await client.query<{ sql: string }>(MISSING, [schema]);
  return rows.map(({ sql }) => sql);
}
