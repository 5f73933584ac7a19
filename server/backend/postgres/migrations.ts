import type { ClientBase } from "pg";
import { StartError } from "../../errors.ts";
import { loadMigrations, type Migration } from "../migration-files.ts";
import { missingGrants, missingGrantsForSteps } from "./rights.ts";

/** "Prsm": the key of the lock under which tables of Prism are made and changed. */
const LOCK = 0x5072736d;

/** How long to wait for others that hold the lock. The open is tried again after that. */
const LOCK_WAIT_MS = 10_000;

/** The migrations that this version knows, in order. */
export const MIGRATIONS: readonly Migration[] = loadMigrations(new URL("./migrations/", import.meta.url));

/**
 * Migrates `schema`, wholly or not at all. Several gateways may do so at once. Throws StartError if
 * a newer Prism made the tables, and the driver's own errors.
 */
export async function migrate(
  client: ClientBase,
  schema: string,
  migrations: readonly Migration[],
): Promise<void> {
  await client.query("BEGIN");
  try {
    await client.query(`SET LOCAL lock_timeout TO ${LOCK_WAIT_MS}`);
    await client.query("SELECT pg_advisory_xact_lock($1)", [LOCK]);
    const grants = await missingGrants(client, schema);
    if (grants.length > 0) {
      throw mayNot(grants);
    }
    // Looks first: without the right to make schemas even CREATE SCHEMA IF NOT EXISTS fails.
    const { rowCount } = await client.query("SELECT 1 FROM pg_namespace WHERE nspname = $1", [schema]);
    if (rowCount === 0) {
      await client.query(`CREATE SCHEMA "${schema}"`);
    }
    await client.query(`SET LOCAL search_path TO "${schema}"`);
    const applied = await appliedVersion(client, schema);
    if (applied > migrations.length) {
      throw newer(schema, applied, migrations.length);
    }
    if (applied > 0 && applied < migrations.length) {
      const more = await missingGrantsForSteps(client, schema);
      if (more.length > 0) {
        throw mayNot(more);
      }
    }
    for (const { version, sql } of migrations) {
      if (version > applied) {
        await client.query(sql);
        await client.query("INSERT INTO migration (version) VALUES ($1)", [version]);
      }
    }
    await client.query("COMMIT");
  } catch (error) {
    // When the connection is gone, so is the transaction.
    await client.query("ROLLBACK").catch(() => {});
    throw error;
  }
}

async function appliedVersion(client: ClientBase, schema: string): Promise<number> {
  const found = await client.query("SELECT to_regclass($1) AS name", [`"${schema}".migration`]);
  if (found.rows[0]?.name === null) {
    await client.query(
      "CREATE TABLE migration (version INTEGER PRIMARY KEY, applied_at TIMESTAMPTZ NOT NULL DEFAULT now())",
    );
    return 0;
  }
  const { rows } = await client.query("SELECT coalesce(max(version), 0) AS version FROM migration");
  return Number(rows[0]?.version);
}

function mayNot(grants: readonly string[]): StartError {
  return new StartError(`the user lacks rights; let an administrator run: ${grants.join("; ")};`);
}

function newer(schema: string, applied: number, known: number): StartError {
  return new StartError(
    `the schema "${schema}" was made by a newer Prism (version ${applied}, this one knows ${known}): run that version or a later one`,
  );
}
