import { setImmediate as nextTurn } from "node:timers/promises";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createManualClock, type ManualClock } from "../conformance/manual-clock.ts";
import { createCall } from "../contract.ts";
import { type Counter, createCounter } from "./counter.ts";
import type { Operation } from "./operation.ts";
import { prepare } from "./query.ts";
import { createTestDatabase, type TestDatabase } from "./testing.ts";

const ENTRIES = 10_000;
const NEVER_ABORTED = createCall();
const NOTHING = new Uint8Array(0);

describe("createCounter", () => {
  let database: TestDatabase;
  let clock: ManualClock;
  let counter: Counter;

  /** Entry i expires i milliseconds after the start. */
  beforeEach(async () => {
    database = await createTestDatabase();
    clock = createManualClock();
    database.writer.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ENTRIES})
      INSERT INTO entry SELECT 'a', CAST(format('k%05d', i) AS BLOB), ${clock.now()} + i, X'', NULL, 1 FROM n`);
    counter = createCounter(database.reader, clock);
  });
  afterEach(() => database[Symbol.asyncDispose]());

  const count = (namespace: string, prefix: string) => counter.count(namespace, prefix, NEVER_ABORTED);

  function write(...operations: Operation[]): void {
    counter.sending(operations, clock.now());
    database.apply(operations, clock.now());
    counter.answered();
  }

  const set = (key: string, ttlMs = 0): Operation => ({
    type: "set",
    namespace: "a",
    items: [{ key, value: NOTHING, ttlMs }],
  });
  const remove = (...keys: string[]): Operation => ({ type: "delete", namespace: "a", items: keys });

  test("only live entries with the prefix count", async () => {
    expect(await count("a", "k0")).toBe(9999);
    expect(await count("b", "")).toBe(0);
    clock.advance(500);
    expect(await count("a", "k00")).toBe(499);
    clock.advance(2000);
    expect(await count("a", "")).toBe(ENTRIES - 2500);
  });

  test("writes behind and in front of a count are in it, and it holds no snapshot", async () => {
    const counting = count("a", "");
    await nextTurn();
    write(
      set("k00001x"),
      set("k00002"),
      remove("k00003", "k00003", "none"),
      set("k09999x"),
      remove("k09998"),
    );
    clock.advance(1);
    write({ type: "sweep", maxEntries: 10 });
    expect(prepare<[busy: number]>(database.writer, "PRAGMA wal_checkpoint(TRUNCATE)").get()?.[0]).toBe(0);
    expect(await counting).toBe(ENTRIES - 1);
  });

  test("a group that is under way when it is walked over counts when it is answered", async () => {
    const group = [set("k00001x"), remove("k09998")];
    counter.sending(group, clock.now());
    const counting = count("a", "");
    for (let i = 0; i < 5; i++) {
      await nextTurn();
    }
    database.apply(group, clock.now());
    counter.answered();
    expect(await counting).toBe(ENTRIES);
  });

  test("a count of a namespace that is erased meanwhile begins anew, and is right", async () => {
    const counting = count("a", "");
    await nextTurn();
    write({ type: "erase", namespace: "a", maxItems: 4000 });
    write({ type: "erase", namespace: "b", maxItems: 4000 });
    expect(await counting).toBe(ENTRIES - 4000);
  });

  test("calls that count the same share a count", async () => {
    const counts = Array.from({ length: 100 }, () => count("a", ""));
    expect(new Set(await Promise.all(counts))).toEqual(new Set([ENTRIES]));
  });

  test("a count under way when the connection closes fails, and its call may be sent again", async () => {
    const counting = count("a", "");
    counter.close();
    database.reader.close();
    await expect(counting).rejects.toMatchObject({ reason: "store_unavailable" });
    await nextTurn();
    database.reader.open();
  });

  test("ends when all its calls are aborted; so many at once and no more", async () => {
    const controller = new AbortController();
    const prefixes = ["", "k", ...Array.from({ length: 15 }, (_, i) => `p${i}`)];
    for (const prefix of prefixes) {
      database.writer.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4096)
        INSERT INTO entry SELECT 'b', CAST(format('${prefix}/%05d', i) AS BLOB), NULL, X'', NULL, 1 FROM n`);
    }
    const counts = prefixes.map((prefix) =>
      counter.count(prefix === "k" ? "a" : "b", prefix, createCall(controller.signal)),
    );
    controller.abort();
    const results = await Promise.allSettled(counts);
    expect(results.map((result) => result.status === "rejected" && result.reason.reason)).toEqual([
      ...Array.from({ length: 16 }, () => "canceled"),
      "overloaded",
    ]);
    expect(await count("a", "")).toBe(ENTRIES);
  });

  test("a count that cannot be read fails; the groups do not", async () => {
    const counting = count("a", "");
    database.reader.exec("BEGIN");
    await expect(counting).rejects.toMatchObject({ reason: "internal" });
    database.reader.exec("COMMIT");
    write(set("k"));
    expect(await count("a", "")).toBe(ENTRIES + 1);
  });
});

/** What a test may do between two turns. */
type Step =
  | {
      readonly kind: "send";
      readonly keys: readonly number[];
      readonly ttlMs: number;
      readonly does: "set" | "delete" | "expire" | "persist";
    }
  | { readonly kind: "sweep" | "erase" | "commit" | "answer" | "turn" | "pass" };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({
      kind: fc.constant("send" as const),
      keys: fc.array(fc.integer({ min: 0, max: 12_000 }), { maxLength: 8 }),
      ttlMs: fc.constantFrom(0, 1, 2, 5),
      does: fc.constantFrom("set", "delete", "expire", "persist"),
    }),
    fc.record({ kind: fc.constantFrom("sweep", "erase", "commit", "answer", "turn", "pass") }),
  ),
  { maxLength: 40 },
);

function writeOf(does: "set" | "delete" | "expire" | "persist", keys: string[], ttlMs: number): Operation {
  switch (does) {
    case "set":
      return { type: "set", namespace: "a", items: keys.map((key) => ({ key, value: NOTHING, ttlMs })) };
    case "delete":
      return { type: "delete", namespace: "a", items: keys };
    case "expire":
    case "persist": {
      const mutations = keys.map((key) => ({ key, do: does, ttlMs: ttlMs + 1 }));
      return { type: "commit", namespace: "a", items: [{ checks: [], mutations, tells: false }] };
    }
  }
}

test("whatever is written meanwhile, and whenever it is committed, a count is right at its end", async () => {
  await using database = await createTestDatabase();
  const { writer, reader } = database;
  writer.exec("PRAGMA synchronous = OFF");
  const truth = prepare<[number]>(
    reader,
    "SELECT count(*) FROM entry WHERE expires_at_ms IS NULL OR expires_at_ms > ?",
  );
  await fc.assert(
    fc.asyncProperty(steps, async (plan) => {
      const clock = createManualClock();
      writer.exec(`DELETE FROM entry;
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
        INSERT INTO entry SELECT 'a', CAST(format('k%05d', 2 * i) AS BLOB),
          iif(i % 3 = 0, ${clock.now()} + i % 10, NULL), X'', NULL, 1 FROM n`);
      const counter = createCounter(reader, clock);
      let sent: { readonly operations: readonly Operation[]; readonly nowMs: number } | undefined;
      let isCommitted = false;
      let total: number | undefined;
      const counting = counter.count("a", "", NEVER_ABORTED).then((answer) => (total = answer));

      /** If the count was just answered, it must equal the current one. */
      async function compare(): Promise<void> {
        const wasUnknown = total === undefined;
        const expected = truth.get(clock.now())?.[0];
        // At least as many as an answer passes through.
        for (let promises = 0; promises < 10; promises++) {
          await Promise.resolve();
        }
        if (wasUnknown && total !== undefined) {
          expect(total).toBe(expected);
        }
      }
      function commit(): void {
        if (sent !== undefined && !isCommitted) {
          database.apply(sent.operations, sent.nowMs);
          isCommitted = true;
        }
      }
      async function answer(): Promise<void> {
        if (sent !== undefined) {
          commit();
          sent = undefined;
          counter.answered();
          await compare();
        }
      }
      async function send(operation: Operation): Promise<void> {
        await answer();
        sent = { operations: [operation], nowMs: clock.now() };
        isCommitted = false;
        counter.sending(sent.operations, sent.nowMs);
      }

      for (const step of plan) {
        switch (step.kind) {
          case "send": {
            const keys = step.keys.map((key) => `k${String(key).padStart(5, "0")}`);
            await send(writeOf(step.does, keys, step.ttlMs));
            break;
          }
          case "sweep":
            await send({ type: "sweep", maxEntries: 700 });
            break;
          case "erase":
            await send({ type: "erase", namespace: "a", maxItems: 300 });
            break;
          case "commit":
            commit();
            break;
          case "answer":
            await answer();
            break;
          case "turn":
            await nextTurn();
            await compare();
            break;
          case "pass":
            clock.advance(1);
        }
      }
      await answer();
      while (total === undefined) {
        await nextTurn();
        await compare();
      }
      await counting;
    }),
    { numRuns: 100 },
  );
}, 60_000);
