/** A user that may not do all, and tables that somebody takes away. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createTestDatabase, hasTestDatabase, type TestDatabase } from "../../../tests/helpers/postgres.ts";
import { waitFor } from "../../../tests/helpers/until.ts";
import { bytes, CALL, texts } from "../conformance/harness.ts";
import { useGateways } from "../conformance/shared-store.ts";
import { createBackend } from "../factory.ts";
import { postgresSchema } from "./config.ts";
import { Database } from "./database.ts";
import { MIGRATIONS, migrate } from "./migrations.ts";

const A = [{ key: "a", value: bytes("v"), ttlMs: 0 }];

describe.runIf(hasTestDatabase())("rights", () => {
  let server: TestDatabase;
  let count = 0;
  let schema = "";
  let role = "";

  beforeAll(async () => {
    server = await createTestDatabase();
    await server.query("REVOKE CREATE ON SCHEMA public FROM PUBLIC");
  });
  afterAll(() => server[Symbol.asyncDispose]());
  beforeEach(async () => {
    schema = `rights_${++count}`;
    role = `role_${count}_${process.pid}`;
    await server.query(`CREATE ROLE ${role} LOGIN`);
    return async () => {
      await server.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    };
  });

  const { open } = useGateways();
  const owner = () => postgresSchema.parse({ type: "postgres", url: server.url, schema });
  function asRole() {
    const url = new URL(server.url);
    url.username = role;
    return { ...owner(), url: url.href };
  }

  /** What the start says; closes the store. */
  async function whyNot(): Promise<string> {
    const backend = await createBackend(asRole());
    try {
      await backend.open();
      return "opened";
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    } finally {
      await backend.close();
    }
  }

  /** Follows the message as a user who may. */
  async function obey(message: string): Promise<void> {
    const [, sql] = /let an administrator run: (.*)$/.exec(message) ?? [];
    expect(sql, message).toBeDefined();
    await server.query(String(sql));
  }

  test("a user who may not make the schema reads what to grant, and that is enough", async () => {
    const message = await whyNot();
    const database = new URL(server.url).pathname.slice(1);
    expect(message).toContain(`GRANT CREATE ON DATABASE ${database} TO ${role};`);
    await obey(message);
    expect(await whyNot()).toBe("opened");
    await server.query(`DROP SCHEMA ${schema} CASCADE`);
  });

  test("so does a user who may not make tables in an existing one", async () => {
    await server.query(`CREATE SCHEMA ${schema}`);
    const message = await whyNot();
    expect(message).toContain(
      `GRANT USAGE ON SCHEMA ${schema} TO ${role}; GRANT CREATE ON SCHEMA ${schema} TO ${role};`,
    );
    await obey(message);
    expect(await whyNot()).toBe("opened");
    await server.query(`DROP SCHEMA ${schema} CASCADE`);
  });

  test("so is who may use the tables of an older version, and not change them", async () => {
    const database = new Database(owner());
    await database.use((client) => migrate(client, schema, MIGRATIONS.slice(0, 1)));
    await database.close();
    await server.query(`GRANT USAGE ON SCHEMA ${schema} TO ${role}`);
    await server.query(
      `GRANT SELECT, INSERT, UPDATE, DELETE ON ${schema}.entry, ${schema}.list, ${schema}.list_item TO ${role}`,
    );
    await server.query(`GRANT SELECT ON ${schema}.migration TO ${role}`);
    const message = await whyNot();
    expect(message).toContain(
      `GRANT CREATE ON SCHEMA ${schema} TO ${role}; GRANT INSERT ON ${schema}.migration TO ${role}; ALTER TABLE ${schema}.entry OWNER TO ${role};`,
    );
    await obey(message);
    expect(await whyNot()).toBe("opened");
    const { entries } = await open(asRole());
    await entries.set("n", A, CALL);
    await server.query(`DROP SCHEMA ${schema} CASCADE`);
  });

  test("so is who may only read the tables", async () => {
    await open(owner());
    await server.query(`GRANT USAGE ON SCHEMA ${schema} TO ${role}`);
    await server.query(`GRANT SELECT ON ALL TABLES IN SCHEMA ${schema} TO ${role}`);
    await server.query(`REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA ${schema} FROM PUBLIC`);
    await server.query(`REVOKE USAGE ON SEQUENCE ${schema}.entry_version FROM PUBLIC`);
    const message = await whyNot();
    expect(message).toContain(`GRANT INSERT, UPDATE, DELETE ON ${schema}.entry TO ${role};`);
    expect(message).not.toContain("migration");
    await obey(message);
    const { entries, lists } = await open(asRole());
    await entries.set("n", A, CALL);
    await lists.push("n", [{ key: "l", end: "left", value: bytes("v") }], CALL);
    await entries.delete("n", ["a"], CALL);
    expect(texts(await lists.pop("n", [{ key: "l", end: "left" }], CALL))).toEqual(["v"]);
  });

  test("rights that are taken away later", async () => {
    await open(owner());
    await server.query(`GRANT USAGE ON SCHEMA ${schema} TO ${role}`);
    await server.query(`GRANT ALL ON ALL TABLES IN SCHEMA ${schema} TO ${role}`);
    const { backend, entries } = await open(asRole());
    await entries.set("n", A, CALL);
    await server.query(`REVOKE INSERT ON ${schema}.entry FROM ${role}`);
    await expect(backend.check()).rejects.toMatchObject({
      name: "PrismError",
      message: "the store's tables may not be written",
    });
    await expect(entries.set("n", A, CALL)).rejects.toMatchObject({
      reason: "store_unavailable",
      message: "the store's tables may not be written",
    });
    expect(texts(await entries.get("n", ["a"], CALL))).toEqual(["v"]);
    await server.query(`REVOKE SELECT ON ${schema}.entry FROM ${role}`);
    await expect(entries.get("n", ["a"], CALL)).rejects.toMatchObject({
      reason: "store_unavailable",
      message: "the store's tables may not be read",
    });
    await server.query(`GRANT INSERT, SELECT ON ${schema}.entry TO ${role}`);
    await waitFor(() => entries.set("n", A, CALL));
    await backend.check();
  });

  test.each([
    ["DROP SCHEMA $ CASCADE", undefined],
    ["ALTER SCHEMA $ RENAME TO $_away", "ALTER SCHEMA $_away RENAME TO $"],
    ["ALTER TABLE $.list RENAME TO away", "ALTER TABLE $.away RENAME TO list"],
    ["ALTER SEQUENCE $.entry_version RENAME TO away", "ALTER SEQUENCE $.away RENAME TO entry_version"],
    ["ALTER FUNCTION $.list_push RENAME TO away", "ALTER FUNCTION $.away RENAME TO list_push"],
  ])(
    "after %s health and calls say that the tables are missing, until they are there",
    async (take, giveBack) => {
      const { backend, lists, entries } = await open(owner());
      await entries.set("n", A, CALL);
      const push = () => lists.push("n", [{ key: "l", end: "left", value: bytes("v") }], CALL);
      await push();
      await server.query(take.replaceAll("$", schema));
      const missing = { reason: "store_unavailable", message: "the store's tables are missing" };
      await expect(backend.check()).rejects.toMatchObject(missing);
      for (let i = 0; i < 3; i++) {
        await expect(push()).rejects.toMatchObject(missing);
      }
      // Another gateway makes them, or whoever removed them restores them.
      if (giveBack === undefined) {
        await open(owner());
      } else {
        await server.query(giveBack.replaceAll("$", schema));
      }
      await waitFor(push);
      await backend.check();
      expect(texts(await entries.get("n", ["a"], CALL))).toEqual([giveBack === undefined ? undefined : "v"]);
    },
  );
});
