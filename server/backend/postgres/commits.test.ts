/** What the server itself must show of conditional writes; the rest is every store's suite. */
import pg from "pg";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { createTestDatabase, hasTestDatabase, type TestDatabase } from "../../../tests/helpers/postgres.ts";
import { waitFor } from "../../../tests/helpers/until.ts";
import type { Commit } from "../commit.ts";
import { answersOf, bytes, CALL, present } from "../conformance/harness.ts";
import { seeded } from "../conformance/seeded.ts";
import { isRefusal } from "../contract.ts";
import { createPostgresBackend } from "./backend.ts";
import { postgresSchema } from "./config.ts";

const set = (key: string, value = "v") => ({ do: "set", key, value: bytes(value), ttlMs: 0 }) as const;
const add = (key: string) => ({ do: "add", key, delta: 1n, initial: 0n, ttlMs: 0 }) as const;
const change = (...mutations: Commit["mutations"]): Commit => ({ checks: [], mutations, tells: false });

describe.runIf(hasTestDatabase())("commits on postgres", () => {
  let server: TestDatabase;
  let schemas = 0;

  beforeAll(async () => {
    server = await createTestDatabase();
  });
  afterAll(() => server[Symbol.asyncDispose]());

  async function opened(schema = `commits_${++schemas}`) {
    const backend = createPostgresBackend(
      postgresSchema.parse({ type: "postgres", url: server.url, schema, pool: { max: 8 } }),
    );
    await backend.open();
    let isOpen = true;
    const close = async () => {
      if (isOpen) {
        isOpen = false;
        await backend.close();
      }
    };
    onTestFinished(close);
    return { entries: present(backend.entries), commits: present(backend.commits), schema, close };
  }

  const rowsOf = async (schema: string) => {
    const { rows } = await server.query(`SELECT key, version FROM "${schema}".entry ORDER BY key`);
    return rows.map(({ key, version }) => [String(key), Number(version)]);
  };

  test("sets, deletes and commits of the same keys from two gateways never wait in a circle", async () => {
    const { random, seed } = seeded();
    console.info(`commits: seed ${seed}`);
    const one = await opened();
    const gateways = [one, await opened(one.schema)];
    const keys = Array.from({ length: 12 }, (_, i) => `k${i}`);
    const some = () => keys.filter(() => random() < 0.5).sort(() => random() - 0.5);
    let added = 0;
    await Promise.all(
      Array.from({ length: 12 }, async (_, lane) => {
        const { entries, commits } = present(gateways[lane % 2]);
        for (let i = 0; i < 40; i++) {
          const chosen = some();
          const kind = Math.floor(random() * 4);
          if (kind === 0) {
            await answersOf(
              entries.set(
                "n",
                chosen.map((key) => set(key)),
                CALL,
              ),
            );
          } else if (kind === 1) {
            await answersOf(entries.delete("n", chosen, CALL));
          } else {
            const steps = chosen.map((key) => (random() < 0.5 ? set(key) : ({ do: "delete", key } as const)));
            const commit = change(...steps, add("sum a"), ...steps, add("sum z"));
            expect(await answersOf(commits.commit("n", [commit, commit], CALL))).toHaveLength(2);
            added += 2;
          }
        }
      }),
    );
    const [sumA, sumZ] = await one.entries.get("n", ["sum a", "sum z"], CALL);
    expect([String(sumA), String(sumZ)]).toEqual([String(added), String(added)]);
    // The server counts what a session did when it ends.
    await Promise.all(gateways.map(({ close }) => close()));
    const sql =
      "SELECT xact_commit::int, deadlocks::int FROM pg_stat_database WHERE datname = current_database()";
    await waitFor(async () => {
      const { rows } = await server.query(sql);
      expect(rows[0]?.xact_commit).toBeGreaterThan(400);
      expect(rows[0]?.deadlocks).toBe(0);
    });
  });

  test("a commit that waited for another write decides on what that wrote", async () => {
    const { entries, commits, schema } = await opened();
    await entries.set("n", [set("a", "1")], CALL);
    const other = new pg.Client(server.url);
    await other.connect();
    onTestFinished(() => other.end());
    await other.query(`BEGIN; UPDATE "${schema}".entry SET value = '2' WHERE key = 'a'`);
    await other.query(`INSERT INTO "${schema}".entry (namespace, key, value) VALUES ('n', 'b', '2')`);
    const swap = {
      checks: [{ key: "a", is: "value", value: bytes("1") }],
      mutations: [set("a", "3")],
    } as const;
    const make = { checks: [{ key: "b", is: "absent" }], mutations: [set("b", "3")] } as const;
    const answers = answersOf(
      commits.commit(
        "n",
        [
          { ...swap, tells: true },
          { ...make, tells: true },
        ],
        CALL,
      ),
    );
    await waitFor(async () => {
      const { rows } = await server.query("SELECT FROM pg_locks WHERE NOT granted");
      expect(rows).toHaveLength(1);
    });
    await other.query("COMMIT");
    const held = { value: Buffer.from("2"), ttlMs: 0 };
    expect(await answers).toMatchObject([
      { committed: false, failed: [{ index: 0, held }] },
      { committed: false, failed: [{ index: 0, held }] },
    ]);
  });

  test("a set that waited while others wrote and deleted the entry brings back no earlier version", async () => {
    const { entries, commits, schema } = await opened();
    const read = { keys: ["a"], values: true, maxBytes: 100 };
    const held = async () => (await answersOf(commits.read("n", [read], CALL)))[0]?.[0];
    await entries.set("n", [set("a", "1")], CALL);
    const first = present(await held()).version;
    const other = new pg.Client(server.url);
    await other.connect();
    onTestFinished(() => other.end());
    const waiting = (calls: number) =>
      waitFor(async () => {
        const { rows } = await server.query("SELECT FROM pg_locks WHERE NOT granted");
        expect(rows).toHaveLength(calls);
      });
    await other.query(`BEGIN; SELECT FROM "${schema}".entry FOR UPDATE`);
    // First the delete waits for the row, then the set, which has taken its version by then.
    const deleted = answersOf(entries.delete("n", ["a"], CALL));
    await waiting(1);
    const written = entries.set("n", [set("a", "3")], CALL);
    await waiting(2);
    const { rows } = await other.query(
      `UPDATE "${schema}".entry SET value = '2', version = nextval('"${schema}".entry_version') RETURNING version`,
    );
    const second = Number(rows[0]?.version);
    await other.query("COMMIT");
    expect(await deleted).toEqual([true]);
    await written;
    expect(await held()).toMatchObject({ value: Buffer.from("3") });
    const swaps = [first, second].map(
      (version): Commit => ({
        checks: [{ key: "a", is: "version", version }],
        mutations: [set("a", "4")],
        tells: false,
      }),
    );
    expect(await answersOf(commits.commit("n", swaps, CALL))).toMatchObject([
      { committed: false },
      { committed: false },
    ]);
  });

  test("keys that are locked and not written leave no row, and a row that is not written keeps its place", async () => {
    const { entries, commits, schema } = await opened();
    await entries.set("n", [set("a", "text")], CALL);
    const places = async () => (await server.query(`SELECT ctid, xmin FROM "${schema}".entry`)).rows;
    const before = await places();
    const answers = await commits.commit(
      "n",
      [
        { checks: [{ key: "b", is: "present" }], mutations: [set("c")], tells: false },
        { checks: [{ key: "a", is: "absent" }], mutations: [set("a")], tells: false },
        change(set("d"), add("a")),
        change(set("e"), { do: "delete", key: "e" }),
        change({ do: "persist", key: "a" }, { do: "expire", key: "f", ttlMs: 5 }),
      ],
      CALL,
    );
    expect(answers).toMatchObject([
      { committed: false },
      { committed: false },
      { reason: "not_a_counter" },
      { committed: true, version: 0 },
      { committed: true, version: 0 },
    ]);
    expect(await places()).toEqual(before);
  });

  test("a large value is not written again when only the expiry changes", async () => {
    const { entries, commits, schema } = await opened();
    await entries.set(
      "n",
      [{ key: "a", value: crypto.getRandomValues(new Uint8Array(60_000)), ttlMs: 0 }],
      CALL,
    );
    const { rows } = await server.query(
      "SELECT reltoastrelid::regclass AS name FROM pg_class WHERE oid = $1::regclass",
      [`${schema}.entry`],
    );
    const pieces = async () =>
      (await server.query(`SELECT xmin, chunk_id, chunk_seq FROM ${rows[0]?.name}`)).rows;
    const before = await pieces();
    expect(before.length).toBeGreaterThan(10);
    const expire = { do: "expire", key: "a", ttlMs: 60_000 } as const;
    await answersOf(commits.commit("n", [change(expire), change({ do: "persist", key: "a" }, expire)], CALL));
    expect(await pieces()).toEqual(before);
  });

  test("a commit that the server refuses undoes no other of its call", async () => {
    const { entries, commits, schema } = await opened();
    await server.query(`ALTER TABLE "${schema}".entry ADD CHECK (value <> 'no')`);
    const answers = await commits.commit(
      "n",
      [change(set("a"), add("c")), change(set("b", "no"), add("c")), change(add("c"))],
      CALL,
    );
    expect(answers.map(isRefusal)).toEqual([false, true, false]);
    expect(await entries.exists("n", ["a", "b"], CALL)).toEqual([true, false]);
    expect((await entries.get("n", ["c"], CALL)).map(String)).toEqual(["2"]);
  });

  test("a thousand keys in one commit are written once each", async () => {
    const { commits, schema } = await opened();
    const keys = Array.from({ length: 1000 }, (_, i) => `k${String(i).padStart(4, "0")}`);
    const [answer] = await answersOf(commits.commit("n", [change(...keys.map((key) => set(key)))], CALL));
    const version = answer?.committed === true ? answer.version : 0;
    expect(version).toBeGreaterThan(0);
    expect(await rowsOf(schema)).toEqual(keys.map((key) => [key, version]));
  });
});
