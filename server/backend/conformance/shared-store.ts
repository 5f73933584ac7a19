import { setTimeout as delay } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import { waitFor } from "../../../tests/helpers/until.ts";
import type { Reason } from "../../errors.ts";
import type { Backend, CommitStore, EntryStore, ListStore, ScanStore } from "../contract.ts";
import { createBackend } from "../factory.ts";
import type { BackendConfig } from "../rooms.ts";
import { A, add, change } from "./commit-steps.ts";
import { answersOf, bytes, CALL, present, texts } from "./harness.ts";
import { expectLinearizable } from "./linearizable.ts";
import { startLoad } from "./load.ts";
import { seeded } from "./seeded.ts";

/** A server that holds a store's data, in a process of its own. */
export interface StoreServer extends AsyncDisposable {
  /** What a gateway needs to reach it. */
  readonly config: BackendConfig;
  signal(signal: "SIGSTOP" | "SIGCONT"): void;
  /** Kills it like a crash; resolves when it is gone. */
  kill(): Promise<void>;
  /** Starts it again with the same data and port; resolves when it takes calls. */
  start(): Promise<void>;
}

/** An open store of a gateway. */
export interface Gateway {
  readonly backend: Backend;
  readonly entries: EntryStore;
  readonly commits: CommitStore;
  readonly scans: ScanStore;
  readonly lists: ListStore;
}

const VALUE = bytes("v");

/** The servers and gateways of a test; they end with the test. */
export function useGateways() {
  let servers: StoreServer[] = [];
  let backends: Backend[] = [];

  afterEach(async () => {
    for (const server of servers) {
      server.signal("SIGCONT");
    }
    await Promise.all(backends.map((backend) => backend.close()));
    await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
    servers = [];
    backends = [];
  });

  return {
    /** Disposes of the server when the test ends. */
    keep<S extends StoreServer>(server: S): S {
      servers.push(server);
      return server;
    },
    /** Opens a gateway's store, and closes it when the test ends. */
    async open(config: BackendConfig): Promise<Gateway> {
      const backend = await createBackend(config);
      await backend.open();
      backends.push(backend);
      return {
        backend,
        entries: present(backend.entries),
        commits: present(backend.commits),
        scans: present(backend.scans),
        lists: present(backend.lists),
      };
    },
  };
}

/**
 * Registers what a store promises that is a server of its own, shared by several gateways. No call
 * is lost or done twice. The server may be killed, frozen or away. `start` makes a server that
 * keeps acknowledged writes when it is killed.
 */
export function describeSharedStore(name: string, start: () => Promise<StoreServer>): void {
  describe(`${name}, shared`, () => {
    const { keep, open } = useGateways();
    const gateways = async (count: number) => {
      const server = keep(await start());
      return {
        server,
        gateways: await Promise.all(Array.from({ length: count }, () => open(server.config))),
      };
    };
    describeTogether(gateways);
    describeAway(gateways);
  });
}

type Start = (count: number) => Promise<{ readonly server: StoreServer; readonly gateways: Gateway[] }>;

function describeTogether(start: Start): void {
  test("200 callers that increment one counter over two gateways lose none", async () => {
    const { gateways } = await start(2);
    const increments = Array.from({ length: 200 }, async (_, i) => {
      const { commits } = present(gateways[i % 2]);
      const [answer] = await answersOf(commits.commit("n", [change(add(A, 1n))], CALL));
      return answer?.committed === true ? Number(answer.results[0]?.counter) : undefined;
    });
    const counters = new Set(await Promise.all(increments));
    expect(counters).toEqual(new Set(Array.from({ length: 200 }, (_, i) => i + 1)));
    for (const { entries } of gateways) {
      expect(texts(await entries.get("n", [A], CALL))).toEqual(["200"]);
    }
  });

  test("each pushed value is popped once, by one of several gateways", async () => {
    const { gateways } = await start(3);
    const pushed: string[] = [];
    const popped: string[] = [];
    let pushing = 3;
    await Promise.all(
      gateways.flatMap(({ lists }, g) => [
        (async () => {
          for (let i = 0; i < 150; i++) {
            const values = [`${g}:${i}:a`, `${g}:${i}:b`];
            pushed.push(...values);
            // The list becomes empty and is made again all the time: half of the pushes race a pop
            // for its last value.
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

  test.each([
    ["what two gateways see at the same time could have happened in one order", 600, false],
    ["also when the server is killed on the way", 1600, true],
  ])("%s", async (_, calls, isKilled) => {
    const { server, gateways } = await start(2);
    const { random, seed } = seeded();
    console.info(`linearizable: seed ${seed}`);
    await expectLinearizable(
      gateways.map(({ backend }) => backend),
      calls,
      random,
      async () => {
        if (!isKilled) {
          return;
        }
        await delay(100);
        await server.kill();
        await server.start();
      },
    );
  });

  test("batches of the same keys in other orders do not fail each other", async () => {
    const { gateways } = await start(2);
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
        if (i % 5 === 0) {
          await entries.delete("n", mine, CALL);
        }
      }),
    );
  });

  test("workers that poll many lists do not fail each other", async () => {
    const { gateways } = await start(3);
    const { random, seed } = seeded();
    console.info(`polling: seed ${seed}`);
    const key = () => `l${Math.floor(random() * 40)}`;
    // Lists come and go, and single calls become groups of many lists in any order.
    await Promise.all(
      gateways.flatMap(({ lists }) =>
        Array.from({ length: 40 }, async (_, lane) => {
          for (let i = 0; i < 60; i++) {
            if (lane % 2 === 0) {
              await lists.push("n", [{ key: key(), end: "right", value: VALUE }], CALL);
            } else {
              await lists.pop("n", [{ key: key(), end: "left" }], CALL);
            }
          }
        }),
      ),
    );
  });
}

function describeAway(start: Start): void {
  test("a server that is killed under load: nothing acknowledged is lost, and service resumes by itself", async () => {
    const { server, gateways } = await start(1);
    const load = startLoad(present(gateways[0]));
    await load.grown(200);
    await server.kill();
    await waitFor(() => expect(load.reasons).toContain("store_unavailable"));
    await server.start();
    await load.grown(200);
    await load.verify();
    const expected: readonly Reason[] = ["store_unavailable", "outcome_unknown"];
    expect([...load.reasons].filter((reason) => !expected.includes(reason))).toEqual([]);
  });

  test("a server that is frozen: calls wait, and are answered when it goes on", async () => {
    const { server, gateways } = await start(1);
    const { entries } = present(gateways[0]);
    await entries.set("n", [{ key: "a", value: VALUE, ttlMs: 0 }], CALL);
    server.signal("SIGSTOP");
    const get = entries.get("n", ["a"], CALL);
    const set = entries.set("n", [{ key: "b", value: VALUE, ttlMs: 0 }], CALL);
    const early = await Promise.race([get, set, delay(200, "nothing")]);
    expect(early).toBe("nothing");
    server.signal("SIGCONT");
    expect(texts(await get)).toEqual(["v"]);
    await set;
  });

  test("for long: calls fail at once, and soon after it goes on they do not", async () => {
    const { server, gateways } = await start(1);
    const { entries, backend } = present(gateways[0]);
    const get = () => entries.get("n", ["a"], CALL);
    await get();
    server.signal("SIGSTOP");
    // The calls that the server already has must be given up first.
    await waitFor(() => expect(get()).rejects.toMatchObject({ reason: "store_unavailable" }));
    const fast = await Promise.race([get().catch(() => "failed"), delay(400, "late")]);
    expect(fast).toBe("failed");
    await expect(backend.check()).rejects.toMatchObject({ reason: "store_unavailable" });
    server.signal("SIGCONT");
    await waitFor(get);
  }, 30_000);

  test("a server that is away fails calls at once, and is found when it is back", async () => {
    const { server, gateways } = await start(1);
    const { entries, backend } = present(gateways[0]);
    const get = () => entries.get("n", ["a"], CALL);
    await get();
    await server.kill();
    for (let i = 0; i < 5; i++) {
      await expect(get()).rejects.toMatchObject({ reason: "store_unavailable" });
    }
    await expect(backend.check()).rejects.toMatchObject({ reason: "store_unavailable" });
    await server.start();
    await waitFor(get);
    await backend.check();
  });
}
