import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { createTestDatabase, hasTestDatabase, type TestDatabase } from "../../../tests/helpers/postgres.ts";
import { waitFor } from "../../../tests/helpers/until.ts";
import { ReadOnlyError } from "../../errors.ts";
import { MAX_TTL_SECONDS } from "../../limits.ts";
import { blockingPop, describeBlocking, pushTexts } from "../conformance/blocking.ts";
import { ALL_CAPABILITIES, CALL, present, texts } from "../conformance/harness.ts";
import { describeBackend } from "../conformance/suite.ts";
import { isRefusal } from "../contract.ts";
import { createBackend } from "../factory.ts";
import { createGuardedBackend } from "../layers/guarded.ts";
import { createPostgresBackend } from "./backend.ts";
import { postgresSchema } from "./config.ts";

/** Where the clock of a test begins. */
const START = "2026-01-01";

describe.runIf(hasTestDatabase())("postgres", () => {
  let database: TestDatabase | undefined;
  let schemas = 0;

  beforeAll(async () => {
    database = await createTestDatabase();
    // A clock that stands still until a test moves it, and begins anew with each test.
    await database.query(`CREATE TABLE test_clock AS SELECT TIMESTAMPTZ '${START}' AS at`);
    await database.query(
      "CREATE FUNCTION test_now() RETURNS TIMESTAMPTZ STABLE LANGUAGE sql AS 'SELECT at FROM public.test_clock'",
    );
  });
  afterAll(async () => {
    await database?.[Symbol.asyncDispose]();
  });

  function db(): TestDatabase {
    if (database === undefined) {
      throw new Error("there is no database yet");
    }
    return database;
  }

  const config = (schema: string) => postgresSchema.parse({ type: "postgres", url: db().url, schema });

  describeBackend({
    name: "postgres",
    capabilities: ALL_CAPABILITIES,
    durable: true,
    atomic: "namespace",
    movesClock: true,
    maxTtlMs: MAX_TTL_SECONDS * 1000,
    async create() {
      const schema = `test_${++schemas}`;
      return {
        backend: createGuardedBackend(createPostgresBackend(config(schema), { now: "public.test_now()" })),
        advance: async (ms) => {
          await db().query("UPDATE test_clock SET at = at + $1 * INTERVAL '1 millisecond'", [ms]);
        },
        clear: async () => {
          await db().query(
            `TRUNCATE "${schema}".entry, "${schema}".list, "${schema}".list_item, "${schema}".record_item, "${schema}".stream, "${schema}".event`,
          );
          await db().query("UPDATE test_clock SET at = $1", [START]);
        },
        dispose: async () => {
          await db().query(`DROP SCHEMA IF EXISTS "${schema}" CASCADE`);
        },
      };
    },
  });

  describeBlocking("postgres, two gateways", async () => {
    const schema = `test_${++schemas}`;
    const backends = await Promise.all([0, 1].map(() => createBackend(config(schema))));
    for (const backend of backends) {
      await backend.open();
    }
    return {
      backends,
      async [Symbol.asyncDispose]() {
        await Promise.all(backends.map((backend) => backend.close()));
        await db().query(`DROP SCHEMA "${schema}" CASCADE`);
      },
    };
  });

  test("who waits gets the value, whatever happens to the connection that listens", async () => {
    const schema = `test_${++schemas}`;
    const [first, last] = await Promise.all([0, 1].map(() => createBackend(config(schema))));
    const gateways = [present(first), present(last)] as const;
    for (const backend of gateways) {
      await backend.open();
    }
    const listening = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%'";
    for (let round = 0; round < 5; round++) {
      const waits = blockingPop(gateways[0], "a");
      await waitFor(async () => expect((await db().query(listening)).rows.length).toBeGreaterThan(0));
      await db().query(`SELECT pg_terminate_backend(pid) FROM (${listening}) AS found`);
      await pushTexts(gateways[1], "a", [String(round)]);
      expect(await waits).toBe(String(round));
    }
    await Promise.all(gateways.map((backend) => backend.close()));
  });

  test("the settings of the database are not the store's", async () => {
    await using other = await createTestDatabase();
    const name = new URL(other.url).pathname.slice(1);
    await other.query(`ALTER DATABASE ${name} SET bytea_output TO escape`);
    await other.query(`ALTER DATABASE ${name} SET default_transaction_isolation TO serializable`);
    await other.query(`ALTER DATABASE ${name} SET search_path TO nowhere`);
    const backend = createPostgresBackend({ ...config("prism"), url: other.url });
    await backend.open();
    const value = Buffer.from([0, 0x5c, 0x78, 0xff]);
    await backend.entries?.set("n", [{ key: "a", value, ttlMs: 0 }], CALL);
    expect(await backend.entries?.get("n", ["a"], CALL)).toEqual([value]);
    expect(await backend.lists?.push("n", [{ key: "a", end: "left", value }], CALL)).toEqual([1]);
    expect(await backend.lists?.pop("n", [{ key: "a", end: "left" }], CALL)).toEqual([value]);
    await backend.close();
  });

  describe("what is refused", () => {
    const each = { ...CALL, each: true };
    const push = (key: string, value = "v") => ({ key, end: "right", value: Buffer.from(value) }) as const;
    const pop = (key: string) => ({ key, end: "left" }) as const;
    const damaged = { reason: "corrupt_data" };

    async function opened() {
      const schema = `test_${++schemas}`;
      const backend = createPostgresBackend(config(schema));
      await backend.open();
      onTestFinished(() => backend.close());
      return { entries: present(backend.entries), lists: present(backend.lists), schema };
    }

    test("a list whose item is missing is damaged data, not an empty list", async () => {
      const { lists, schema } = await opened();
      await lists.push("n", [push("bad"), push("good")], CALL);
      await db().query(
        `DELETE FROM "${schema}".list_item USING "${schema}".list AS l WHERE list_id = l.id AND l.key = 'bad'`,
      );
      expect(await lists.pop("n", [pop("bad"), pop("good"), pop("bad")], each)).toMatchObject([
        damaged,
        Buffer.from("v"),
        damaged,
      ]);
      await lists.push("n", [push("good")], CALL);
      expect(await lists.pop("n", [pop("good"), { key: "bad", end: "right" }], CALL)).toMatchObject([
        damaged,
        damaged,
      ]);
      expect(await lists.length("n", ["bad", "good"], CALL)).toEqual([1, 1]);
    });

    test("where the server does not say for which item, all others take effect once", async () => {
      const { entries, lists, schema } = await opened();
      await db().query(
        `ALTER TABLE "${schema}".list_item ADD CHECK (value <> 'no'), ADD CHECK (value <> 'never')`,
      );
      await db().query(`ALTER TABLE "${schema}".entry ADD CHECK (value <> 'no')`);
      const values = Array.from({ length: 40 }, (_, i) => (i === 7 ? "no" : i === 30 ? "never" : `${i}`));
      const answers = await lists.push(
        "n",
        values.map((value) => push("l", value)),
        each,
      );
      let length = 0;
      expect(answers).toMatchObject(
        values.map((value) => (value.startsWith("n") ? { reason: "internal" } : ++length)),
      );
      const popped = await lists.pop(
        "n",
        values.map(() => pop("l")),
        each,
      );
      expect(texts(popped).slice(0, 38)).toEqual(values.filter((value) => !value.startsWith("n")));
      const writes = ["a", "b", "c"].map((key) => ({
        key,
        value: Buffer.from(key === "b" ? "no" : key),
        ttlMs: 0,
      }));
      expect(await entries.set("n", writes, CALL)).toMatchObject(writes.map(() => ({ reason: "internal" })));
      expect(await entries.exists("n", ["a", "b", "c"], CALL)).toEqual([false, false, false]);
      const [first, second, third] = (await entries.set("n", writes, each)) ?? [];
      expect([first, isRefusal(second), third]).toEqual([undefined, true, undefined]);
      expect(await entries.exists("n", ["a", "b", "c"], CALL)).toEqual([true, false, true]);
    });
  });

  test("a read-only server is read, also by a gateway that starts then, and its health says so", async () => {
    await using other = await createTestDatabase();
    const name = new URL(other.url).pathname.slice(1);
    const open = async () => {
      const backend = createPostgresBackend({ ...config("prism"), url: other.url });
      await backend.open();
      onTestFinished(() => backend.close());
      return backend;
    };
    const write = { key: "a", value: Buffer.from("1"), ttlMs: 0 };
    const before = await open();
    await before.entries?.set("n", [write], CALL);
    await before.check();
    await other.query(`ALTER DATABASE ${name} SET default_transaction_read_only TO on`);
    const backend = await open();
    expect(await backend.entries?.get("n", ["a"], CALL)).toEqual([write.value]);
    await expect(backend.entries?.set("n", [write], CALL)).rejects.toBeInstanceOf(ReadOnlyError);
    await expect(backend.check()).rejects.toBeInstanceOf(ReadOnlyError);
  });
});
