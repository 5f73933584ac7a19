import { DatabaseSync } from "node:sqlite";
import { describe, expect, test } from "vitest";
import { identify, MIGRATIONS, migrate } from "./migrations.ts";
import { prepare } from "./query.ts";

const FIRST = { version: 1, sql: "CREATE TABLE one (id INTEGER)" };
const SECOND = { version: 2, sql: "CREATE TABLE two (id INTEGER)" };

function state(db: DatabaseSync): unknown[] {
  const tables = prepare<[string]>(db, "SELECT name FROM sqlite_schema ORDER BY name").iterate();
  return [prepare<[number]>(db, "PRAGMA user_version").get()?.[0], ...[...tables].map(([name]) => name)];
}

describe("migrate", () => {
  test("applies what is missing, once", () => {
    const db = new DatabaseSync(":memory:");
    migrate(db, [FIRST]);
    expect(state(db)).toEqual([1, "one"]);
    migrate(db, [FIRST, SECOND]);
    migrate(db, [FIRST, SECOND]);
    expect(state(db)).toEqual([2, "one", "two"]);
    identify(db, [FIRST, SECOND], "the file");
  });

  test("a step that fails leaves nothing of itself, and those before it stay", () => {
    const db = new DatabaseSync(":memory:");
    const broken = { version: 2, sql: "CREATE TABLE two (id INTEGER); CREATE TABLE one (id INTEGER)" };
    expect(() => migrate(db, [FIRST, broken])).toThrow("already exists");
    expect(state(db)).toEqual([1, "one"]);
  });
});

test("entries of an older version are kept, large ones apart", () => {
  const db = new DatabaseSync(":memory:");
  migrate(db, MIGRATIONS.slice(0, 1));
  db.exec(`INSERT INTO entry VALUES ('b', X'01', zeroblob(4096), NULL), ('a', X'02', X'', 5), ('a', X'0100', zeroblob(4097), 6),
    ('a', X'03', zeroblob(5000), NULL)`);
  migrate(db, MIGRATIONS);
  const rows = prepare(
    db,
    `SELECT namespace, hex(key), expires_at_ms, length(entry.value), length(large_value.value)
     FROM entry LEFT JOIN large_value ON id = large_value_id`,
  ).iterate();
  expect([...rows]).toEqual([
    ["a", "0100", 6, null, 4097],
    ["a", "02", 5, 0, null],
    ["a", "03", null, null, 5000],
    ["b", "01", null, 4096, null],
  ]);
  const expired = "SELECT count(*) FROM entry INDEXED BY entry_by_expiry WHERE expires_at_ms < 6";
  expect(prepare(db, expired).get()).toEqual([1]);
});
