/** Several gateways on one server, and a server that is killed, frozen, and gone. */
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { canStartPostgres, type PostgresProcess, startPostgres } from "../../testing/postgres.ts";
import { createBreakerBackend } from "../breaker.ts";
import { bytes, CALL, present } from "../conformance/harness.ts";
import { describeSharedStore, type StoreServer, useGateways } from "../conformance/shared-store.ts";
import { createCall } from "../contract.ts";
import { createBackend } from "../factory.ts";
import { createPostgresBackend } from "./backend.ts";
import { postgresSchema } from "./config.ts";

const VALUE = bytes("v");

describe.runIf(canStartPostgres())("postgres", () => {
  const configOf = ({ url }: PostgresProcess) =>
    postgresSchema.parse({ type: "postgres", url, pool: { max: 4, connect_timeout_ms: 500 } });

  /** A server as the tests of every store take it. */
  async function startStore(): Promise<PostgresProcess & StoreServer> {
    const server = await startPostgres();
    return { ...server, config: configOf(server) };
  }

  describeSharedStore("postgres", startStore);

  const { keep, open } = useGateways();
  const start = async () => keep(await startStore());
  const gateway = (of: StoreServer) => open(of.config);

  test("counts that wait do not keep other calls from the store, also when nobody waits for them any more", async () => {
    const postgres = await start();
    const { scans, entries, lists } = await gateway(postgres);
    await entries.set("n", [{ key: "a", value: VALUE, ttlMs: 0 }], CALL);
    const { Client } = (await import("pg")).default;
    const other = new Client({ connectionString: postgres.url });
    await other.connect();
    await other.query("BEGIN; LOCK TABLE prism.entry IN ACCESS EXCLUSIVE MODE");
    const leave = new AbortController();
    const counts = Array.from({ length: 10 }, () =>
      scans
        .count("n", "", createCall(leave.signal))
        .catch((error: unknown) => String(Reflect.get(Object(error), "reason"))),
    );
    expect(await lists.push("n", [{ key: "l", end: "left", value: VALUE }], CALL)).toEqual([1]);
    leave.abort();
    expect(await Promise.all(counts)).toEqual(counts.map(() => "canceled"));
    await other.end();
    expect(await scans.count("n", "", CALL)).toBe(1);
  });

  test("TLS that is asked for is not left out because the URL says so", async () => {
    const { url } = await start();
    const backend = createPostgresBackend(
      postgresSchema.parse({ type: "postgres", url: `${url}?sslmode=disable`, ssl: {} }),
    );
    await expect(backend.open()).rejects.toThrow("does not support SSL");
  });

  test("a page of large values ends with the one that fills it", async () => {
    const { entries, scans } = await gateway(await start());
    const large = new Uint8Array(1024 * 1024);
    for (let i = 0; i < 3; i++) await entries.set("n", [{ key: `k${i}`, value: large, ttlMs: 0 }], CALL);
    const query = { prefix: "", after: undefined, maxEntries: 1024, maxBytes: 256 * 1024, keysOnly: false };
    const page = await scans.scanPage("n", query, CALL);
    expect([page.keys, page.next, page.values.length]).toEqual([["k0"], "k0", 1]);
    const keys = await scans.scanPage("n", { ...query, keysOnly: true }, CALL);
    expect([keys.keys, keys.next, keys.values.length]).toEqual([["k0", "k1", "k2"], undefined, 0]);
  });

  test("a sweep deletes what is expired, also beside another gateway's", async () => {
    const postgres = await start();
    const { entries } = await gateway(postgres);
    const entry = (key: string, ttlMs: number) => ({ key, value: VALUE, ttlMs });
    const expiring = Array.from({ length: 3000 }, (_, i) => entry(`k${i}`, 1));
    await entries.set("n", [...expiring, entry("later", 60_000), entry("never", 0)], CALL);
    // A clock that is ahead, and not the sweeper of the store, which is as fast.
    const now = "statement_timestamp() + INTERVAL '1 second'";
    const ahead = [
      createPostgresBackend(configOf(postgres), { now }),
      createPostgresBackend(configOf(postgres), { now }),
    ];
    await Promise.all(ahead.map((backend) => backend.open()));
    await Promise.all(ahead.map((backend) => backend.sweep()));
    await Promise.all(ahead.map((backend) => backend.close()));
    await vi.waitFor(async () => {
      expect(await entries.exists("n", ["k0", "k2999", "later", "never"], CALL)).toEqual([
        false,
        false,
        true,
        true,
      ]);
    });
  });

  test("a count that nobody waits for any more does not go on", async () => {
    const postgres = await start();
    const { scans, entries } = await gateway(postgres);
    await entries.set("n", [{ key: "a", value: VALUE, ttlMs: 0 }], CALL);
    const { Client } = (await import("pg")).default;
    const other = new Client({ connectionString: postgres.url });
    await other.connect();
    await other.query("BEGIN; LOCK TABLE prism.entry IN ACCESS EXCLUSIVE MODE");
    const leave = new AbortController();
    const count = scans.count("n", "", createCall(leave.signal));
    const waiting = "SELECT count(*)::int AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    await vi.waitFor(async () => expect((await other.query(waiting)).rows[0].n).toBe(1));
    leave.abort();
    await expect(count).rejects.toMatchObject({ reason: "canceled" });
    await vi.waitFor(async () => expect((await other.query(waiting)).rows[0].n).toBe(0));
    await other.end();
    expect(await scans.count("n", "", CALL)).toBe(1);
  });

  test("a server that is not there at the start: everything else is served, and it is found when it comes", async () => {
    const postgres = await start();
    await postgres.kill();
    const backend = createBreakerBackend(createPostgresBackend(configOf(postgres)), 100);
    await backend.open();
    onTestFinished(() => backend.close());
    const get = () => present(backend.entries).get("n", ["a"], CALL);
    await expect(get()).rejects.toMatchObject({ reason: "store_unavailable" });
    await postgres.start();
    await vi.waitFor(get, { timeout: 5000 });
  });

  test("a start that can only fail says why at once, without the password", async () => {
    const postgres = await start();
    const url = new URL(postgres.url);
    url.pathname = "/nowhere";
    url.password = "s3cret";
    const backend = createBackend({ ...configOf(postgres), url: url.href });
    const error = await backend.open().catch((thrown: unknown) => thrown);
    expect(String(error)).toBe(
      `PrismError: PostgreSQL at ${url.host}/nowhere: database "nowhere" does not exist`,
    );
    const missing = createBackend({ ...configOf(postgres), ssl: { ca: "/no/such/file" } });
    await expect(missing.open()).rejects.toThrow("no such file");
  });
});
