import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { temporaryFolder } from "../../../tests/helpers/process.ts";
import { openReader, openWriter } from "./database.ts";
import { MIGRATIONS } from "./migrations.ts";
import { type ApplyGroup, createApplyGroup } from "./write-batch.ts";

/** A new database with both kinds of connection. Disposing closes and removes it. */
export interface TestDatabase extends AsyncDisposable {
  readonly writer: DatabaseSync;
  readonly reader: DatabaseSync;
  /** Writes in the way of the store. */
  readonly apply: ApplyGroup;
}

/** Makes a {@link TestDatabase}. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const folder = await temporaryFolder();
  const path = join(folder.path, "prism.db");
  const writer = openWriter({ path, maxBytes: undefined }, MIGRATIONS);
  const reader = openReader(path);
  return {
    writer,
    reader,
    apply: createApplyGroup(writer),
    async [Symbol.asyncDispose]() {
      reader.close();
      writer.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}
