import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  canStartPostgres,
  createTestDatabase,
  hasTestDatabase,
  startPostgres,
  type TestDatabase,
} from "../../tests/helpers/postgres.ts";
import { waitFor } from "../../tests/helpers/until.ts";
import { createPostgresCatalog } from "./postgres.ts";
import { describeCatalog, newNamespace } from "./suite.ts";

describe.runIf(hasTestDatabase())("PostgreSQL", () => {
  let database: TestDatabase;
  let schemas = 0;
  beforeAll(async () => {
    database = await createTestDatabase();
  });
  afterAll(() => database[Symbol.asyncDispose]());

  const create = (schema: string) => createPostgresCatalog({ type: "postgres", url: database.url, schema });

  describeCatalog({
    name: "a PostgreSQL schema",
    durable: true,
    shared: true,
    async place() {
      const schema = `control_${++schemas}`;
      return { create: () => create(schema), async [Symbol.asyncDispose]() {} };
    },
  });

  test("tells of changes without a notification too", async () => {
    const [one, other] = [create("polled"), create("polled")];
    await one.open();
    await other.open();
    let told = 0;
    const stop = one.watch(() => told++);
    await one.load();
    await other.save(newNamespace("a"));
    await waitFor(() => expect(told).toBeGreaterThan(0));
    await one.load();
    const before = told;
    await database.query("UPDATE polled.catalog SET revision = revision + 1");
    await waitFor(() => expect(told).toBeGreaterThan(before));
    stop();
    await Promise.all([one.close(), other.close()]);
  });

  test("opens at the same time on several gateways", async () => {
    const catalogs = Array.from({ length: 4 }, () => create("at_once"));
    await Promise.all(catalogs.map((each) => each.open()));
    await Promise.all(catalogs.map((each) => each.close()));
  });
});

test.runIf(canStartPostgres())("a PostgreSQL that goes and comes back", async () => {
  await using server = await startPostgres();
  const catalog = createPostgresCatalog({ type: "postgres", url: server.url, schema: "control" });
  await catalog.open();
  const saved = await catalog.save(newNamespace("a"));
  let told = 0;
  const stop = catalog.watch(() => told++);
  const lost = Promise.withResolvers<void>();
  const began = Promise.withResolvers<void>();
  const working = catalog.exclusively?.(saved, async (signal) => {
    signal.addEventListener("abort", () => lost.resolve());
    began.resolve();
    await lost.promise;
    throw new Error("gave up");
  });
  const failed = expect(working).rejects.toMatchObject({ reason: "store_unavailable" });
  await began.promise;
  await server.kill();
  await failed;
  await expect(catalog.load()).rejects.toMatchObject({ reason: "store_unavailable" });
  await expect(catalog.save(newNamespace("b"))).rejects.toMatchObject({ reason: "store_unavailable" });
  await server.start();
  await waitFor(async () => expect(await catalog.load()).toEqual([saved]));
  const other = createPostgresCatalog({ type: "postgres", url: server.url, schema: "control" });
  await other.open();
  await other.save(newNamespace("b"));
  await waitFor(() => expect(told).toBeGreaterThan(0));
  stop();
  await Promise.all([catalog.close(), other.close()]);
});
