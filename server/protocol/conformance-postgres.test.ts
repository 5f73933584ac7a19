import { afterAll, beforeAll, describe } from "vitest";
import * as prism from "../../client/node.ts";
import { NAMESPACES } from "../backend/conformance/harness.ts";
import { describeBackend } from "../backend/conformance/suite.ts";
import { createGuardedBackend } from "../backend/guarded.ts";
import { postgresSchema } from "../backend/postgres/config.ts";
import { MAX_TTL_SECONDS } from "../limits.ts";
import { createTestDatabase, hasTestDatabase, type TestDatabase } from "../testing/postgres.ts";
import { startTestServer } from "../testing/server.ts";
import { createWireBackend } from "../testing/wire-backend.ts";

describe.runIf(hasTestDatabase())("PostgreSQL", () => {
  let database: TestDatabase;
  let schemas = 0;

  beforeAll(async () => {
    database = await createTestDatabase();
  });
  afterAll(async () => {
    await database[Symbol.asyncDispose]();
  });

  describeBackend({
    name: "postgres behind gRPC",
    capabilities: ["entries", "scans", "lists"],
    durable: true,
    batches: false,
    // The server's clock counts, and cannot be moved.
    movesClock: false,
    maxTtlMs: MAX_TTL_SECONDS,
    async create() {
      const schema = `wire_${++schemas}`;
      const server = await startTestServer({
        adjust: (config) => ({
          ...config,
          server: { ...config.server, shutdownGraceMs: 0 },
          backends: { database: postgresSchema.parse({ type: "postgres", url: database.url, schema }) },
          namespaces: NAMESPACES.map((name) => ({ name, pattern: "keyvalue", backend: "database" })),
        }),
      });
      const transport = prism.createGrpcTransport({ baseUrl: server.baseUrl });
      return {
        backend: createGuardedBackend(createWireBackend(transport)),
        advance() {},
        clear: async () => {
          await database.query(`TRUNCATE "${schema}".entry, "${schema}".list, "${schema}".list_item`);
        },
        async dispose() {
          transport.close();
          await server.stop();
        },
      };
    },
  });
});
