import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTestDatabase, hasTestDatabase, type TestDatabase } from "../../../tests/helpers/postgres.ts";
import { waitFor } from "../../../tests/helpers/until.ts";
import type { Gateways } from "../conformance/blocking.ts";
import { present } from "../conformance/harness.ts";
import { appendTexts, describeTails, payloadsOf, waitEvents } from "../conformance/tails.ts";
import { createBackend } from "../factory.ts";
import { postgresSchema } from "./config.ts";

describe.runIf(hasTestDatabase())("postgres", () => {
  let database: TestDatabase | undefined;
  let schemas = 0;

  beforeAll(async () => {
    database = await createTestDatabase();
  });
  afterAll(async () => {
    await database?.[Symbol.asyncDispose]();
  });

  async function openGateways(): Promise<Gateways> {
    const db = present(database);
    const schema = `test_${++schemas}`;
    const config = postgresSchema.parse({ type: "postgres", url: db.url, schema });
    const backends = await Promise.all([0, 1].map(() => createBackend(config)));
    for (const backend of backends) {
      await backend.open();
    }
    return {
      backends,
      async [Symbol.asyncDispose]() {
        await Promise.all(backends.map((backend) => backend.close()));
        await db.query(`DROP SCHEMA "${schema}" CASCADE`);
      },
    };
  }

  describeTails("postgres, two gateways", openGateways);

  test("who waits gets the events, whatever happens to the connection that listens", async () => {
    await using gateways = await openGateways();
    const [first, last] = gateways.backends;
    const { query } = present(database);
    const listening = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%'";
    await appendTexts(present(last), "a", ["0"]);
    for (let offset = 1; offset < 5; offset++) {
      const waits = waitEvents(present(first), "a", { offset });
      await waitFor(async () => expect((await query(listening)).rows.length).toBeGreaterThan(0));
      await query(`SELECT pg_terminate_backend(pid) FROM (${listening}) AS found`);
      await appendTexts(present(last), "a", [String(offset)]);
      expect(payloadsOf(await waits)).toEqual([String(offset)]);
    }
  });
});
