/** Several gateways on one server, and a server that is killed, frozen, and gone. */
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, describe, expect, test, vi } from "vitest";
import { canStartPostgres, type PostgresProcess, startPostgres } from "../../testing/postgres.ts";
import { createBreakerBackend } from "../breaker.ts";
import { bytes, CALL, present, texts } from "../conformance/harness.ts";
import { expectLinearizable } from "../conformance/linearizable.ts";
import { type Backend, createCall } from "../contract.ts";
import { createBackend } from "../factory.ts";
import { createPostgresBackend } from "./backend.ts";
import { postgresSchema } from "./config.ts";

const VALUE = bytes("v");

/** Numbers from 0 to below 1 that one seed makes the same again (Marsaglia's xorshift). */
function seeded(seed = Number(process.env.PRISM_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31) + 1)) {
  let state = seed;
  const random = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  return { random, seed };
}

describe.runIf(canStartPostgres())("postgres", () => {
  let server: PostgresProcess | undefined;
  let backends: Backend[] = [];

  afterEach(async () => {
    server?.signal("SIGCONT");
    await Promise.all(backends.map((backend) => backend.close()));
    await server?.[Symbol.asyncDispose]();
    server = undefined;
    backends = [];
  });

  async function start(): Promise<PostgresProcess> {
    server = await startPostgres();
    return server;
  }

  const configOf = ({ url }: PostgresProcess) =>
    postgresSchema.parse({ type: "postgres", url, pool: { max: 4, connect_timeout_ms: 500 } });

  async function gateway(of: PostgresProcess) {
    const backend = createBackend(configOf(of));
    await backend.open();
    backends.push(backend);
    return {
      entries: present(backend.entries),
      scans: present(backend.scans),
      lists: present(backend.lists),
      backend,
    };
  }

  test("each pushed value is popped once, by one of several gateways", async () => {
    const postgres = await start();
    const gateways = await Promise.all([gateway(postgres), gateway(postgres), gateway(postgres)]);
    const pushed: string[] = [];
    const popped: string[] = [];
    let pushing = 3;
    await Promise.all(
      gateways.flatMap(({ lists }, g) => [
        (async () => {
          for (let i = 0; i < 150; i++) {
            const values = [`${g}:${i}:a`, `${g}:${i}:b`];
            pushed.push(...values);
            // A list that is emptied and made again and again: half of the pushes race a pop for its last value.
            await lists.push(
              "n",
              values.map((value, at) => ({
                key: `l${i % 2}`,
                end: at === 0 ? "left" : "right",
                value: bytes(value),
              })),
              CALL,
            );
          }
          pushing--;
        })(),
        (async () => {
          for (let empty = false; pushing > 0 || !empty; ) {
            const values = await lists.pop(
              "n",
              [
                { key: "l1", end: "left" },
                { key: "l0", end: "right" },
              ],
              CALL,
            );
            const found = texts(values).filter((value) => value !== undefined);
            empty = found.length === 0;
            popped.push(...found);
          }
        })(),
      ]),
    );
    expect(popped.sort()).toEqual(pushed.sort());
    expect(await gateways[0]?.lists.length("n", ["l0", "l1"], CALL)).toEqual([0, 0]);
  });

  test("what two gateways see at the same time could have happened in one order", async () => {
    const postgres = await start();
    const gateways = await Promise.all([gateway(postgres), gateway(postgres)]);
    const { random, seed } = seeded();
    console.info(`linearizable: seed ${seed}`);
    await expectLinearizable(
      gateways.map(({ backend }) => backend),
      600,
      random,
    );
  });

  test("also when the server is killed on the way", async () => {
    const postgres = await start();
    const gateways = await Promise.all([gateway(postgres), gateway(postgres)]);
    const { random, seed } = seeded();
    console.info(`linearizable: seed ${seed}`);
    await expectLinearizable(
      gateways.map(({ backend }) => backend),
      1600,
      () => random(),
      async () => {
        await delay(100);
        await postgres.kill();
        await postgres.start();
      },
    );
  });

  test("batches of the same keys in other orders do not fail each other", async () => {
    const postgres = await start();
    const gateways = await Promise.all([gateway(postgres), gateway(postgres)]);
    const keys = Array.from({ length: 50 }, (_, i) => `k${i}`);
    await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        const { entries } = present(gateways[i % 2]);
        const mine = i % 3 === 0 ? keys.toReversed() : keys;
        await entries.set(
          "n",
          mine.map((key) => ({ key, value: VALUE, ttlMs: 0 })),
          CALL,
        );
        if (i % 5 === 0) await entries.delete("n", mine, CALL);
      }),
    );
  });

  test("workers that poll many lists do not fail each other", async () => {
    const postgres = await start();
    const gateways = await Promise.all([gateway(postgres), gateway(postgres), gateway(postgres)]);
    const { random, seed } = seeded();
    console.info(`polling: seed ${seed}`);
    const key = () => `l${Math.floor(random() * 40)}`;
    // Lists come and go all the while, and single calls become groups of many lists in any order.
    await Promise.all(
      gateways.flatMap(({ lists }) =>
        Array.from({ length: 40 }, async (_, lane) => {
          for (let i = 0; i < 60; i++) {
            if (lane % 2 === 0) await lists.push("n", [{ key: key(), end: "right", value: VALUE }], CALL);
            else await lists.pop("n", [{ key: key(), end: "left" }], CALL);
          }
        }),
      ),
    );
  });

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
    expect(await Promise.race(counts)).toBe("overloaded");
    expect(await lists.push("n", [{ key: "l", end: "left", value: VALUE }], CALL)).toEqual([1]);
    leave.abort();
    const reasons = await Promise.all(counts);
    expect(reasons.filter((reason) => reason === "canceled")).toHaveLength(2);
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

  test("a server that is killed under load: nothing acknowledged is lost, and service resumes by itself", async () => {
    const postgres = await start();
    const { entries, lists } = await gateway(postgres);
    const acknowledged: string[] = [];
    const popped: (string | undefined)[] = [];
    const reasons = new Set<string>();
    let pushes = 0;
    let loading = true;
    const lanes = Array.from({ length: 16 }, async (_, lane) => {
      for (let i = 0; loading; i++) {
        const key = `${lane}:${i}`;
        try {
          await entries.set("n", [{ key, value: bytes(key), ttlMs: 0 }], CALL);
          acknowledged.push(key);
          await lists.push("n", [{ key: "l", end: "right", value: bytes(key) }], CALL);
          pushes++;
          if (i % 3 === 0) popped.push(...texts(await lists.pop("n", [{ key: "l", end: "left" }], CALL)));
        } catch (error) {
          reasons.add(String(Reflect.get(Object(error), "reason")));
          await delay(5);
        }
      }
    });
    const grown = (by: number) => {
      const before = acknowledged.length;
      return vi.waitFor(() => expect(acknowledged.length).toBeGreaterThan(before + by), { timeout: 10_000 });
    };
    await grown(200);
    await postgres.kill();
    await vi.waitFor(() => expect(reasons).toContain("store_unavailable"));
    await postgres.start();
    await grown(200);
    loading = false;
    await Promise.all(lanes);

    expect(
      [...reasons].filter((reason) => !["store_unavailable", "outcome_unknown"].includes(reason)),
    ).toEqual([]);
    for (let i = 0; i < acknowledged.length; i += 500) {
      const keys = acknowledged.slice(i, i + 500);
      expect(texts(await entries.get("n", keys, CALL))).toEqual(keys);
    }
    // Of what was acknowledged nothing is there twice; what was in doubt may be there once.
    const left: string[] = [];
    for (let value: string | undefined = "first"; value !== undefined; ) {
      [value] = texts(await lists.pop("n", [{ key: "l", end: "left" }], CALL));
      if (value !== undefined) left.push(value);
    }
    const seen = [...left, ...popped.filter((value) => value !== undefined)];
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen.length).toBeGreaterThanOrEqual(pushes - 64);
  });

  test("a server that is frozen: calls wait, and are answered when it goes on", async () => {
    const postgres = await start();
    const { entries } = await gateway(postgres);
    await entries.set("n", [{ key: "a", value: VALUE, ttlMs: 0 }], CALL);
    postgres.signal("SIGSTOP");
    const get = entries.get("n", ["a"], CALL);
    const set = entries.set("n", [{ key: "b", value: VALUE, ttlMs: 0 }], CALL);
    const early = await Promise.race([get, set, delay(200, "nothing")]);
    expect(early).toBe("nothing");
    postgres.signal("SIGCONT");
    expect(texts(await get)).toEqual(["v"]);
    await set;
  });

  test("for long: calls fail at once, and soon after it goes on they do not", async () => {
    const postgres = await start();
    const { entries, backend } = await gateway(postgres);
    const get = () => entries.get("n", ["a"], CALL);
    await get();
    postgres.signal("SIGSTOP");
    // Those that are with the server have to be given up first.
    await vi.waitFor(() => expect(get()).rejects.toMatchObject({ reason: "store_unavailable" }), {
      timeout: 15_000,
    });
    const fast = await Promise.race([get().catch(() => "failed"), delay(400, "late")]);
    expect(fast).toBe("failed");
    await expect(backend.check()).rejects.toMatchObject({ reason: "store_unavailable" });
    postgres.signal("SIGCONT");
    await vi.waitFor(get, { timeout: 5000 });
  }, 30_000);

  test("a server that is not there fails calls at once, and is found when it is back", async () => {
    const postgres = await start();
    const { entries, backend } = await gateway(postgres);
    const get = () => entries.get("n", ["a"], CALL);
    await get();
    await postgres.kill();
    for (let i = 0; i < 5; i++) await expect(get()).rejects.toMatchObject({ reason: "store_unavailable" });
    await expect(backend.check()).rejects.toMatchObject({ reason: "store_unavailable" });
    await postgres.start();
    await vi.waitFor(get, { timeout: 5000 });
    await backend.check();
  });

  test("a server that is not there at the start: everything else is served, and it is found when it comes", async () => {
    const postgres = await start();
    await postgres.kill();
    const backend = createBreakerBackend(createPostgresBackend(configOf(postgres)), 100);
    await backend.open();
    backends.push(backend);
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
