import { z } from "zod";

/**
 * Room for the schema and a little data. SQLite's other files (`-wal`, `-shm`) do not count toward
 * the bound.
 */
const MIN_DATABASE_BYTES = 128 * 1024;

/** `type: sqlite`: one file on a local disk. */
export const sqliteSchema = z.strictObject({
  type: z.literal("sqlite"),
  path: z
    .string()
    .min(1)
    .refine((path) => path !== ":memory:", {
      error: 'SQLite needs a file; for a store in memory use "type: memory"',
    })
    .describe("The database file. A missing file or folder is made."),
  max_bytes: z
    .int()
    .min(MIN_DATABASE_BYTES)
    .optional()
    .describe(
      "The most bytes of the database file; a write that needs more fails. Absent = no bound but the disk.",
    ),
});

/** The checked options of a SQLite store. */
export type SqliteConfig = z.infer<typeof sqliteSchema>;
