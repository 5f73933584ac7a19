import { z } from "zod";

/** Room for the schema and a little data. SQLite's own files (`-wal`, `-shm`) are beside the database and not within the bound. */
const MIN_DATABASE_BYTES = 128 * 1024;

/** `type: sqlite`: one file on a local disk. */
export const sqliteSchema = z.strictObject({
  type: z.literal("sqlite"),
  /** The database file, relative to the working directory. It and its directory are created when missing. */
  path: z
    .string()
    .min(1)
    .refine((path) => path !== ":memory:", {
      error: 'SQLite needs a file; for a store in memory use "type: memory"',
    }),
  /** Most bytes of the database file; a write that needs more fails. Absent = as much as the disk holds. */
  max_bytes: z.int().min(MIN_DATABASE_BYTES).optional(),
});

/** The checked options of a SQLite store. */
export type SqliteConfig = z.infer<typeof sqliteSchema>;
