import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll } from "vitest";
import { sqliteSchema } from "../../server/backend/sqlite/config.ts";
import { temporaryFolder } from "../helpers/process.ts";
import { describeBehindGrpc } from "./conformance-store.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let files = 0;

beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(async () => {
  await folder[Symbol.asyncDispose]();
});

describeBehindGrpc("sqlite", () => {
  const path = join(folder.path, `${++files}.db`);
  return {
    config: sqliteSchema.parse({ type: "sqlite", path }),
    async clear() {
      using db = new DatabaseSync(path);
      db.exec(
        "DELETE FROM entry; DELETE FROM list; DELETE FROM list_item; DELETE FROM record_item; DELETE FROM event_chunk; DELETE FROM stream",
      );
    },
  };
});
