import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { loadMigrations } from "./migration-files.ts";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "prism-migrations-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function load(...files: string[]): { version: number; sql: string }[] {
  for (const file of files) {
    writeFileSync(join(folder, file), `-- ${file}`);
  }
  return loadMigrations(pathToFileURL(`${folder}/`));
}

test("files are read in the order of their numbers, whatever order the folder lists them in", () => {
  expect(load("002_b.sql", "003_a.sql", "001_c.sql")).toEqual([
    { version: 1, sql: "-- 001_c.sql" },
    { version: 2, sql: "-- 002_b.sql" },
    { version: 3, sql: "-- 003_a.sql" },
  ]);
});

test("other files are none", () => {
  expect(load("001_a.sql", "README.md", "2_b.sql", "002_b.sql.orig")).toHaveLength(1);
});

test.each([
  [["002_b.sql"], "migration 1 is missing: found 002_b.sql"],
  [["001_a.sql", "003_c.sql"], "migration 2 is missing: found 003_c.sql"],
  [["001_a.sql", "001_b.sql"], "migration 2 is missing: found 001_b.sql"],
])("a gap or a number that stands twice is refused: %j", (files, message) => {
  expect(() => load(...files)).toThrow(message);
});
