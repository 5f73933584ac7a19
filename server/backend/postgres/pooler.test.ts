/** A pooler between gateway and PostgreSQL, whose server connections many clients share. */
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import {
  canStartPgBouncer,
  type PgBouncerProcess,
  startPgBouncer,
} from "../../../tests/helpers/pgbouncer.ts";
import {
  canStartPostgres,
  lockTable,
  type PostgresProcess,
  query,
  startPostgres,
  type TableLock,
} from "../../../tests/helpers/postgres.ts";
import { startTcpProxy } from "../../../tests/helpers/tcp-proxy.ts";
import { waitFor } from "../../../tests/helpers/until.ts";
import { asPrismError } from "../../errors.ts";
import { MAX_TTL_SECONDS } from "../../limits.ts";
import { blockingPop, pushTexts } from "../conformance/blocking.ts";
import { ALL_CAPABILITIES, bytes, CALL, texts } from "../conformance/harness.ts";
import { describeSharedStore, type Gateway, useGateways } from "../conformance/shared-store.ts";
import { describeBackend } from "../conformance/suite.ts";
import { type Call, createCall } from "../contract.ts";
import { createBackend } from "../factory.ts";
import { createGuardedBackend } from "../layers/guarded.ts";
import { createPostgresBackend } from "./backend.ts";
import { postgresSchema } from "./config.ts";

const page = (prefix: string) => ({
  prefix,
  after: undefined,
  maxEntries: 100,
  maxBytes: 100_000,
  keysOnly: false,
});

const reasonOf = (error: unknown) => asPrismError(error).reason;

describe.runIf(canStartPostgres() && canStartPgBouncer())("behind PgBouncer", () => {
  let server: PostgresProcess;
  let pooler: PgBouncerProcess;
  let suites = 0;

  beforeAll(async () => {
    server = await startPostgres();
    pooler = await startPgBouncer(server.url, "transaction");
  });
  afterAll(async () => {
    await pooler[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  const { open } = useGateways();
  const gateway = (schema: string, url = pooler.url) =>
    open(postgresSchema.parse({ type: "postgres", url, schema }));

  /** Makes every call of the contract, on keys and a list of its own. */
  async function callAll({ entries, scans, lists }: Gateway, me: string, round: number): Promise<void> {
    const key = `${me}:k`;
    const value = bytes(`${me}:${round}`);
    await entries.set("n", [{ key, value, ttlMs: 0 }], CALL);
    expect(texts(await entries.get("n", [key], CALL))).toEqual([`${me}:${round}`]);
    expect(await entries.exists("n", [key], CALL)).toEqual([true]);
    expect((await scans.scanPage("n", page(`${me}:`), CALL)).keys).toEqual([key]);
    expect(await scans.count("n", `${me}:`, CALL)).toBe(1);
    expect(await lists.push("n", [{ key, end: "right", value }], CALL)).toEqual([1]);
    expect(await lists.length("n", [key], CALL)).toEqual([1]);
    expect(texts(await lists.pop("n", [{ key, end: "left" }], CALL))).toEqual([`${me}:${round}`]);
    expect(await entries.delete("n", [key], CALL)).toEqual([true]);
  }

  test("who waits for a value looks for it, because nobody can listen there", async () => {
    const backend = await createBackend(
      postgresSchema.parse({ type: "postgres", url: pooler.url, schema: "waits" }),
    );
    await backend.open();
    onTestFinished(() => backend.close());
    const waits = [blockingPop(backend, "a"), blockingPop(backend, "a", "right")];
    await pushTexts(backend, "a", ["1", "2"]);
    expect(await Promise.all(waits)).toEqual(["1", "2"]);
  });

  test("two schemas of one database never see each other's data", async () => {
    const teams = ["team_a", "team_b"];
    const gateways = await Promise.all(teams.map((team) => gateway(team)));
    await Promise.all(
      gateways.flatMap(({ entries }, team) =>
        Array.from({ length: 20 }, async (_, caller) => {
          for (let round = 0; round < 30; round++) {
            const value = `${teams[team]}:${caller}:${round}`;
            await entries.set("n", [{ key: `k${caller}`, value: bytes(value), ttlMs: 0 }], CALL);
            expect(texts(await entries.get("n", [`k${caller}`], CALL))).toEqual([value]);
          }
        }),
      ),
    );
  });

  test("a hundred callers of two gateways make every call, and go on when a gateway starts anew", async () => {
    const callers = async (gateways: readonly Gateway[], name: string) => {
      await Promise.all(
        Array.from({ length: 100 }, async (_, caller) => {
          const mine = gateways[caller % gateways.length];
          if (mine === undefined) {
            throw new Error("no gateway");
          }
          for (let round = 0; round < 3; round++) {
            await callAll(mine, `${name}:${caller}`, round);
          }
        }),
      );
    };
    const before = await Promise.all([gateway("shared"), gateway("shared")]);
    await callers(before, "before");
    await before[0]?.backend.close();
    await callers([await gateway("shared")], "after");
    await before[1]?.backend.check();
  });

  test("what Prism sets for itself is never another client's", async () => {
    const { entries, lists } = await gateway("polite");
    await entries.set("n", [{ key: "a", value: bytes("v"), ttlMs: 0 }], CALL);
    await lists.push("n", [{ key: "a", end: "left", value: bytes("v") }], CALL);
    const others = Array.from({ length: 3 }, () => new pg.Client({ connectionString: pooler.url }));
    await Promise.all(others.map((other) => other.connect()));
    // One transaction for each, so that all server connections are checked.
    for (const other of others) {
      await other.query("BEGIN");
    }
    for (const other of others) {
      expect((await other.query("SHOW enable_seqscan")).rows).toEqual([{ enable_seqscan: "on" }]);
      expect((await other.query("SELECT * FROM pg_prepared_statements")).rows).toEqual([]);
      await other.end();
    }
  });

  test("the settings of the database are not the store's", async () => {
    await query(server.url, "CREATE DATABASE odd");
    for (const set of [
      "bytea_output TO escape",
      "default_transaction_isolation TO serializable",
      "search_path TO nowhere",
    ]) {
      await query(server.url, `ALTER DATABASE odd SET ${set}`);
    }
    const url = new URL(pooler.url);
    url.pathname = "/odd";
    await callAll(await gateway("prism", url.href), "odd", 0);
  });

  test("a pooler that restarts, and one that replaces the server", async () => {
    await using direct = await startTcpProxy(Number(new URL(server.url).port));
    const both = new URL(pooler.url);
    both.host = `127.0.0.1:${direct.port}`;
    const url = both.href.replace(both.host, `${both.host},${new URL(pooler.url).host}`);
    const mine = await gateway("moved", url);
    await callAll(mine, "direct", 0);
    expect(direct.connections).toBeGreaterThan(0);
    direct.refuse();
    await waitFor(() => mine.backend.check());
    await Promise.all(Array.from({ length: 20 }, (_, i) => callAll(mine, `pooled:${i}`, 0)));
    await pooler.restart();
    await waitFor(() => mine.backend.check());
    await Promise.all(Array.from({ length: 20 }, (_, i) => callAll(mine, `again:${i}`, 0)));
  });

  test("a count is ended when nobody waits for it any more", async () => {
    const { scans } = await gateway("counted");
    const lock = await lockTable(server.url, "counted.entry");
    const leave = new AbortController();
    const count = scans.count("n", "", createCall(leave.signal));
    await waitFor(async () => expect(await lock.waiting()).toBe(1));
    leave.abort();
    await expect(count).rejects.toMatchObject({ reason: "canceled" });
    await waitFor(async () => expect(await lock.waiting()).toBe(0));
    await lock[Symbol.asyncDispose]();
    expect(await scans.count("n", "", CALL)).toBe(0);
  });

  /**
   * Makes this many calls of each kind, on more connections than the pooler has. Answers how they
   * failed.
   */
  function callMany({ entries, scans }: Gateway, count: number, call: Call): Promise<unknown>[] {
    return Array.from({ length: count }, (_, i) => [
      entries.get(`n${i}`, ["a"], call),
      entries.set(`n${i}`, [{ key: "a", value: bytes("v"), ttlMs: 0 }], call),
      scans.count(`n${i}`, "", call),
    ])
      .flat()
      .map((work) => work.then(() => "answered", reasonOf));
  }

  /** Until the pooler's connections wait for the lock, and others for them. */
  const untilLocked = (lock: TableLock) => waitFor(async () => expect(await lock.waiting()).toBe(3));

  test("calls wait while a lock keeps all of the pooler's connections, others have their turn, and all are answered", async () => {
    const mine = await gateway("locked");
    await using lock = await lockTable(server.url, "locked.entry");
    let isOver = false;
    const waiting = callMany(mine, 3, CALL);
    void Promise.race(waiting).then(() => (isOver = true));
    await untilLocked(lock);
    // Longer than the limits for a silent connection and for a server that nobody heard from.
    for (const endsAtMs = performance.now() + 18_000; performance.now() < endsAtMs; ) {
      await mine.lists.push("n", [{ key: "l", end: "left", value: bytes("v") }], CALL);
      await mine.backend.check();
      expect(isOver).toBe(false);
      await delay(500);
    }
    await lock[Symbol.asyncDispose]();
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(["answered"]));
  }, 60_000);

  test("calls that nobody waits for any more end though the table stays locked", async () => {
    const mine = await gateway("leaving");
    await using lock = await lockTable(server.url, "leaving.entry");
    const leave = new AbortController();
    const waiting = callMany(mine, 3, createCall(leave.signal));
    await untilLocked(lock);
    leave.abort();
    await Promise.all(waiting);
    await mine.backend.check();
  });

  test.each([
    ["the pooler", () => pooler],
    ["the server behind it", () => server],
  ])(
    "%s is frozen: calls that wait for a lock are given up, and service resumes when it goes on",
    async (_, of) => {
      const mine = await gateway("frozen");
      const lock = await lockTable(server.url, "frozen.entry");
      onTestFinished(() => {
        of().signal("SIGCONT");
        return lock[Symbol.asyncDispose]();
      });
      const waiting = callMany(mine, 3, CALL);
      await untilLocked(lock);
      of().signal("SIGSTOP");
      const ends = await Promise.all(waiting);
      // Calls that had not begun had no effect, and their errors say so.
      expect(ends.filter((end) => end !== "outcome_unknown" && end !== "store_unavailable")).toEqual([]);
      const fast = await Promise.race([
        mine.entries.get("n", ["a"], CALL).catch(reasonOf),
        delay(400, "late"),
      ]);
      expect(fast).toBe("store_unavailable");
      of().signal("SIGCONT");
      await lock[Symbol.asyncDispose]();
      await waitFor(() => callAll(mine, "frozen", 0));
    },
    60_000,
  );

  test("a call that waits longer than the pooler allows has no effect, and its error says so", async () => {
    await using strict = await startPgBouncer(server.url, "transaction", ["query_wait_timeout = 1"]);
    const mine = await gateway("strict", strict.url);
    const others = Array.from({ length: 3 }, () => new pg.Client({ connectionString: strict.url }));
    await Promise.all(others.map((other) => other.connect()));
    await Promise.all(others.map((other) => other.query("BEGIN")));
    await expect(
      mine.lists.push("n", [{ key: "l", end: "left", value: bytes("v") }], CALL),
    ).rejects.toMatchObject({ reason: "store_unavailable" });
    await Promise.all(others.map((other) => other.end()));
    await waitFor(() => mine.backend.check());
    expect(await mine.lists.length("n", ["l"], CALL)).toEqual([0]);
  });

  test("in session mode it works too; where it cannot, the start is refused and says what to do", async () => {
    await using session = await startPgBouncer(server.url, "session", ["max_client_conn = 20"]);
    await callAll(await gateway("sessions", session.url), "a", 0);
    await using single = await startPgBouncer(server.url, "statement");
    await expect(gateway("single", single.url)).rejects.toThrow(
      "set pool_mode to transaction or session for this database",
    );
    const options = `${pooler.url}?options=-c%20statement_timeout%3D5s`;
    await expect(gateway("options", options)).rejects.toThrow("give the setting to the role");
  });

  describeSharedStore("postgres behind PgBouncer", async () => {
    const mine = await startPostgres();
    // A server that is gone is tried again at once. A client that waits for a reachable one soon
    // gets an error.
    const settings = ["server_login_retry = 0", "query_wait_timeout = 1"];
    const front = await startPgBouncer(mine.url, "transaction", settings);
    return {
      ...mine,
      config: postgresSchema.parse({
        type: "postgres",
        url: front.url,
        pool: { max: 3, connect_timeout_ms: 500 },
      }),
      async [Symbol.asyncDispose]() {
        await front[Symbol.asyncDispose]();
        await mine[Symbol.asyncDispose]();
      },
    };
  });

  describeBackend({
    name: "postgres behind PgBouncer",
    capabilities: ALL_CAPABILITIES,
    durable: true,
    atomic: "namespace",
    // The clock is the server's.
    movesClock: false,
    maxTtlMs: MAX_TTL_SECONDS * 1000,
    async create() {
      const schema = `suite_${++suites}`;
      const config = postgresSchema.parse({ type: "postgres", url: pooler.url, schema });
      return {
        backend: createGuardedBackend(createPostgresBackend(config)),
        advance() {},
        clear: () =>
          query(
            server.url,
            `TRUNCATE ${schema}.entry, ${schema}.list, ${schema}.list_item, ${schema}.record_item, ${schema}.stream, ${schema}.event`,
          ),
        dispose: () => query(server.url, `DROP SCHEMA IF EXISTS ${schema} CASCADE`),
      };
    },
  });
});
