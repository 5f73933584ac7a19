/** A store that is away at the start, or later. */
import { expect, test } from "vitest";
import { KeyValueBasicInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { postgresSchema } from "../server/backend/postgres/config.ts";
import { createTestDatabase, hasTestDatabase } from "./helpers/postgres.ts";
import { startTestServer } from "./helpers/server.ts";
import { waitFor } from "./helpers/until.ts";
import { rawCall } from "./protocol/raw.ts";
import { callRequest, POST_WIRES } from "./protocol/wire.ts";

const { exists } = KeyValueBasicInterface.method;

test("the namespaces of other stores are served; its own fail at once, and the operator reads why", async () => {
  // Nobody listens on port 1.
  const nobody = postgresSchema.parse({ type: "postgres", url: "postgres://u:s3cret@127.0.0.1:1/db" });
  await using server = await startTestServer({
    adjust: (config) => ({
      ...config,
      backends: { ...config.backends, main: nobody },
      namespaces: [...config.namespaces, { name: "orders", pattern: "keyvalue", backend: "main" }],
    }),
  });
  const [wire] = POST_WIRES;
  expect(await rawCall(server, callRequest(wire, exists, { key: "a" }))).toMatchObject({ httpStatus: 200 });
  for (let i = 0; i < 10; i++) {
    const answer = await rawCall(server, callRequest(wire, exists, { namespace: "orders", key: "a" }));
    expect(answer).toMatchObject({
      code: "unavailable",
      details: [{ retryable: true, namespace: "orders" }],
    });
  }
  const health = await fetch(`${server.adminUrl}/health`);
  expect([health.status, await health.json()]).toEqual([
    503,
    {
      status: "not_serving",
      namespaces: {
        default: { backend: "memory", status: "serving" },
        orders: { backend: "postgres", status: "not_serving" },
      },
    },
  ]);
  const warnings = server.log.filter(({ msg }) => msg === "store is away");
  expect(warnings).toEqual([expect.objectContaining({ backend: "main", type: "postgres" })]);
  expect(JSON.stringify(server.log)).not.toContain("s3cret");
});

test.runIf(hasTestDatabase())(
  "tables that are dropped: health and calls say so, until they are back",
  async () => {
    await using database = await createTestDatabase();
    await using server = await startTestServer({
      adjust: (config) => ({
        ...config,
        backends: { main: postgresSchema.parse({ type: "postgres", url: database.url }) },
        namespaces: [{ name: "default", pattern: "keyvalue", backend: "main" }],
      }),
    });
    const [wire] = POST_WIRES;
    const call = () => rawCall(server, callRequest(wire, exists, { key: "a" }));
    const status = async () => (await fetch(`${server.adminUrl}/health`)).status;
    expect([await call(), await status()]).toEqual([expect.objectContaining({ httpStatus: 200 }), 200]);
    await database.query("ALTER SCHEMA prism RENAME TO gone");
    expect(await status()).toBe(503);
    expect(await call()).toMatchObject({ code: "unavailable", message: "the store's tables are missing" });
    await database.query("ALTER SCHEMA gone RENAME TO prism");
    await waitFor(async () => expect(await status()).toBe(200));
    expect(await call()).toMatchObject({ httpStatus: 200 });
  },
);
