import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createSystemClock } from "../clock.ts";
import { createSqliteBackend } from "./backend.ts";
import { openReader, openWriter } from "./database.ts";
import { claimDatabase } from "./files.ts";
import { MIGRATIONS } from "./migrations.ts";
import { prepare } from "./query.ts";

let directory = "";
let path = "";

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "prism-database-"));
  path = join(directory, "prism.db");
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

function pragma(db: DatabaseSync, name: string): unknown {
  return prepare<[unknown]>(db, `PRAGMA ${name}`).get()?.[0];
}

function openAndClose(): void {
  const claim = claimDatabase(path);
  try {
    openWriter({ path, maxBytes: undefined }, MIGRATIONS).close();
  } finally {
    claim.release();
  }
}

describe("openWriter", () => {
  test("creates the file; each commit waits for the disk and the log is bounded", () => {
    const db = openWriter({ path, maxBytes: 1_000_000 }, MIGRATIONS);
    expect(pragma(db, "journal_mode")).toBe("wal");
    expect(pragma(db, "synchronous")).toBe(2);
    expect(pragma(db, "wal_autocheckpoint")).toBe(1000);
    expect(pragma(db, "journal_size_limit")).toBe(16 * 1024 * 1024);
    expect(pragma(db, "max_page_count")).toBe(244);
    expect(pragma(db, "user_version")).toBe(MIGRATIONS.length);
    db.close();
  });

  test("opens what it made, and takes an empty file for a new one", () => {
    writeFileSync(path, "");
    openAndClose();
    openAndClose();
  });

  test("a bound below what the file holds already is no reason not to open it", () => {
    const db = openWriter({ path, maxBytes: undefined }, MIGRATIONS);
    db.prepare("INSERT INTO large_value VALUES (1, zeroblob(1000000))").run();
    db.close();
    const bounded = openWriter({ path, maxBytes: 500_000 }, MIGRATIONS);
    expect(() => bounded.exec("INSERT INTO large_value VALUES (2, zeroblob(1000000))")).toThrow("full");
    bounded.close();
  });

  test("several processes may open a new file at once", async () => {
    const here = new URL("./", import.meta.url);
    // Many files, because the processes may miss the moment in which one is made.
    const paths = Array.from({ length: 25 }, (_, i) => join(directory, `${i}.db`));
    const script = `
      const { openWriter } = await import("${here}database.ts");
      const { MIGRATIONS } = await import("${here}migrations.ts");
      for (const path of ${JSON.stringify(paths)}) {
        const db = openWriter({ path, maxBytes: undefined }, MIGRATIONS);
        db.exec("INSERT INTO list (namespace, key, head, tail) VALUES ('a', randomblob(8), 0, 1)");
        db.close();
      }`;
    const run = () => promisify(execFile)(process.execPath, ["--input-type=module", "--eval", script]);
    await Promise.all(Array.from({ length: 4 }, run));
    for (const path of paths) {
      const db = openWriter({ path, maxBytes: undefined }, MIGRATIONS);
      expect(prepare<[number]>(db, "SELECT count(*) FROM list").get()).toEqual([4]);
      db.close();
    }
  });

  test("a reader cannot write", () => {
    openAndClose();
    const db = openReader(path);
    expect(() => db.exec("DELETE FROM entry")).toThrow("readonly");
    db.close();
  });
});

describe("a file that Prism must not use", () => {
  test("of a newer Prism", () => {
    openAndClose();
    const db = new DatabaseSync(path);
    db.exec(`PRAGMA user_version = ${MIGRATIONS.length + 1}`);
    db.close();
    expect(openAndClose).toThrow(
      expect.objectContaining({
        reason: "store_unavailable",
        message: `${path} was written by a newer Prism (schema ${MIGRATIONS.length + 1}, this one knows ${MIGRATIONS.length}): run that version or a later one`,
      }),
    );
  });

  test.each([
    ["with tables", "CREATE TABLE theirs (id INTEGER PRIMARY KEY)"],
    ["with an id of its own", "PRAGMA application_id = 7"],
    ["with a version of its own", "PRAGMA user_version = 1"],
  ])("of another program, %s; it stays as it was", (_, sql) => {
    const db = new DatabaseSync(path);
    db.exec(sql);
    db.close();
    const before = readFileSync(path);
    expect(openAndClose).toThrow(
      expect.objectContaining({
        reason: "store_unavailable",
        message: `${path} is a SQLite database of another program or for another purpose: choose another path, Prism does not change it`,
      }),
    );
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  test("that is no SQLite file", () => {
    writeFileSync(path, "To whom it may concern: this is a letter. ".repeat(100));
    expect(openAndClose).toThrow(
      expect.objectContaining({
        reason: "corrupt_data",
        message: `${path} is not a SQLite database: move it away or choose another path`,
      }),
    );
  });

  test("that was cut off", () => {
    openAndClose();
    writeFileSync(path, readFileSync(path).subarray(0, 4096 + 100));
    expect(openAndClose).toThrow(expect.objectContaining({ message: expect.stringContaining(path) }));
  });
});

describe("a path that cannot be used", () => {
  test("a directory", () => {
    mkdirSync(path);
    expect(openAndClose).toThrow(
      expect.objectContaining({
        reason: "store_unavailable",
        message: `${path} is a directory: the path has to name a file`,
      }),
    );
  });

  test("below a file", () => {
    const file = join(directory, "file");
    writeFileSync(file, "");
    path = join(file, "prism.db");
    expect(openAndClose).toThrow(
      expect.objectContaining({
        reason: "store_unavailable",
        message: `${file}, the directory of ${path}, cannot be created: check the path and the permissions along it`,
      }),
    );
  });

  test("where no file can be made", () => {
    path = "/proc/self/prism.db";
    expect(openAndClose).toThrow(
      expect.objectContaining({
        reason: "store_unavailable",
        message: `${path} cannot be opened: check that its directory is one that this process may write to`,
      }),
    );
  });

  test("the store reports it from its thread, and can be opened once it is put right", async () => {
    mkdirSync(path);
    const backend = createSqliteBackend({ type: "sqlite", path }, { clock: createSystemClock() });
    await expect(backend.open()).rejects.toMatchObject({
      name: "PrismError",
      reason: "store_unavailable",
      message: `${path} is a directory: the path has to name a file`,
    });
    rmSync(path, { recursive: true });
    await backend.open();
    await backend.check();
    await backend.close();
  });
});
