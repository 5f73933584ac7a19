import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { createTestDatabase, hasTestDatabase, type TestDatabase } from "../../../tests/helpers/postgres.ts";
import { postgresSchema } from "./config.ts";
import { Database } from "./database.ts";
import { MIGRATIONS, migrate } from "./migrations.ts";
import { createStatements, SERVER_TIME } from "./statements.ts";

describe.runIf(hasTestDatabase())("a database", () => {
  let server: TestDatabase;

  beforeAll(async () => {
    server = await createTestDatabase();
    await server.query("CREATE TABLE here (id INTEGER)");
  });
  afterAll(() => server[Symbol.asyncDispose]());

  const STATEMENT = {
    name: "prism_here",
    text: "INSERT INTO here SELECT $1::integer RETURNING id",
    kind: "write",
  } as const;

  test.each([
    ["is gone", [[1]], "DEALLOCATE ALL"],
    ["somebody else has made", [], `PREPARE ${STATEMENT.name} AS SELECT 7`],
  ])("a prepared statement that %s is not run, and the call does not fail", async (_, before, meddle) => {
    const config = postgresSchema.parse({ type: "postgres", url: server.url, pool: { max: 1 } });
    const database = new Database(config);
    onTestFinished(() => database.close());
    const newer = { ...STATEMENT, name: `${STATEMENT.name}_2` };
    for (const row of before) {
      expect(await database.run(STATEMENT, row)).toEqual([row]);
    }
    await database.use((session) => session.query(meddle));
    expect(await database.run(STATEMENT, [2])).toEqual([[2]]);
    // Nothing is prepared from now on, so nothing can get lost again.
    expect(await database.run(newer, [3])).toEqual([[3]]);
    const prepared = "SELECT name FROM pg_prepared_statements";
    expect(await database.use(async (session) => (await session.query(prepared)).rows)).toEqual([]);
  });

  test("no statement is compiled, however much the server takes it to cost", async () => {
    const database = new Database(postgresSchema.parse({ type: "postgres", url: server.url }));
    onTestFinished(() => database.close());
    const plan = await database.use(async (session) => {
      await session.query("SET jit_above_cost = 0");
      return await session.query("EXPLAIN (ANALYZE) SELECT sum(i) FROM generate_series(1, 1000) AS i");
    });
    const lines = plan.rows.map((row) => String(row["QUERY PLAN"]));
    expect(lines.filter((line) => line.startsWith("JIT"))).toEqual([]);
  });

  test("a thousand keys are looked up one by one, also before the table has statistics", async () => {
    const schema = "looks";
    const database = new Database(postgresSchema.parse({ type: "postgres", url: server.url, schema }));
    onTestFinished(() => database.close());
    await database.use((client) => migrate(client, schema, MIGRATIONS));
    await server.query(`ALTER TABLE ${schema}.entry SET (autovacuum_enabled = off)`);
    const key = (i: string) => `convert_to(lpad(${i}::text, 8, '0'), 'UTF8')`;
    await server.query(
      `INSERT INTO ${schema}.entry (namespace, key, value) SELECT 'n', ${key("i")}, '' FROM generate_series(1, 50000) AS i`,
    );
    const { rows } = await server.query(
      `SELECT array_agg(${key("(i * 7)")})::text AS keys FROM generate_series(1, 1000) AS i`,
    );
    const statements = createStatements(schema, SERVER_TIME);
    for (const { name, text } of [statements.get, statements.exists, statements.delete]) {
      const plan = await database.use(async (session) => {
        await session.query(`PREPARE ${name} (text, bytea[]) AS ${text}`);
        return await session.query(`EXPLAIN (ANALYZE) EXECUTE ${name} ('n', '${rows[0]?.keys}')`);
      });
      const lines = plan.rows.map((row) => String(row["QUERY PLAN"]));
      expect(lines.join("\n")).toContain("rows=1000");
      expect(lines.filter((line) => line.includes("Removed by Filter"))).toEqual([]);
    }
  });
});

test("a statement's name stands for one text", () => {
  const statements = ["a", "b"].flatMap((schema) => Object.values(createStatements(schema, SERVER_TIME)));
  const names = statements.map(({ name }) => name);
  expect(new Set(names).size).toBe(new Set(statements.map(({ text }) => text)).size);
  // NAMEDATALEN: a longer name is cut, and could then equal another.
  for (const name of names) {
    expect(name.length).toBeLessThan(64);
  }
});
