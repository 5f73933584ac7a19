/** A URL with several hosts. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  canStartPostgres,
  type PostgresProcess,
  query,
  startPostgres,
} from "../../../tests/helpers/postgres.ts";
import { waitFor } from "../../../tests/helpers/until.ts";
import { bytes, CALL, texts } from "../conformance/harness.ts";
import { useGateways } from "../conformance/shared-store.ts";
import { createBackend } from "../factory.ts";
import { postgresSchema } from "./config.ts";

const A = [{ key: "a", value: bytes("v"), ttlMs: 0 }];

describe.runIf(canStartPostgres())("several hosts", () => {
  let servers: [PostgresProcess, PostgresProcess];

  beforeAll(async () => {
    servers = await Promise.all([startPostgres(), startPostgres()]);
  });
  afterAll(() => Promise.all(servers.map((server) => server[Symbol.asyncDispose]())));

  const { open } = useGateways();
  let schemas = 0;

  /** Of both servers in this order, with a new schema. */
  function configOf([first, second]: readonly [PostgresProcess, PostgresProcess], attributes: string) {
    const { host } = new URL(first.url);
    const url = first.url.replace(host, `${host},${new URL(second.url).host}`);
    return postgresSchema.parse({
      type: "postgres",
      url: `${url}?target_session_attrs=${attributes}`,
      schema: `hosts_${++schemas}`,
      pool: { max: 4, connect_timeout_ms: 2000 },
    });
  }

  async function setReadOnly({ url }: PostgresProcess, isReadOnly: boolean): Promise<void> {
    await query(url, `ALTER SYSTEM SET default_transaction_read_only TO ${isReadOnly ? "on" : "off"}`);
    await query(url, "SELECT pg_reload_conf()");
  }

  /** Whether the server has the schema of `config`, and so was written to. */
  async function wasWritten(server: PostgresProcess, { schema }: { readonly schema: string }) {
    return await query(server.url, `SELECT count(*) FROM ${schema}.entry`).then(
      () => true,
      () => false,
    );
  }

  test("the first that can be had is taken", async () => {
    const config = configOf(servers, "any");
    const { entries } = await open(config);
    await entries.set("n", A, CALL);
    expect([await wasWritten(servers[0], config), await wasWritten(servers[1], config)]).toEqual([
      true,
      false,
    ]);
    await servers[0].kill();
    const other = configOf(servers, "any");
    await (await open(other)).entries.set("n", A, CALL);
    expect(await wasWritten(servers[1], other)).toBe(true);
    await servers[0].start();
  });

  test("with read-write, a server that takes writes is chosen, and another when it no longer does", async () => {
    await setReadOnly(servers[0], true);
    const config = configOf(servers, "read-write");
    const { entries, lists, backend } = await open(config);
    await entries.set("n", A, CALL);
    expect([await wasWritten(servers[0], config), await wasWritten(servers[1], config)]).toEqual([
      false,
      true,
    ]);

    // The primary changes to a server that has the schema, as its replica would.
    await setReadOnly(servers[0], false);
    const before = { ...config, url: servers[0].url };
    await (await open(before)).entries.set("n", [{ key: "a", value: bytes("other"), ttlMs: 0 }], CALL);
    // Several connections of the pool lead to the remaining server.
    await Promise.all(
      Array.from({ length: 8 }, () => lists.push("n", [{ key: "l", end: "left", value: bytes("v") }], CALL)),
    );
    await setReadOnly(servers[1], true);
    await waitFor(async () => expect(texts(await entries.get("n", ["a"], CALL))).toEqual(["other"]));
    await entries.set("n", A, CALL);

    await setReadOnly(servers[1], false);
    await servers[0].kill();
    await waitFor(() => backend.check());
    await entries.set("n", A, CALL);
    await servers[0].start();
  });

  test("where none takes writes, the start says so for the last that was tried, and goes on when one does", async () => {
    await Promise.all(servers.map((server) => setReadOnly(server, true)));
    const backend = await createBackend(configOf(servers, "read-write"));
    await backend.open();
    const error = await backend.check().catch((thrown: unknown) => thrown);
    expect(String(Reflect.get(Object(Reflect.get(Object(error), "cause")), "message"))).toMatch(
      /^PostgreSQL at 127\.0\.0\.1:\d+,127\.0\.0\.1:\d+\/postgres: 127\.0\.0\.1:\d+ takes no writes$/,
    );
    await setReadOnly(servers[1], false);
    await waitFor(() => backend.check());
    await backend.close();
    await setReadOnly(servers[0], false);
  });
});
