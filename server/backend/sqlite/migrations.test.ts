import { DatabaseSync } from "node:sqlite";
import { describe, expect, test } from "vitest";
import { createFindHeld } from "./held-entry.ts";
import { identify, MIGRATIONS, migrate } from "./migrations.ts";
import { prepare } from "./query.ts";
import { createApplyGroup } from "./write-batch.ts";

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

test("entries of a version before versions are kept, and get one", () => {
  const db = new DatabaseSync(":memory:");
  migrate(db, MIGRATIONS.slice(0, 2));
  db.exec(`INSERT INTO large_value VALUES (7, zeroblob(5000)), (8, zeroblob(6000));
    INSERT INTO entry VALUES ('a', X'01', 5, X'', NULL), ('a', X'02', NULL, NULL, 7), ('b', X'03', 9, NULL, 8);
    INSERT INTO list VALUES (1, 'a', X'01', 0, 1);
    INSERT INTO list_item VALUES (1, 0, X'02')`);
  migrate(db, MIGRATIONS);
  const held = createFindHeld(db);
  const find = (namespace: string, key: string) => {
    const row = held(namespace, key, 0);
    return row && [row.value.length, row.version, row.expiresAtMs];
  };
  expect(find("a", "\x01")).toEqual([0, 1, 5]);
  expect(find("a", "\x02")).toEqual([5000, 1, undefined]);
  expect(find("b", "\x03")).toEqual([6000, 1, 9]);
  expect(prepare(db, "SELECT value FROM list_item").get()).toEqual([Uint8Array.of(2)]);
  const apply = createApplyGroup(db);
  const value = new Uint8Array(1);
  apply([{ type: "set", namespace: "a", items: [{ key: "\x02", value, ttlMs: 0 }] }], 0);
  expect(held("a", "\x02", 0)?.version).toBeGreaterThan(1);
  apply([{ type: "delete", namespace: "b", items: ["\x03"] }], 0);
  expect(prepare(db, "SELECT count(*) FROM large_value").get()).toEqual([0]);
});
