import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { createTestDatabase, hasTestDatabase, type TestDatabase } from "../../../tests/helpers/postgres.ts";
import { createCall } from "../contract.ts";
import { createPostgresBackend } from "./backend.ts";
import { postgresSchema } from "./config.ts";
import { Database } from "./database.ts";
import { MIGRATIONS, migrate } from "./migrations.ts";

const FIRST = { version: 1, sql: "CREATE TABLE one (id INTEGER)" };
const SECOND = { version: 2, sql: "CREATE TABLE two (id INTEGER)" };

describe.runIf(hasTestDatabase())("migrate", () => {
  let server: TestDatabase;
  let database: Database;
  let schemas = 0;
  let schema = "";

  beforeAll(async () => {
    server = await createTestDatabase();
    database = new Database(postgresSchema.parse({ type: "postgres", url: server.url }));
  });
  afterAll(async () => {
    await database.close();
    await server[Symbol.asyncDispose]();
  });
  beforeEach(() => {
    schema = `s_${++schemas}`;
  });

  const apply = (migrations: readonly (typeof FIRST)[]) =>
    database.use((client) => migrate(client, schema, migrations));

  async function state(): Promise<unknown[]> {
    const tables = await server.query(
      "SELECT table_name FROM information_schema.tables WHERE table_schema = $1 ORDER BY 1",
      [schema],
    );
    return tables.rows.map(({ table_name }) => table_name);
  }

  test("applies what is missing, once", async () => {
    await apply([FIRST]);
    expect(await state()).toEqual(["migration", "one"]);
    await apply([FIRST, SECOND]);
    await apply([FIRST, SECOND]);
    expect(await state()).toEqual(["migration", "one", "two"]);
  });

  test("a step that fails leaves nothing, and the connection is of use", async () => {
    await apply([FIRST]);
    const broken = { version: 2, sql: "CREATE TABLE two (id INTEGER); CREATE TABLE one (id INTEGER)" };
    await expect(apply([FIRST, broken])).rejects.toThrow("already exists");
    expect(await state()).toEqual(["migration", "one"]);
    await apply([FIRST, SECOND]);
    expect(await state()).toEqual(["migration", "one", "two"]);
  });

  test("many gateways may start at once", async () => {
    const config = postgresSchema.parse({ type: "postgres", url: server.url, schema });
    const backends = Array.from({ length: 8 }, () => createPostgresBackend(config));
    await Promise.all(backends.map((backend) => backend.open()));
    expect(await state()).toEqual([
      "entry",
      "event",
      "list",
      "list_item",
      "migration",
      "record_item",
      "stream",
    ]);
    await Promise.all(backends.map((backend) => backend.close()));
  });

  test("a database that a newer Prism made is left alone, and says so", async () => {
    const config = postgresSchema.parse({ type: "postgres", url: server.url, schema });
    const backend = createPostgresBackend(config);
    await backend.open();
    await backend.close();
    await server.query(`INSERT INTO "${schema}".migration (version) VALUES (999)`);
    await expect(backend.open()).rejects.toMatchObject({
      reason: "store_unavailable",
      message: `PostgreSQL at ${new URL(server.url).host}${new URL(server.url).pathname}: the schema "${schema}" was made by a newer Prism (version 999, this one knows ${MIGRATIONS.length}): run that version or a later one`,
    });
  });

  test("a gateway of an older version pops on, also with what it prepared before", async () => {
    await apply(MIGRATIONS.slice(0, 1));
    const config = postgresSchema.parse({ type: "postgres", url: server.url, schema });
    const newer = createPostgresBackend(config);
    const key = Buffer.from("a list");
    await database.use(async (older) => {
      const pop = async () => {
        const text = `SELECT * FROM "${schema}".list_pop($1, $2::bytea[], $3::boolean[])`;
        const values = ["default", [key], [true]];
        const { rows } = await older.query({ name: `pop_${schema}`, text, values, rowMode: "array" });
        return rows.map((row) => row.map(String));
      };
      const values = [Buffer.from("1"), Buffer.from("2"), Buffer.from("3")];
      const push = `SELECT "${schema}".list_push($1, $2::bytea[], $3::boolean[], $4::bytea[])`;
      await older.query(push, ["default", [key, key, key], [false, false, false], values]);
      expect(await pop()).toEqual([["1"]]);
      await newer.open();
      expect(await pop()).toEqual([["2"]]);
      const pops = [{ key: "a list", end: "left" }] as const;
      const answers = await newer.lists?.pop("default", pops, createCall());
      expect(answers?.map(String)).toEqual(["3"]);
    });
    await newer.close();
  });

  test("entries of an older version are kept, and what its gateways write gets larger versions", async () => {
    await apply(MIGRATIONS.slice(0, 2));
    const config = postgresSchema.parse({ type: "postgres", url: server.url, schema });
    const newer = createPostgresBackend(config);
    const versions = async () => {
      const sql = `SELECT key, version FROM "${schema}".entry ORDER BY key`;
      const { rows } = await server.query(sql);
      return Object.fromEntries(rows.map(({ key, version }) => [String(key), Number(version)]));
    };
    await database.use(async (older) => {
      const set = async (...keys: readonly string[]) => {
        const text = `INSERT INTO "${schema}".entry (namespace, key, value, expires_at)
       SELECT $1, k, v, CASE WHEN ttl_ms > 0 THEN statement_timestamp() + ttl_ms * INTERVAL '1 millisecond' END
       FROM unnest($2::bytea[], $3::bytea[], $4::bigint[]) AS given (k, v, ttl_ms)
       ON CONFLICT (namespace, key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at`;
        const each = keys.map((key) => Buffer.from(key));
        await older.query({
          name: `set_${schema}`,
          text,
          values: ["default", each, each, keys.map(() => 0)],
        });
      };
      await set("a", "b");
      const fileBefore = await server.query("SELECT pg_relation_filenode($1) AS node", [`${schema}.entry`]);
      await newer.open();
      onTestFinished(() => newer.close());
      const fileAfter = await server.query("SELECT pg_relation_filenode($1) AS node", [`${schema}.entry`]);
      // The same file: the rows were not written again.
      expect(fileAfter.rows).toEqual(fileBefore.rows);
      expect((await newer.entries?.get("default", ["a", "b"], createCall()))?.map(String)).toEqual([
        "a",
        "b",
      ]);
      expect(await versions()).toEqual({ a: 1, b: 1 });
      let largest = 1;
      for (const write of [
        () => newer.entries?.set("default", [{ key: "a", value: Buffer.from("v"), ttlMs: 0 }], createCall()),
        () => set("a"),
        // The same bytes are a write too.
        () => set("a"),
        async () => {
          await newer.entries?.delete("default", ["a"], createCall());
          await set("a");
        },
      ]) {
        await write();
        const { a = 0, b } = await versions();
        expect(a).toBeGreaterThan(largest);
        expect(b).toBe(1);
        largest = a;
      }
    });
  });

  test("who may not make schemas can use one that is there", async () => {
    const config = postgresSchema.parse({ type: "postgres", url: server.url, schema });
    const owner = createPostgresBackend(config);
    await owner.open();
    await owner.close();
    const role = `role_${schema}_${process.pid}`;
    await server.query(`CREATE ROLE ${role} LOGIN`);
    await server.query(`GRANT USAGE ON SCHEMA "${schema}" TO ${role}`);
    await server.query(`GRANT ALL ON ALL TABLES IN SCHEMA "${schema}" TO ${role}`);
    const url = new URL(server.url);
    url.username = role;
    const backend = createPostgresBackend({ ...config, url: url.href });
    await backend.open();
    await backend.check();
    await backend.close();
    await server.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  });
});
