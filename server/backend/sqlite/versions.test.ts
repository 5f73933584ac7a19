import { DatabaseSync } from "node:sqlite";
import { beforeEach, describe, expect, test } from "vitest";
import { bytes } from "../conformance/harness.ts";
import { MIGRATIONS, migrate } from "./migrations.ts";
import type { OperationOf } from "./operation.ts";
import { prepare } from "./query.ts";
import { createVersions, VERSION_BLOCK } from "./versions.ts";
import { createApplyGroup } from "./write-batch.ts";

let db: DatabaseSync;

beforeEach(() => {
  db = new DatabaseSync(":memory:");
  migrate(db, MIGRATIONS);
});

function set(key: string, times = 1): OperationOf<"set"> {
  return { type: "set", namespace: "a", items: Array(times).fill({ key, value: bytes("1"), ttlMs: 0 }) };
}

/** The version of the entry that is there. */
function held(): number {
  return prepare<[number]>(db, "SELECT version FROM entry").get()?.[0] ?? Number.NaN;
}

/** Every version that was given to an entry is at most this. */
function noted(): number {
  return prepare<[number]>(db, "SELECT noted FROM entry_version").get()?.[0] ?? Number.NaN;
}

describe("versions", () => {
  test("grow with each write, over deletes and processes that end at any moment", () => {
    const seen = [0];
    for (let round = 0; round < 5; round++) {
      const apply = createApplyGroup(db);
      apply([set("k")], 0);
      seen.push(held());
      apply([{ type: "delete", namespace: "a", items: ["k"] }], 0);
      const value = bytes("2");
      const mutations = [{ key: "k", do: "replace" as const, value }];
      apply([{ type: "commit", namespace: "a", items: [{ checks: [], mutations, tells: false }] }], 0);
      seen.push(held());
    }
    expect(seen).toEqual([...new Set(seen)].sort((a, b) => a - b));
  });

  test("are noted a block at a time, before they are given", () => {
    const start = noted();
    const versions = createVersions(db);
    // Opening must not need room.
    expect(noted()).toBe(start);
    versions.reserve([set("a", 3)]);
    const block = noted();
    expect(block).toBeGreaterThanOrEqual(start + VERSION_BLOCK);
    expect([versions.next(), versions.next(), versions.next()]).toEqual([start + 1, start + 2, start + 3]);
    versions.reserve([set("a", VERSION_BLOCK)]);
    expect(noted()).toBe(block);
    versions.reserve([set("a", VERSION_BLOCK), set("b")]);
    expect(noted()).toBeGreaterThan(start + 3 + VERSION_BLOCK);
  });

  test("of a group that was undone are noted by the next one", () => {
    const apply = createApplyGroup(db);
    db.exec("PRAGMA max_page_count = 20");
    const start = noted();
    const large = { key: "k", value: new Uint8Array(1_000_000), ttlMs: 0 };
    apply([{ type: "set", namespace: "a", items: [large] }], 0);
    expect(noted()).toBe(start);
    apply([set("k")], 0);
    expect(held()).toBeGreaterThan(start);
    expect(noted()).toBeGreaterThanOrEqual(held());
  });

  test("are not noted for what gives none, because that may need room", () => {
    const start = noted();
    createApplyGroup(db)(
      [
        { type: "delete", namespace: "a", items: ["k"] },
        { type: "pop", namespace: "a", items: [{ key: "q", end: "left" }] },
      ],
      0,
    );
    expect(noted()).toBe(start);
  });
});
