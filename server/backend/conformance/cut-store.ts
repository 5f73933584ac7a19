import { setTimeout as delay } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startTcpProxy, type TcpProxy } from "../../../tests/helpers/tcp-proxy.ts";
import { waitFor } from "../../../tests/helpers/until.ts";
import type { Reason } from "../../errors.ts";
import type { Backend } from "../contract.ts";
import { type Interface, type OperationName, rowsOf, type WriteName } from "../operations.ts";
import type { BackendConfig } from "../rooms.ts";
import { change, changeIf, holds, remove, set } from "./commit-steps.ts";
import { answersOf, bytes, CALL, present, texts } from "./harness.ts";
import { expectLinearizable } from "./linearizable.ts";
import { startLoad } from "./load.ts";
import { seeded } from "./seeded.ts";
import { type Gateway, useGateways } from "./shared-store.ts";

/** A server that stays well while the network to it fails. */
export interface ReachedServer extends AsyncDisposable {
  /** A port of loopback. */
  readonly port: number;
  /**
   * The configuration of a gateway that reaches it through another port, over at most 4
   * connections, with data of its own for each `space`.
   */
  configAt(port: number, space: string): BackendConfig;
}

const UNAVAILABLE = { name: "PrismError", reason: "store_unavailable" };
const OUTCOME_UNKNOWN = { name: "PrismError", reason: "outcome_unknown" };

/**
 * The reasons of calls while the network fails at any moment. A call that waited for its turn can
 * fail like a failed connection attempt.
 */
const EXPECTED: readonly Reason[] = ["store_unavailable", "outcome_unknown", "overloaded"];

const MAX_CONNECTIONS = 4;

/** "Within about a second", and slack for a busy machine: the breaker checks twice a second. */
const RESUMED_MS = 1500;

/**
 * A connection that is silent for five seconds is given up; the rest is slack for a busy machine.
 */
const GIVEN_UP_MS = 8000;

const VALUE = bytes("v");
const push = (value: string) => [{ key: "l", end: "right" as const, value: bytes(value) }];
const READ_A = { keys: ["a"], values: true, maxBytes: 1000 };
const NAMES = { prefix: "", after: undefined, maxNames: 10 };
const PAGE = { prefix: "", after: undefined, maxEntries: 10, maxBytes: 1000, keysOnly: true };

/**
 * Registers what a store across a network promises when the network fails. Reads survive it. Writes
 * in doubt are told apart from writes without effect. No acknowledged write is lost or done twice.
 * Service resumes by itself. `lacks`: the interfaces that the store does not have.
 */
export function describeCutStore(
  name: string,
  start: () => Promise<ReachedServer>,
  lacks: readonly Interface[] = [],
): void {
  const lacking = new Set(lacks.flatMap((of) => rowsOf(of).map(([method]) => method)));
  describe(`${name}, cut off`, () => {
    let server: ReachedServer | undefined;
    let proxy: TcpProxy | undefined;
    let spaces = 0;

    beforeAll(async () => {
      server = await start();
    });
    afterAll(() => server?.[Symbol.asyncDispose]());
    beforeEach(async () => {
      proxy = await startTcpProxy(present(server).port);
      spaces++;
    });
    afterEach(() => proxy?.[Symbol.asyncDispose]());
    const { open } = useGateways();
    // Before the gateways close, because closing may wait for calls under way.
    afterEach(() => proxy?.thaw());

    const gateway: Open = () => open(present(server).configAt(present(proxy).port, `space_${spaces}`));
    const way = () => present(proxy);
    describeReads(way, gateway, lacking);
    describeWrites(way, gateway, lacking);
    describeAbsence(way, gateway);
    describeLoad(way, gateway);
  });
}

type Way = () => TcpProxy;
/** The names of the calls that the store does not have. */
type Lacking = ReadonlySet<string>;
type Open = () => Promise<Gateway>;

/** Makes the store open all its connections, so that no later call waits for one. */
async function warm({ scans }: Gateway): Promise<void> {
  await Promise.all(Array.from({ length: MAX_CONNECTIONS }, () => scans.scanPage("n", PAGE, CALL)));
}

const untilServing = ({ backend }: Gateway) => waitFor(() => backend.check(), 10);

/** Calls that wait. */
type WaitCall = "blockingPop" | "waitEvents";

type Read = readonly [make: () => Promise<unknown>, answer: unknown];

/** Every call that changes nothing, but those that the store lacks, with its expected answer. */
function readsOf({ backend, entries, commits, scans, lists }: Gateway, lacking: Lacking): readonly Read[] {
  const reads: { readonly [M in Exclude<OperationName, WriteName | WaitCall>]: Read } = {
    get: [async () => texts(await entries.get("n", ["a"], CALL)), ["v"]],
    exists: [() => entries.exists("n", ["a", "b"], CALL), [true, false]],
    read: [
      async () =>
        (await answersOf(commits.read("n", [READ_A], CALL))).flat().map((entry) => texts([entry?.value])),
      [["v"]],
    ],
    scanPage: [async () => (await scans.scanPage("n", PAGE, CALL)).keys, ["a"]],
    count: [() => scans.count("n", "", CALL), 1],
    length: [() => lists.length("n", ["l"], CALL), [1]],
    slice: [async () => await listOf(backend, "l"), ["v"]],
    at: [
      async () => texts(await present(backend.listIndexes).at("n", [{ key: "l", index: -1 }], CALL)),
      ["v"],
    ],
    getItems: [async () => await itemsOf(backend), ["v"]],
    pageNames: [async () => (await present(backend.listNames).pageNames("n", NAMES, CALL)).names, ["l"]],
    pageIds: [async () => (await present(backend.recordIds).pageIds("n", NAMES, CALL)).names, ["r"]],
    pageItems: [
      async () => {
        const range = { id: "r", start: undefined, end: undefined, after: undefined };
        const pages = await answersOf(
          present(backend.records).pageItems("n", [{ ...range, maxItems: 10, maxBytes: 1000 }], CALL),
        );
        return texts(pages.flatMap(({ items }) => items.map(({ value }) => value)));
      },
      ["v"],
    ],
    queryEvents: [() => queryOf(backend), ["v"]],
    readEvents: [() => eventsOf(backend), ["v"]],
    describeStream: [() => configOf(backend), [{ retentionMs: 0, nextOffset: 1 }]],
    pageStreams: [
      async () => (await present(backend.streamNames).pageStreams("n", NAMES, CALL)).names,
      ["s"],
    ],
  };
  return [...rowsWithout(reads, lacking).map(([, read]) => read), [() => backend.check(), undefined]];
}

function rowsWithout<Row>(rows: Readonly<Record<string, Row>>, lacking: Lacking): [name: string, row: Row][] {
  return Object.entries(rows).filter(([name]) => !lacking.has(name));
}

function describeReads(way: Way, open: Open, lacking: Lacking): void {
  test("reads survive a connection that broke while idle, and one that is cut before the answer", async () => {
    const gateway = await open();
    await fill(gateway);
    for (const fail of [() => way().cut(), () => way().cutAnswers()]) {
      for (let i = 0; i < 10; i++) {
        for (const [read, answer] of readsOf(gateway, lacking)) {
          fail();
          expect(await read()).toEqual(answer);
        }
      }
    }
  });

  test("many reads at a time survive too, also when cut before the request arrives", async () => {
    const gateway = await open();
    await fill(gateway);
    for (let i = 0; i < 10; i++) {
      if (i % 2 === 0) {
        await warm(gateway);
      } else {
        // All but one are cut while they are being made.
        way().cut();
        await gateway.backend.check();
      }
      way().freeze();
      const sent = way().bytesFromClients;
      const reads = readsOf(gateway, lacking).map(async ([read, answer]) =>
        expect(await read()).toEqual(answer),
      );
      await waitFor(() => expect(way().bytesFromClients).toBeGreaterThan(sent), 5);
      way().cut();
      way().thaw();
      await Promise.all(reads);
    }
  });
}

interface Write {
  readonly make: (gateway: Gateway) => Promise<unknown>;
  /** A read that tells whether the write took effect. */
  readonly look: (gateway: Gateway) => Promise<unknown>;
  readonly before: unknown;
  readonly after: unknown;
}

async function listOf({ listRanges }: Backend, key: string): Promise<(string | undefined)[]> {
  const all = { key, start: 0, stop: -1, maxEntries: 10, maxBytes: 1000 };
  const [page] = await answersOf(present(listRanges).slice("n", [all], CALL));
  return texts(present(page).values);
}

const ITEM = { key: bytes("k"), value: VALUE, metadata: bytes(""), ttlMs: 0 };

async function itemsOf({ records }: Backend): Promise<(string | undefined)[]> {
  const read = { id: "r", keys: [ITEM.key], maxBytes: 1000 };
  const [items] = await answersOf(present(records).getItems("n", [read], CALL));
  return texts(present(items).map((item) => item?.value));
}

const EVENTS = { stream: "s", tags: {}, maxEvents: 10, maxBytes: 1000 };
const appendTo = (stream: string, text: string) => [
  {
    stream,
    events: [{ timestampMs: 1, payload: bytes(text), tags: {} }],
    retentionMs: 0,
    refusesExpired: false,
  },
];
const createOf = (stream: string, retentionMs: number) => [
  { stream, retentionMs, partitions: 0, replicationFactor: 0 },
];

async function eventsOf({ streams }: Backend): Promise<(string | undefined)[]> {
  const read = { ...EVENTS, offset: 0, minTimestampMs: 0 };
  const [page] = await answersOf(present(streams).readEvents("n", [read], CALL));
  return texts(page?.events.map(({ payload }) => payload) ?? []);
}

async function queryOf({ streams }: Backend): Promise<(string | undefined)[]> {
  const query = { ...EVENTS, startMs: 0, endMs: Infinity, after: undefined };
  const [page] = await answersOf(present(streams).queryEvents("n", [query], CALL));
  return texts(page?.events.map(({ payload }) => payload) ?? []);
}

async function configOf({ streams }: Backend): Promise<object[]> {
  const states = await answersOf(present(streams).describeStream("n", ["s"], CALL));
  return states.flatMap((state) =>
    state ? [{ retentionMs: state.retentionMs, nextOffset: state.nextOffset }] : [],
  );
}

/** 100 years, so that no event is past it. */
const RETENTION_MS = 36_500 * 86_400_000;

const lookAtItems = ({ backend }: Gateway) => itemsOf(backend);
const getA = async ({ entries }: Gateway) => texts(await entries.get("n", ["a"], CALL));
const lengthOfL = ({ lists }: Gateway) => lists.length("n", ["l"], CALL);
const lookAtEvents = ({ backend }: Gateway) => eventsOf(backend);
const WRITES: Readonly<Record<WriteName, Write>> = {
  set: {
    make: ({ entries }) => entries.set("n", [{ key: "a", value: bytes("w"), ttlMs: 0 }], CALL),
    look: getA,
    before: ["v"],
    after: ["w"],
  },
  delete: {
    make: ({ entries }) => entries.delete("n", ["a"], CALL),
    look: getA,
    before: ["v"],
    after: [undefined],
  },
  commit: {
    // With a check that would fail a second time.
    make: ({ commits }) => commits.commit("n", [changeIf(holds("a", "v"), set("a", "w"))], CALL),
    look: getA,
    before: ["v"],
    after: ["w"],
  },
  push: { make: ({ lists }) => lists.push("n", push("w"), CALL), look: lengthOfL, before: [1], after: [2] },
  pop: {
    make: ({ lists }) => lists.pop("n", [{ key: "l", end: "left" }], CALL),
    look: lengthOfL,
    before: [1],
    after: [0],
  },
  trim: {
    make: ({ backend }) => present(backend.listRanges).trim("n", [{ key: "l", start: 1, stop: 0 }], CALL),
    look: lengthOfL,
    before: [1],
    after: [0],
  },
  put: {
    make: ({ backend }) =>
      present(backend.listIndexes).put("n", [{ key: "l", index: 0, value: bytes("w") }], CALL),
    look: ({ backend }) => listOf(backend, "l"),
    before: ["v"],
    after: ["w"],
  },
  insert: {
    make: ({ backend }) =>
      present(backend.listIndexes).insert(
        "n",
        [{ key: "l", side: "before", pivot: VALUE, value: bytes("w") }],
        CALL,
      ),
    look: ({ backend }) => listOf(backend, "l"),
    before: ["v"],
    after: ["w", "v"],
  },
  remove: {
    make: ({ backend }) =>
      present(backend.listIndexes).remove("n", [{ key: "l", value: VALUE, count: 0 }], CALL),
    look: lengthOfL,
    before: [1],
    after: [0],
  },
  move: {
    make: ({ backend }) =>
      present(backend.listMoves).move("n", [{ key: "l", end: "left", to: "m", toEnd: "left" }], CALL),
    look: async ({ backend }) => [await listOf(backend, "l"), await listOf(backend, "m")],
    before: [["v"], []],
    after: [[], ["v"]],
  },
  putItems: {
    make: ({ backend }) =>
      present(backend.records).putItems("n", [{ id: "r", items: [{ ...ITEM, value: bytes("w") }] }], CALL),
    look: lookAtItems,
    before: ["v"],
    after: ["w"],
  },
  deleteItems: {
    make: ({ backend }) =>
      present(backend.records).deleteItems("n", [{ id: "r", keys: undefined, maxItems: 10 }], CALL),
    look: lookAtItems,
    before: ["v"],
    after: [undefined],
  },
  swapItem: {
    make: ({ backend }) =>
      present(backend.records).swapItem(
        "n",
        [{ id: "r", key: ITEM.key, expected: VALUE, value: bytes("w") }],
        CALL,
      ),
    look: lookAtItems,
    before: ["v"],
    after: ["w"],
  },
  appendEvents: {
    make: ({ backend }) => present(backend.streams).appendEvents("n", appendTo("s", "w"), CALL),
    look: lookAtEvents,
    before: ["v"],
    after: ["v", "w"],
  },
  createStream: {
    make: ({ backend }) => present(backend.streams).createStream("n", createOf("s", RETENTION_MS), CALL),
    look: ({ backend }) => configOf(backend),
    before: [{ retentionMs: 0, nextOffset: 1 }],
    after: [{ retentionMs: RETENTION_MS, nextOffset: 1 }],
  },
  deleteStream: {
    make: ({ backend }) => present(backend.streams).deleteStream("n", ["s"], CALL),
    look: lookAtEvents,
    before: ["v"],
    after: [],
  },
};

/** Writes what the reads and writes of this suite are about. */
async function fill({ backend, entries, lists }: Gateway): Promise<void> {
  await entries.set("n", [{ key: "a", value: VALUE, ttlMs: 0 }], CALL);
  await lists.push("n", push("v"), CALL);
  await present(backend.records).putItems("n", [{ id: "r", items: [ITEM] }], CALL);
  await backend.streams?.appendEvents("n", appendTo("s", "v"), CALL);
}

function describeWrites(way: Way, open: Open, lacking: Lacking): void {
  describe.each(rowsWithout(WRITES, lacking))("a %s", (_, { make, look, before, after }) => {
    async function prepared(): Promise<Gateway> {
      const gateway = await open();
      await fill(gateway);
      // A server may need to learn a new kind of call first, which is a call of its own.
      await gateway.entries.delete("n", ["other"], CALL);
      await gateway.commits.commit("n", [change(remove("other"))], CALL);
      await gateway.lists.pop("n", [{ key: "other", end: "left" }], CALL);
      await present(gateway.backend.listRanges).trim("n", [{ key: "other", start: 0, stop: 0 }], CALL);
      const others = { id: "other", key: ITEM.key, expected: VALUE, value: VALUE };
      await present(gateway.backend.records).swapItem("n", [others], CALL);
      await present(gateway.backend.records).deleteItems("n", [{ id: "other", keys: [], maxItems: 1 }], CALL);
      await gateway.backend.streams?.createStream("n", createOf("other", 0), CALL);
      await gateway.backend.streams?.deleteStream("n", ["other"], CALL);
      await warm(gateway);
      return gateway;
    }

    test("whose answer is cut is in doubt, and took effect once", async () => {
      const gateway = await prepared();
      way().cutAnswers();
      await expect(make(gateway)).rejects.toMatchObject(OUTCOME_UNKNOWN);
      await untilServing(gateway);
      expect(await look(gateway)).toEqual(after);
    });

    test("that is cut before it has arrived is in doubt, and had no effect", async () => {
      const gateway = await prepared();
      way().freeze();
      const sent = way().bytesFromClients;
      const outcome = expect(make(gateway)).rejects.toMatchObject(OUTCOME_UNKNOWN);
      await waitFor(() => expect(way().bytesFromClients).toBeGreaterThan(sent), 5);
      way().cut();
      way().thaw();
      await outcome;
      await untilServing(gateway);
      expect(await look(gateway)).toEqual(before);
    });

    test("that was never sent had no effect, and says so", async () => {
      const gateway = await prepared();
      way().refuse();
      // A connection that is not yet known to be broken could carry a write.
      await expect(gateway.backend.check()).rejects.toMatchObject(UNAVAILABLE);
      await expect(make(gateway)).rejects.toMatchObject(UNAVAILABLE);
      await way().restore();
      await untilServing(gateway);
      expect(await look(gateway)).toEqual(before);
      await make(gateway);
      expect(await look(gateway)).toEqual(after);
    });
  });
}

function describeAbsence(way: Way, open: Open): void {
  /** The time until calls are answered. */
  async function resumedMs({ entries }: Gateway): Promise<number> {
    const startedAtMs = performance.now();
    await waitFor(() => entries.set("n", [{ key: "a", value: VALUE, ttlMs: 0 }], CALL), 10);
    return performance.now() - startedAtMs;
  }

  test("connections that are refused fail calls at once, and service resumes when they are not", async () => {
    const gateway = await open();
    await warm(gateway);
    way().refuse();
    await expect(gateway.backend.check()).rejects.toMatchObject(UNAVAILABLE);
    for (let i = 0; i < 200; i++) {
      await expect(getA(gateway)).rejects.toMatchObject(UNAVAILABLE);
    }
    await way().restore();
    expect(await resumedMs(gateway)).toBeLessThan(RESUMED_MS);
  });

  test("calls on a frozen connection wait, and are answered when it goes on", async () => {
    const gateway = await open();
    await gateway.entries.set("n", [{ key: "a", value: VALUE, ttlMs: 0 }], CALL);
    await warm(gateway);
    way().freeze();
    const get = getA(gateway);
    const pushed = gateway.lists.push("n", push("v"), CALL);
    expect(await Promise.race([get, pushed, delay(200, "nothing")])).toBe("nothing");
    way().thaw();
    expect(await get).toEqual(["v"]);
    expect(await pushed).toEqual([1]);
  });

  test("one that stays frozen is given up, and calls fail at once until service resumes", async () => {
    const gateway = await open();
    await warm(gateway);
    way().freeze();
    const frozenAtMs = performance.now();
    await Promise.all([
      expect(getA(gateway)).rejects.toMatchObject(UNAVAILABLE),
      expect(gateway.lists.push("n", push("v"), CALL)).rejects.toMatchObject(OUTCOME_UNKNOWN),
    ]);
    expect(performance.now() - frozenAtMs).toBeLessThan(GIVEN_UP_MS);
    const fast = await Promise.race([getA(gateway).catch(() => "failed"), delay(400, "late")]);
    expect(fast).toBe("failed");
    way().thaw();
    expect(await resumedMs(gateway)).toBeLessThan(RESUMED_MS);
  });
}

function describeLoad(way: Way, open: Open): void {
  /** Makes the network fail `times` times in random ways, and then leaves it alone. */
  async function fail(times: number, random: () => number): Promise<void> {
    const proxy = way();
    for (let i = 0; i < times; i++) {
      await delay(10 + random() * 90);
      const kind = Math.floor(random() * 5);
      if (kind < 2) {
        proxy.cut();
      } else if (kind < 4) {
        proxy.cutAnswers();
      } else {
        proxy.freeze();
        await delay(random() * 200);
        if (random() < 0.5) {
          proxy.cut();
        }
        proxy.thaw();
      }
    }
    proxy.cut();
  }

  test("what was acknowledged over connections that are cut at any moment is neither lost nor done twice", async () => {
    const gateway = await open();
    const { random, seed } = seeded();
    console.info(`cuts: seed ${seed}`);
    const load = startLoad(gateway);
    await load.grown(100);
    await fail(25, random);
    await load.grown(100);
    await load.verify();
    expect(load.reasons).toContain("outcome_unknown");
    expect([...load.reasons].filter((reason) => !EXPECTED.includes(reason))).toEqual([]);
  });

  test("what two gateways see meanwhile could have happened in one order", async () => {
    const gateways = await Promise.all([open(), open()]);
    const { random, seed } = seeded();
    console.info(`linearizable: seed ${seed}`);
    await expectLinearizable(
      gateways.map(({ backend }) => backend),
      1500,
      random,
      () => fail(8, random),
    );
  });
}
