import type { Room } from "../room.ts";
import { type PostgresConfig, postgresSchema } from "./config.ts";
import { readUrl } from "./url.ts";

/** A store in a PostgreSQL schema. */
export const postgresRoom = {
  type: "postgres",
  schema: postgresSchema,
  layers: ["measured", "breaker", "coalesced"],
  async create(config) {
    const { createPostgresBackend } = await import("./backend.ts");
    return [createPostgresBackend(config)];
  },
  async *diagnose(config, timeoutMs) {
    const { diagnose } = await import("./diagnose.ts");
    yield* diagnose(config, timeoutMs);
  },
  place: ({ url, schema }) => `${readUrl(url, true).place}, schema ${schema}`,
} as const satisfies Room<PostgresConfig>;
