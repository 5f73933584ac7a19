import { resolve } from "node:path";
import { z } from "zod";
import { postgresSchema } from "../backend/postgres/config.ts";
import type { BackendConfig } from "../backend/rooms.ts";
import { sqliteSchema } from "../backend/sqlite/config.ts";
import { locateTlsFiles } from "../tls-files.ts";

const sqliteControlSchema = sqliteSchema.pick({ type: true, path: true });

const postgresControlSchema = postgresSchema.pick({ type: true, url: true, tls: true }).extend({
  schema: postgresSchema.shape.schema
    .removeDefault()
    .default("prism_control")
    .describe("The PostgreSQL schema with the catalog's own tables; it must not be that of a store."),
});

/** Where namespaces that are made at run time are kept. */
export const controlSchema = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("memory") }),
  z.strictObject({ type: z.literal("file") }),
  sqliteControlSchema,
  postgresControlSchema,
]);

/** The checked options of a catalog. */
export type ControlConfig = z.output<typeof controlSchema>;

/** A catalog in a SQLite file. */
export type SqliteControl = z.output<typeof sqliteControlSchema>;

/** A catalog in a PostgreSQL schema. */
export type PostgresControl = z.output<typeof postgresControlSchema>;

/** Makes the file names absolute. Relative ones start at `folder`, which is absolute. */
export function locateControl(control: ControlConfig, folder: string): ControlConfig {
  switch (control.type) {
    case "memory":
    case "file":
      return control;
    case "sqlite":
      return { ...control, path: resolve(folder, control.path) };
    case "postgres":
      return { ...control, ...(control.tls && { tls: locateTlsFiles(control.tls, folder) }) };
  }
}

/**
 * The catalog where nobody chose one: beside the data of the default store. `undefined` = that is
 * not in use.
 */
export function defaultControl(database: BackendConfig | undefined): ControlConfig {
  switch (database?.type) {
    case "sqlite":
      return { type: "sqlite", path: database.path.replace(/(\.db|\.sqlite3?)?$/, "-control.db") };
    case "postgres": {
      const { type, url, schema, tls } = database;
      // PostgreSQL's names have at most 63 bytes.
      return { type, url, schema: `${schema.slice(0, 55)}_control`, ...(tls && { tls }) };
    }
    default:
      return { type: "memory" };
  }
}
