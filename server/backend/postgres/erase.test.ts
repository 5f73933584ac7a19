import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { createTestDatabase, hasTestDatabase, type TestDatabase } from "../../../tests/helpers/postgres.ts";
import { ERASE_STEP_BYTES } from "../../limits.ts";
import { CALL, present } from "../conformance/harness.ts";
import { item, put } from "../conformance/record-values.ts";
import { eraseAll } from "../erase-all.ts";
import { createPostgresBackend } from "./backend.ts";
import { postgresSchema } from "./config.ts";

describe.runIf(hasTestDatabase())("erase", () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase();
  });
  afterAll(() => database?.[Symbol.asyncDispose]());

  async function open(schema: string) {
    const backend = createPostgresBackend(
      postgresSchema.parse({ type: "postgres", url: database.url, schema }),
    );
    await backend.open();
    onTestFinished(() => backend.close());
    const countIn = (table: string) => `(SELECT count(*)::integer FROM "${schema}".${table})`;
    return {
      erase: present(backend.erase),
      entries: present(backend.entries),
      lists: present(backend.lists),
      records: present(backend.records),
      /** How many entries, values of lists and items of records there are. */
      async counts() {
        const tables = ["entry", "list_item", "record_item"];
        const { rows } = await database.query(
          `SELECT ${tables.map((table) => `${countIn(table)} AS ${table}`)}`,
        );
        return Object.values(rows[0] ?? {});
      },
    };
  }

  test("a step removes so many bytes of large values and no more", async () => {
    const { erase, entries, lists, records, counts } = await open("large");
    const value = new Uint8Array(ERASE_STEP_BYTES / 8).fill(1);
    for (let i = 0; i < 10; i++) {
      const key = `k${i}`;
      await entries.set("n", [{ key, value, ttlMs: 0 }], CALL);
      // Two lists, of seven and three values.
      await lists.push("n", [{ key: i < 7 ? "a" : "b", end: "right", value }], CALL);
      await put(records, "r", [item(key, value)], "n");
    }
    const seen: unknown[] = [];
    let after: string | undefined;
    do {
      after = await erase("n", { after, maxItems: 1000 }, CALL);
      seen.push(await counts());
    } while (after !== undefined);
    // Steps that find nothing more change nothing.
    expect(seen.filter((each, i) => JSON.stringify(each) !== JSON.stringify(seen[i - 1]))).toEqual([
      [2, 10, 10],
      [0, 10, 10],
      [0, 2, 10],
      [0, 0, 10],
      [0, 0, 2],
      [0, 0, 0],
    ]);
  });

  test("lists that lack values go too, and those behind them", async () => {
    const { erase, lists, counts } = await open("damaged");
    const keys = ["a", "b", "c", "d"];
    for (const key of keys) {
      const values = Array.from({ length: 6 }, () => ({ key, end: "right" as const, value: Buffer.of(1) }));
      await lists.push("n", values, CALL);
    }
    await database.query(
      `DELETE FROM damaged.list_item AS i USING damaged.list AS l WHERE i.list_id = l.id
       AND ((l.key = 'a' AND position > 1) OR (l.key = 'b' AND position < 5) OR l.key = 'c')`,
    );
    await eraseAll(erase, "n", CALL);
    expect(await lists.length("n", keys, CALL)).toEqual([0, 0, 0, 0]);
    expect(await counts()).toEqual([0, 0, 0]);
  });
});
