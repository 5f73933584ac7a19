import { DatabaseSync } from "node:sqlite";
import { beforeEach, describe, expect, test, vi } from "vitest";
import type { Check, Mutation } from "../commit.ts";
import { bytes } from "../conformance/harness.ts";
import { MAX_INLINE_VALUE_BYTES } from "./large-value.ts";
import { MIGRATIONS, migrate } from "./migrations.ts";
import { isFailure, type Operation, type Outcome } from "./operation.ts";
import { prepare } from "./query.ts";
import { type ApplyGroup, createApplyGroup } from "./write-batch.ts";

let db: DatabaseSync;
let apply: ApplyGroup;

beforeEach(() => {
  db = new DatabaseSync(":memory:");
  migrate(db, MIGRATIONS);
  apply = createApplyGroup(db);
});

function set(key: string, value: Uint8Array, ttlMs = 0): Operation {
  return { type: "set", namespace: "a", items: [{ key, value, ttlMs }] };
}

function push(key: string, value = bytes("1")): Operation {
  return { type: "push", namespace: "a", items: [{ key, end: "right", value }] };
}

function pop(key: string): Operation {
  return { type: "pop", namespace: "a", items: [{ key, end: "left" }] };
}

function commit(mutations: Mutation[], checks: Check[] = []): Operation {
  return { type: "commit", namespace: "a", items: [{ checks, mutations, tells: false }] };
}

/** The version of each key that is there. */
function versions(): Record<string, number> {
  const rows = prepare<[string, number]>(db, "SELECT CAST(key AS TEXT), version FROM entry ORDER BY key");
  return Object.fromEntries(rows.iterate());
}

function keysHeld(): string[] {
  return [...prepare<[string]>(db, "SELECT CAST(key AS TEXT) FROM entry ORDER BY key").iterate()].map(
    ([key]) => key,
  );
}

function reasons(outcomes: readonly Outcome[]): string[] {
  return outcomes.map((outcome) => (isFailure(outcome) ? outcome.reason : "done"));
}

/**
 * Makes each COMMIT fail with this result code, `times` times, with an error like node:sqlite's.
 */
function failCommits(errcode: number, times = Infinity): void {
  const exec = db.exec.bind(db);
  let left = times;
  db.exec = (sql) => {
    if (sql === "COMMIT" && left-- > 0) {
      throw Object.assign(new Error("driver text"), { code: "ERR_SQLITE_ERROR", errcode });
    }
    exec(sql);
  };
}

describe("createApplyGroup", () => {
  test("answers in order; later operations see what earlier ones did", () => {
    const group: Operation[] = [
      set("k", bytes("1")),
      { type: "delete", namespace: "a", items: ["k", "k", "x"] },
      push("q"),
      push("q", bytes("2")),
      pop("q"),
      pop("absent"),
      { type: "delete", namespace: "a", items: [] },
    ];
    const results = [undefined, [true, false, false], [1], [2], [bytes("1")], [undefined], []];
    expect(apply(group, 0)).toEqual(results);
  });

  test("time is what the group says", () => {
    apply([set("k", bytes("1"), 10)], 100);
    expect(apply([{ type: "delete", namespace: "a", items: ["k"] }], 110)).toEqual([[false]]);
    expect(apply([{ type: "sweep", maxEntries: 5 }], 109)).toEqual([0]);
    expect(apply([{ type: "sweep", maxEntries: 5 }], 110)).toEqual([1]);
  });

  test("a sweep deletes as many as it may, the longest expired first", () => {
    for (let i = 0; i < 5; i++) {
      apply([set(`k${i}`, bytes("1"), 10 - i)], 0);
    }
    expect(apply([{ type: "sweep", maxEntries: 2 }], 100)).toEqual([2]);
    expect(keysHeld()).toEqual(["k0", "k1", "k2"]);
  });

  test("an operation that fails does so alone and whole; the others of its group take effect once", () => {
    const big = { key: "big", value: new Uint8Array(1_000_000), ttlMs: 0 };
    db.exec("PRAGMA max_page_count = 20");
    const failing: Operation = {
      type: "set",
      namespace: "a",
      items: [{ ...big, key: "small", value: bytes("1") }, big],
    };
    const outcomes = apply([push("q"), failing, push("q"), set("after", bytes("1"))], 0);
    expect(reasons(outcomes)).toEqual(["done", "store_full", "done", "done"]);
    expect([outcomes[0], outcomes[2]]).toEqual([[1], [2]]);
    expect(keysHeld()).toEqual(["after"]);
    expect(db.isTransaction).toBe(false);
  });

  test("a refused write costs the others of its group no transaction, and the groups after it none", () => {
    db.exec(
      "CREATE TRIGGER refuse BEFORE INSERT ON list_item WHEN new.value = x'00' BEGIN SELECT RAISE(ABORT, 'no'); END",
    );
    apply([push("q")], 0);
    const exec = vi.spyOn(db, "exec");
    const begun = () => exec.mock.calls.filter(([sql]) => sql.startsWith("BEGIN")).length;
    const refused = push("q", Uint8Array.of(0));
    const group = [push("q"), refused, push("q"), refused, set("k", bytes("1"))];
    expect(reasons(apply(group, 0))).toEqual(["done", "internal", "done", "internal", "done"]);
    expect(begun()).toBe(2);
    const outcomes = apply([refused, push("q"), refused, pop("q")], 0);
    expect(begun()).toBe(3);
    expect(reasons(outcomes)).toEqual(["internal", "done", "internal", "done"]);
    // What a refused operation did before its refusal is undone.
    expect([outcomes[1], outcomes[3]]).toEqual([[4], [bytes("1")]]);
    expect(prepare(db, "SELECT tail - head FROM list").get()).toEqual([3]);
    expect(prepare(db, "SELECT count(*) FROM list_item").get()).toEqual([3]);
    expect(db.isTransaction).toBe(false);
    exec.mockRestore();
  });

  test("a call that finds no room leaves what the others of its group did before it", () => {
    db.exec("PRAGMA max_page_count = 20");
    const large = (bytes: number) => new Uint8Array(bytes);
    const group = [push("q"), push("q", large(1_000_000)), set("a", large(3000)), set("b", large(1_000_000))];
    for (let round = 0; round < 3; round++) {
      expect(reasons(apply(group, 0))).toEqual(["done", "store_full", "done", "store_full"]);
    }
    expect(prepare(db, "SELECT tail - head FROM list").get()).toEqual([3]);
    expect(keysHeld()).toEqual(["a"]);
  });

  test("a store that cannot be written fails the group at once, without trying each", () => {
    failCommits(5, 1);
    expect(reasons(apply([push("q"), push("q")], 0))).toEqual(["store_unavailable", "store_unavailable"]);
    expect(apply([push("q")], 0)).toEqual([[1]]);
  });

  test("an I/O error of a commit leaves the outcome open", () => {
    failCommits(10, 1);
    const [outcome] = apply([push("q"), push("q")], 0);
    expect(outcome).toEqual({
      reason: "outcome_unknown",
      message: "the store failed during the write; it may or may not have taken effect",
      detail: expect.stringContaining("driver text (SQLite result code 10)"),
    });
    expect(db.isTransaction).toBe(false);
  });

  test("a large value goes when its entry does, or holds another", () => {
    const large = (fill: string) => Buffer.alloc(MAX_INLINE_VALUE_BYTES + 1, fill);
    const stored = () =>
      [...prepare<[Uint8Array]>(db, "SELECT value FROM large_value").iterate()].map(([value]) =>
        Buffer.from(value),
      );
    apply([set("a", large("1")), set("b", large("2"), 10), set("c", large("3")), set("d", large("4"))], 0);
    expect(stored()).toHaveLength(4);
    apply([set("a", large("5")), set("c", bytes("small"))], 0);
    apply([{ type: "delete", namespace: "a", items: ["d"] }], 0);
    apply([{ type: "sweep", maxEntries: 5 }], 10);
    expect(stored()).toEqual([large("5")]);
  });

  test("a list whose item is missing is damaged data, not an empty list", () => {
    apply([push("q")], 0);
    db.exec("DELETE FROM list_item");
    const right: Operation = { type: "pop", namespace: "a", items: [{ key: "q", end: "right" }] };
    expect(reasons(apply([pop("q"), push("p"), right], 0))).toEqual(["corrupt_data", "done", "corrupt_data"]);
    const both: Operation = {
      type: "pop",
      namespace: "a",
      items: [
        { key: "p", end: "left" },
        { key: "q", end: "left" },
      ],
    };
    expect(reasons(apply([both, pop("p")], 0))).toEqual(["corrupt_data", "done"]);
    expect(prepare(db, "SELECT tail - head FROM list").get()).toEqual([1]);
  });
});

describe("commits in a group", () => {
  const add = (key: string, delta: bigint): Mutation => ({ key, do: "add", delta, initial: 0n, ttlMs: 0 });
  const put = (key: string, value: string | Uint8Array): Mutation => ({
    key,
    do: "set",
    value: typeof value === "string" ? bytes(value) : value,
    ttlMs: 0,
  });
  const large = Buffer.alloc(MAX_INLINE_VALUE_BYTES + 1, "x");
  const largeValues = () =>
    [...prepare<[number, Uint8Array]>(db, "SELECT id, value FROM large_value").iterate()].map(
      ([id, value]) => [id, Buffer.from(value)] as const,
    );

  test("take effect in order with the other writes, each for itself, in one transaction", () => {
    const exec = vi.spyOn(db, "exec");
    const outcomes = apply(
      [
        set("n", bytes("1")),
        commit([add("n", 4n), put("x", "1")], [{ key: "n", is: "value", value: bytes("1") }]),
        commit([put("x", "2")], [{ key: "n", is: "value", value: bytes("1") }]),
        commit([put("x", "3"), add("x", 1n), add("text", 1n), { key: "n", do: "delete" }]),
        { type: "delete", namespace: "a", items: ["x"] },
        set("text", bytes("a")),
        commit([put("y", "1"), add("text", 1n)]),
        commit([add("n", 1n)]),
      ],
      0,
    );
    const held = versions();
    expect(outcomes).toEqual([
      undefined,
      [
        {
          committed: true,
          version: expect.any(Number),
          results: [{ before: "lasting", counter: 5n }, { before: "absent" }],
        },
      ],
      [{ committed: false, failed: [{ index: 0, held: undefined }] }],
      [
        {
          committed: true,
          version: expect.any(Number),
          results: [
            { before: "lasting" },
            { before: "lasting", counter: 4n },
            { before: "absent", counter: 1n },
            { before: "lasting" },
          ],
        },
      ],
      [true],
      undefined,
      {
        reason: "not_a_counter",
        field: "mutations[1].key",
        message: expect.stringContaining("no counter"),
      },
      [{ committed: true, version: held.n, results: [{ before: "absent", counter: 1n }] }],
    ]);
    // A refusal is decided before anything is written, so nothing was written twice.
    expect(exec.mock.calls).toEqual([["BEGIN IMMEDIATE"], ["COMMIT"]]);
    exec.mockRestore();
    expect(keysHeld()).toEqual(["n", "text"]);
  });

  test("a new expiry rewrites no value, and the value stays", () => {
    apply([set("k", large, 10), set("small", bytes("1"), 10)], 0);
    const before = largeValues();
    const old = versions();
    apply(
      [
        commit([{ key: "k", do: "expire", ttlMs: 50 }]),
        commit([
          { key: "k", do: "persist" },
          { key: "small", do: "expire", ttlMs: 50 },
        ]),
      ],
      5,
    );
    expect(largeValues()).toEqual(before);
    const expiries = prepare<[string, number | null]>(
      db,
      "SELECT CAST(key AS TEXT), expires_at_ms FROM entry",
    );
    expect(Object.fromEntries(expiries.iterate())).toEqual({ k: null, small: 55 });
    expect(versions().k).toBeGreaterThan(old.k ?? Number.NaN);
    expect(versions().small).toBe(versions().k);
    apply([commit([{ key: "k", do: "replace", value: large }])], 5);
    expect(largeValues().map(([, value]) => value)).toEqual([large]);
    apply([commit([{ key: "k", do: "delete" }])], 5);
    expect(largeValues()).toEqual([]);
  });

  test("a large value is compared where a check asks for it", () => {
    apply([set("k", large)], 0);
    const other = Buffer.from(large);
    other[large.length - 1] = 0;
    const outcomes = apply(
      [
        commit([put("k", "1")], [{ key: "k", is: "value", value: other }]),
        commit([put("k", "2")], [{ key: "k", is: "value", value: large }]),
      ],
      0,
    );
    expect(outcomes).toMatchObject([[{ committed: false }], [{ committed: true }]]);
  });

  test("one that finds no room changes nothing, and fails alone", () => {
    db.exec("PRAGMA max_page_count = 20");
    const outcomes = apply(
      [
        commit([add("n", 1n)]),
        commit([add("n", 1n), put("big", new Uint8Array(1_000_000))]),
        set("k", large),
      ],
      0,
    );
    expect(reasons(outcomes)).toEqual(["done", "store_full", "done"]);
    expect(keysHeld()).toEqual(["k", "n"]);
    expect(apply([commit([add("n", 1n)])], 0)).toMatchObject([[{ results: [{ counter: 2n }] }]]);
  });
});
