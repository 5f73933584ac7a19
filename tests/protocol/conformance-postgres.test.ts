import { afterAll, beforeAll, describe } from "vitest";
import { postgresSchema } from "../../server/backend/postgres/config.ts";
import { createTestDatabase, hasTestDatabase, type TestDatabase } from "../helpers/postgres.ts";
import { describeBehindGrpc } from "./conformance-store.ts";

describe.runIf(hasTestDatabase())("PostgreSQL", () => {
  let database: TestDatabase;
  let schemas = 0;

  beforeAll(async () => {
    database = await createTestDatabase();
  });
  afterAll(async () => {
    await database[Symbol.asyncDispose]();
  });

  describeBehindGrpc("postgres", () => {
    const schema = `wire_${++schemas}`;
    return {
      config: postgresSchema.parse({ type: "postgres", url: database.url, schema }),
      clear: async () => {
        await database.query(
          `TRUNCATE "${schema}".entry, "${schema}".list, "${schema}".list_item, "${schema}".record_item, "${schema}".stream, "${schema}".event`,
        );
      },
    };
  });
});
