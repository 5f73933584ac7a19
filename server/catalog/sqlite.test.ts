import { rmSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { temporaryFolder } from "../../tests/helpers/process.ts";
import { createBackend } from "../backend/factory.ts";
import { StartError } from "../errors.ts";
import { createSqliteCatalog } from "./sqlite.ts";
import { describeCatalog, newNamespace } from "./suite.ts";

describeCatalog({
  name: "a SQLite file",
  durable: true,
  shared: false,
  async place() {
    const folder = await temporaryFolder();
    const path = join(folder.path, "control.db");
    return {
      create: () => createSqliteCatalog({ type: "sqlite", path }),
      [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
    };
  },
});

test("belongs to one gateway at a time", async () => {
  await using folder = await temporaryFolder();
  const config = { type: "sqlite", path: join(folder.path, "control.db") } as const;
  const [one, other] = [createSqliteCatalog(config), createSqliteCatalog(config)];
  await one.open();
  await expect(other.open()).rejects.toThrow("is in use by another Prism");
  await expect(other.load()).rejects.toMatchObject({ reason: "store_unavailable" });
  await one.close();
  await other.open();
  await other.close();
});

test("is no store, and a store is no catalog", async () => {
  await using folder = await temporaryFolder();
  const config = { type: "sqlite", path: join(folder.path, "one.db") } as const;
  const catalog = createSqliteCatalog(config);
  await catalog.open();
  await catalog.close();
  const store = await createBackend(config);
  await expect(store.open()).rejects.toThrow("for another purpose");
  const path = join(folder.path, "other.db");
  const other = await createBackend({ type: "sqlite", path });
  await other.open();
  await other.close();
  const refused = createSqliteCatalog({ type: "sqlite", path }).open();
  await expect(refused).rejects.toBeInstanceOf(StartError);
  await expect(refused).rejects.toThrow("for another purpose");
});

test("says so when its file is gone, and when a row is not Prism's", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "control.db");
  const catalog = createSqliteCatalog({ type: "sqlite", path });
  await catalog.open();
  await catalog.save(newNamespace("a"));
  const byHand = new DatabaseSync(path);
  byHand.exec("UPDATE namespace SET document = '{\"backend\": 1}'");
  byHand.close();
  await expect(catalog.load()).rejects.toMatchObject({ reason: "corrupt_data" });
  rmSync(path);
  await expect(catalog.save(newNamespace("b"))).rejects.toMatchObject({ reason: "store_unavailable" });
  await catalog.close();
});
