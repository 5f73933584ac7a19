/** A server that stays up, and a network to it that fails. */
import { describe } from "vitest";
import { canStartPostgres, startPostgres } from "../../../tests/helpers/postgres.ts";
import { describeCutStore } from "../conformance/cut-store.ts";
import { postgresSchema } from "./config.ts";

describe.runIf(canStartPostgres())("postgres", () => {
  describeCutStore("postgres", async () => {
    const server = await startPostgres();
    return {
      port: Number(new URL(server.url).port),
      configAt(port, schema) {
        const url = new URL(server.url);
        url.port = String(port);
        return postgresSchema.parse({
          type: "postgres",
          url: url.href,
          schema,
          pool: { max: 4, connect_timeout_ms: 500 },
        });
      },
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  });
});
