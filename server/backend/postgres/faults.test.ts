/** Several gateways on one server, and a server that is killed, frozen and away. */
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import {
  canStartPostgres,
  lockTable,
  type PostgresProcess,
  startPostgres,
} from "../../../tests/helpers/postgres.ts";
import { waitFor } from "../../../tests/helpers/until.ts";
import { bytes, CALL, present } from "../conformance/harness.ts";
import { describeSharedStore, type StoreServer, useGateways } from "../conformance/shared-store.ts";
import { createCall } from "../contract.ts";
import { createBackend } from "../factory.ts";
import { createBreakerBackend } from "../layers/breaker.ts";
import { createPostgresBackend } from "./backend.ts";
import { postgresSchema } from "./config.ts";

const VALUE = bytes("v");
const PAGE = { prefix: "", after: undefined, maxEntries: 10, maxBytes: 1000, keysOnly: true };

describe.runIf(canStartPostgres())("postgres", () => {
  const configOf = ({ url }: PostgresProcess) =>
    postgresSchema.parse({ type: "postgres", url, pool: { max: 4, connect_timeout_ms: 500 } });

  /** A server in the form of the tests for every store. */
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
    const lock = await lockTable(postgres.url, "prism.entry");
    const leave = new AbortController();
    const counts = Array.from({ length: 10 }, () =>
      scans
        .count("n", "", createCall(leave.signal))
        .catch((error: unknown) => String(Reflect.get(Object(error), "reason"))),
    );
    expect(await lists.push("n", [{ key: "l", end: "left", value: VALUE }], CALL)).toEqual([1]);
    leave.abort();
    expect(await Promise.all(counts)).toEqual(counts.map(() => "canceled"));
    await lock[Symbol.asyncDispose]();
    expect(await scans.count("n", "", CALL)).toBe(1);
  });

  test("calls on a table that somebody locks wait for longer than a silent connection is waited for; others go on", async () => {
    const postgres = await start();
    const { backend, entries, scans, lists } = await gateway(postgres);
    await entries.set("n0", [{ key: "a", value: VALUE, ttlMs: 0 }], CALL);
    const lock = await lockTable(postgres.url, "prism.entry");
    let answered = 0;
    // More than there are connections.
    const waiting = Array.from({ length: 12 }, async (_, i) => {
      const namespace = `n${i % 6}`;
      await Promise.all([
        entries.get(namespace, ["a"], CALL),
        entries.set(namespace, [{ key: "a", value: VALUE, ttlMs: 0 }], CALL),
        scans.count(namespace, "", CALL),
        scans.scanPage(namespace, PAGE, CALL),
      ]);
      answered++;
    });
    for (const endsAtMs = performance.now() + 6500; performance.now() < endsAtMs; ) {
      await lists.push("n0", [{ key: "l", end: "left", value: VALUE }], CALL);
      await backend.check();
      await delay(100);
    }
    expect(answered).toBe(0);
    await lock[Symbol.asyncDispose]();
    await Promise.all(waiting);
  });

  test("a store is closed though a table is locked: statements that nobody waits for any more are ended", async () => {
    const postgres = await start();
    const { backend, entries } = await gateway(postgres);
    await using lock = await lockTable(postgres.url, "prism.entry");
    const leave = new AbortController();
    const call = createCall(leave.signal);
    const calls = [
      entries.get("n", ["a"], call),
      entries.set("n", [{ key: "a", value: VALUE, ttlMs: 0 }], call),
      // Two statements that run together.
      entries.get("m", ["a"], call),
      entries.get("m", ["b"], call),
    ].map((work) => work.catch((error: unknown) => String(error)));
    await waitFor(async () => expect(await lock.waiting()).toBe(3));
    leave.abort();
    const closed = backend.close();
    const canceled = "PrismError: the call was canceled";
    expect(await Promise.all(calls)).toEqual(calls.map(() => canceled));
    await closed;
    // PostgreSQL hears of a cancel at once, and ends the statement a moment later.
    await waitFor(async () => expect(await lock.waiting()).toBe(0));
  });

  test("TLS that is asked for is not left out because the URL says so", async () => {
    const { url } = await start();
    const backend = createPostgresBackend(
      postgresSchema.parse({ type: "postgres", url: `${url}?sslmode=disable`, tls: {} }),
    );
    await expect(backend.open()).rejects.toThrow("does not support SSL");
  });

  test("a page of large values ends with the one that fills it", async () => {
    const { entries, scans } = await gateway(await start());
    const large = new Uint8Array(1024 * 1024);
    for (let i = 0; i < 3; i++) {
      await entries.set("n", [{ key: `k${i}`, value: large, ttlMs: 0 }], CALL);
    }
    const query = { prefix: "", after: undefined, maxEntries: 1024, maxBytes: 256 * 1024, keysOnly: false };
    const page = await scans.scanPage("n", query, CALL);
    expect([page.keys, page.next, page.values.length]).toEqual([["k0"], "k0", 1]);
    const keys = await scans.scanPage("n", { ...query, keysOnly: true }, CALL);
    expect([keys.keys, keys.next, keys.values.length]).toEqual([["k0", "k1", "k2"], undefined, 0]);
  });

  test("a sweep deletes expired entries, also beside another gateway's sweep", async () => {
    const postgres = await start();
    const { entries } = await gateway(postgres);
    const entry = (key: string, ttlMs: number) => ({ key, value: VALUE, ttlMs });
    const expiring = Array.from({ length: 3000 }, (_, i) => entry(`k${i}`, 1));
    await entries.set("n", [...expiring, entry("later", 60_000), entry("never", 0)], CALL);
    // Backends with a clock that is ahead sweep, so that the store's own sweeper cannot be first.
    const now = "statement_timestamp() + INTERVAL '1 second'";
    const ahead = [
      createPostgresBackend(configOf(postgres), { now }),
      createPostgresBackend(configOf(postgres), { now }),
    ];
    await Promise.all(ahead.map((backend) => backend.open()));
    await Promise.all(ahead.map((backend) => backend.sweep()));
    await Promise.all(ahead.map((backend) => backend.close()));
    await waitFor(async () => {
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
    const lock = await lockTable(postgres.url, "prism.entry");
    const leave = new AbortController();
    const count = scans.count("n", "", createCall(leave.signal));
    await waitFor(async () => expect(await lock.waiting()).toBe(1));
    leave.abort();
    await expect(count).rejects.toMatchObject({ reason: "canceled" });
    await waitFor(async () => expect(await lock.waiting()).toBe(0));
    await lock[Symbol.asyncDispose]();
    expect(await scans.count("n", "", CALL)).toBe(1);
  });

  test("a server that is away at the start: everything else is served, and it is found when it comes", async () => {
    const postgres = await start();
    await postgres.kill();
    const backend = createBreakerBackend(createPostgresBackend(configOf(postgres)), 100);
    await backend.open();
    onTestFinished(() => backend.close());
    const get = () => present(backend.entries).get("n", ["a"], CALL);
    await expect(get()).rejects.toMatchObject({ reason: "store_unavailable" });
    await postgres.start();
    await waitFor(get);
  });

  test("a start that can only fail says why at once, without the password", async () => {
    const postgres = await start();
    const url = new URL(postgres.url);
    url.pathname = "/nowhere";
    url.password = "s3cret";
    const backend = await createBackend({ ...configOf(postgres), url: url.href });
    const error = await backend.open().catch((thrown: unknown) => thrown);
    expect(String(error)).toBe(
      `PrismError: PostgreSQL at ${url.host}/nowhere: database "nowhere" does not exist`,
    );
    const missing = await createBackend({ ...configOf(postgres), tls: { ca: "/no/such/file" } });
    await expect(missing.open()).rejects.toThrow("no such file");
  });
});
