import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { createTestDatabase, hasTestDatabase, type TestDatabase } from "../../../tests/helpers/postgres.ts";
import { waitFor } from "../../../tests/helpers/until.ts";
import { CALL, present } from "../conformance/harness.ts";
import { answerOf } from "../contract.ts";
import { eraseAll } from "../erase-all.ts";
import { createBackend } from "../factory.ts";
import type { HeldEvent, NewEvent, StreamCreate } from "../streams.ts";
import { createPostgresBackend } from "./backend.ts";
import { postgresSchema } from "./config.ts";

const EACH = { ...CALL, each: true };
const ALL = { tags: {}, maxEvents: 1000, maxBytes: 1_000_000 };

function event(payload: string, timestampMs = 0, tags: NewEvent["tags"] = {}): NewEvent {
  return { timestampMs, payload: Buffer.from(payload), tags };
}

function append(stream: string, events: readonly NewEvent[], retentionMs = 0, refusesExpired = false) {
  return { stream, events, retentionMs, refusesExpired };
}

function create(stream: string, config: Partial<StreamCreate> = {}): StreamCreate {
  return { stream, retentionMs: 0, partitions: 0, replicationFactor: 0, ...config };
}

const payloads = (events: readonly HeldEvent[]) =>
  events.map(({ payload }) => Buffer.from(payload).toString());

describe.runIf(hasTestDatabase())("streams in PostgreSQL", () => {
  let database: TestDatabase;
  let schemas = 0;
  beforeAll(async () => {
    database = await createTestDatabase();
    await database.query("CREATE TABLE test_clock AS SELECT TIMESTAMPTZ '2026-01-01' AS at");
    await database.query(
      "CREATE FUNCTION test_now() RETURNS TIMESTAMPTZ STABLE LANGUAGE sql AS 'SELECT at FROM public.test_clock'",
    );
  });
  afterAll(() => database?.[Symbol.asyncDispose]());

  const config = (schema: string) => postgresSchema.parse({ type: "postgres", url: database.url, schema });

  async function open(schema = `streams_${++schemas}`) {
    const backend = createPostgresBackend(config(schema), { now: "public.test_now()" });
    await backend.open();
    onTestFinished(() => backend.close());
    const streams = present(backend.streams);
    return {
      backend,
      schema,
      streams,
      async read(stream: string, offset = 0) {
        const [page] = await streams.readEvents("n", [{ ...ALL, stream, offset, minTimestampMs: 0 }], CALL);
        return answerOf(present(page));
      },
      async rows() {
        const sql = `SELECT (SELECT count(*)::integer FROM "${schema}".stream) AS streams, count(*)::integer AS events FROM "${schema}".event`;
        return (await database.query(sql)).rows[0];
      },
    };
  }

  async function nowMs(): Promise<number> {
    const { rows } = await database.query("SELECT extract(epoch FROM at) * 1000 AS ms FROM test_clock");
    return Number(rows[0]?.ms);
  }

  async function advance(ms: number): Promise<void> {
    await database.query("UPDATE test_clock SET at = at + $1 * INTERVAL '1 millisecond'", [ms]);
  }

  test("events that are alike come from the server as one, and those that are past the retention do not", async () => {
    const { streams } = await open();
    const now = await nowMs();
    const events = Array.from({ length: 3000 }, (_, i) =>
      event(String(i % 2), now - 5000 + i, { host: "a" }),
    );
    await streams.appendEvents("n", [append("s", events, 4500)], CALL);
    const merge = { bucketMs: 1000, maxPayloadBytes: 8, tags: true };
    const span = { ...ALL, stream: "s", startMs: 0, endMs: now - 2100, maxEvents: 2000, after: undefined };
    const [page] = await streams.queryEvents("n", [{ ...span, merge }], CALL);
    const { events: found, counts = [], next } = answerOf(present(page)) ?? {};
    const second = (ms: number) => Math.floor((ms - now) / 1000);
    const alike = found?.map(({ timestampMs, payload }, i) => [second(timestampMs), `${payload}`, counts[i]]);
    expect(alike?.sort()).toEqual([
      [-3, "0", 251],
      [-3, "1", 250],
      [-4, "0", 500],
      [-4, "1", 500],
      [-5, "0", 249],
      [-5, "1", 250],
    ]);
    expect(next).toEqual({ timestampMs: now - 2500, offset: 2500 });
  });

  test("tags of any characters come back and are found", async () => {
    const { streams } = await open();
    const odd = Object.fromEntries([
      ["__proto__", '{"\\x'],
      ["a\0b", ""],
      ["é,", "😀"],
    ]);
    const events = [event("plain"), event("odd", 0, odd), event("other", 0, { é: ",😀" })];
    await streams.appendEvents("n", [append("s", events)], CALL);
    const query = { ...ALL, stream: "s", startMs: 0, endMs: Infinity, after: undefined };
    const [all, some, none] = await streams.queryEvents(
      "n",
      [query, { ...query, tags: odd }, { ...query, tags: { ...odd, more: "" } }],
      CALL,
    );
    expect(present(answerOf(present(all))).events.map(({ tags }) => tags)).toEqual(
      events.map(({ tags }) => tags),
    );
    expect(answerOf(present(some))).toMatchObject({ events: [{ offset: 1 }], next: undefined });
    expect(answerOf(present(none))).toEqual({ events: [], next: undefined });
  });

  test("a page that leaves out many events ends before the next that it wants", async () => {
    const { streams } = await open();
    for (let i = 0; i < 5; i++) {
      const events = Array.from({ length: 1000 }, () => event("no", 1));
      await streams.appendEvents("n", [append("s", events)], CALL);
    }
    await streams.appendEvents("n", [append("s", [event("yes", 1, { a: "b" })])], CALL);
    let after: { timestampMs: number; offset: number } | undefined;
    const found: HeldEvent[] = [];
    let pages = 0;
    do {
      const query = { ...ALL, tags: { a: "b" }, stream: "s", startMs: 0, endMs: Infinity, after };
      const page = present(answerOf(present((await streams.queryEvents("n", [query], CALL))[0])));
      found.push(...page.events);
      after = page.next;
      pages++;
    } while (after !== undefined);
    expect([found.map(({ offset }) => offset), pages]).toEqual([[5000], 2]);
    const read = { ...ALL, tags: { a: "b" }, stream: "s", offset: 0, minTimestampMs: 0 };
    const first = present(answerOf(present((await streams.readEvents("n", [read], CALL))[0])));
    expect(first).toMatchObject({ events: [], ended: false });
    const [last] = await streams.readEvents("n", [{ ...read, offset: first.next }], CALL);
    expect(last).toMatchObject({ events: [{ offset: 5000 }], next: 5001, ended: true });
  });

  test("a refused append leaves no gap and no stream", async () => {
    const { streams, read, rows } = await open();
    const old = event("old", (await nowMs()) - 1000);
    const appends = [
      append("gone", [event("new"), old], 1000, true),
      append("kept", [event("0")]),
      append("kept", [event("1"), old]),
    ];
    const refused = { reason: "invalid_field", field: "events[1].timestamp_millis" };
    expect(await streams.appendEvents("n", appends, CALL)).toMatchObject([refused, refused, refused]);
    expect(await rows()).toEqual({ streams: 0, events: 0 });
    expect(await streams.appendEvents("n", appends, EACH)).toMatchObject([
      refused,
      { offset: 0, expired: 0 },
      { offset: 1, expired: 0 },
    ]);
    expect(await streams.describeStream("n", ["gone"], CALL)).toEqual([undefined]);
    const again = [append("kept", [event("3")]), append("gone", [old, event("1")], 1000)];
    expect(await streams.appendEvents("n", again, EACH)).toMatchObject([
      { offset: 3, expired: 0 },
      { offset: 0, expired: 1 },
    ]);
    expect(payloads(present(await read("kept")).events)).toEqual(["0", "1", "old", "3"]);
    expect(payloads(present(await read("gone")).events)).toEqual(["1"]);
  });

  test("creates of one call see each other, and one that is refused undoes the others", async () => {
    const { streams, rows } = await open();
    const creates = [
      create("b", { partitions: 3, retentionMs: 5 }),
      create("b", { partitions: 2 }),
      create("a", { replicationFactor: 2 }),
    ];
    const differs = { reason: "stream_differs", field: "config.partitions" };
    expect(await streams.createStream("n", creates, CALL)).toMatchObject([differs, differs, differs]);
    expect(await rows()).toEqual({ streams: 0, events: 0 });
    expect(await streams.createStream("n", creates, EACH)).toMatchObject([undefined, differs, undefined]);
    expect(await streams.describeStream("n", ["a", "b"], CALL)).toMatchObject([
      { partitions: 1, replicationFactor: 2, retentionMs: 0 },
      { partitions: 3, replicationFactor: 1, retentionMs: 5 },
    ]);
  });

  test("a sweep removes what is past the retention and what was deleted, and nothing else", async () => {
    const { backend, streams, rows, read } = await open();
    const now = await nowMs();
    const many = Array.from({ length: 1500 }, (_, i) => event(`${i}`, now - 10_000 + i));
    await streams.appendEvents("n", [append("short", many, 20_000), append("long", many)], CALL);
    await streams.appendEvents("n", [append("short", [event("late", now - 15_000), event("now")])], CALL);
    await advance(5_000);
    expect(payloads(present(await read("short")).events).slice(0, 2)).toEqual(["0", "1"]);
    expect(present(await read("short", 1499)).events).toHaveLength(2);
    await backend.sweep();
    expect(await rows()).toEqual({ streams: 2, events: 3001 });
    await advance(5_000 + 1_000);
    expect(await streams.describeStream("n", ["short"], CALL)).toMatchObject([
      { firstOffset: 1001, nextOffset: 1502, firstTimestampMs: now - 10_000 + 1001 },
    ]);
    await backend.sweep();
    expect(await rows()).toEqual({ streams: 2, events: 3002 - 1002 });
    expect(await streams.deleteStream("n", ["long", "none", "long"], CALL)).toEqual([true, false, false]);
    expect(await rows()).toEqual({ streams: 2, events: 2000 });
    await backend.sweep();
    expect(await rows()).toEqual({ streams: 1, events: 500 });
    await streams.createStream("n", [create("short", { retentionMs: 1 })], CALL);
    await backend.sweep();
    expect(await rows()).toEqual({ streams: 1, events: 0 });
    await backend.sweep();
    expect(await streams.appendEvents("n", [append("short", [event("x")])], CALL)).toMatchObject([
      { offset: 1502 },
    ]);
  });

  test("gateways that append to the same streams leave no gap, no double and keep the order", async () => {
    const schema = `streams_${++schemas}`;
    const gateways = await Promise.all([0, 1, 2].map(() => createBackend(config(schema))));
    for (const gateway of gateways) {
      await gateway.open();
      onTestFinished(() => gateway.close());
    }
    const ROUNDS = 60;
    const names = ["b", "a"];
    let isDone = false;
    const append100 = async (gateway: (typeof gateways)[number], g: number) => {
      const streams = present(gateway.streams);
      await Promise.all(
        Array.from({ length: 4 }, async (_, writer) => {
          for (let round = 0; round < ROUNDS; round++) {
            const order = (round + g) % 2 === 0 ? names : names.toReversed();
            const events = [event(`${g}.${writer} ${2 * round}`), event(`${g}.${writer} ${2 * round + 1}`)];
            const answers = await streams.appendEvents(
              "n",
              order.map((name) => append(name, events)),
              CALL,
            );
            expect(answers.some((answer) => "reason" in answer)).toBe(false);
          }
        }),
      );
    };
    const seen = new Map(names.map((name) => [name, [] as HeldEvent[]]));
    // Reads along while they write: nobody may see an offset before a smaller one.
    const readAlong = async (name: string, into: HeldEvent[]) => {
      const streams = present(present(gateways[2]).streams);
      for (let last = false; !last; ) {
        last = isDone;
        const read = { ...ALL, stream: name, offset: into.length, minTimestampMs: 0 };
        const page = answerOf((await streams.readEvents("n", [read], CALL))[0]);
        into.push(...(page?.events ?? []));
      }
    };
    const readers = Array.from(seen, ([name, into]) => readAlong(name, into));
    await Promise.all(gateways.slice(0, 2).map(append100));
    isDone = true;
    await Promise.all(readers);
    for (const events of seen.values()) {
      expect(events.map(({ offset }) => offset)).toEqual(
        Array.from({ length: 2 * 4 * 2 * ROUNDS }, (_, i) => i),
      );
      const byWriter = Map.groupBy(payloads(events), (text) => text.split(" ")[0]);
      for (const texts of byWriter.values()) {
        expect(texts.map((text) => Number(text.split(" ")[1]))).toEqual(
          Array.from({ length: 2 * ROUNDS }, (_, i) => i),
        );
      }
      expect(byWriter.size).toBe(8);
    }
  });

  test("each gateway hears of appends, deletions and new retentions of all", async () => {
    const first = await open();
    const { streams } = await open(first.schema);
    const heard: string[] = [];
    let missed = 0;
    const stop = present(first.backend.watchStreams)({
      wanted: () => [],
      changed: (namespace, stream) => heard.push(`${namespace} ${stream}`),
      replaced: (namespace, stream) => heard.push(`${namespace} ${stream} replaced`),
      missed: () => missed++,
    });
    onTestFinished(stop);
    await waitFor(() => expect(missed).toBeGreaterThan(0));
    await streams.createStream("n", [create("s\0é")], CALL);
    await streams.appendEvents("n", [append("s\0é", [event("0")]), append("new", [event("0")])], CALL);
    await streams.createStream("n", [create("new", { retentionMs: 1000 })], CALL);
    await streams.deleteStream("n", ["new"], CALL);
    await eraseAll(present(first.backend.erase), "n", CALL);
    // What is told twice at one moment is told once.
    const all = ["n new", "n new replaced", "n s\0é", "n s\0é replaced"];
    await waitFor(() => expect([...new Set(heard)].toSorted()).toEqual(all));
  });

  test("a tail gets each event of another gateway once, whatever happens to the connection that listens", async () => {
    const schema = `streams_${++schemas}`;
    const [reader, writer] = await Promise.all([0, 1].map(() => createBackend(config(schema))));
    const gateways = [present(reader), present(writer)] as const;
    for (const gateway of gateways) {
      await gateway.open();
      onTestFinished(() => gateway.close());
    }
    const streams = present(gateways[1].streams);
    await streams.createStream("n", [create("s")], CALL);
    const seen: string[] = [];
    const tail = async () => {
      for (let offset = 0; ; ) {
        const wait = { ...ALL, stream: "s", offset, minTimestampMs: 0, waitMs: 0 };
        const page = await present(gateways[0].streamTails).waitEvents("n", wait, CALL);
        if (page === undefined) {
          return;
        }
        seen.push(...payloads(page.events));
        offset = page.next;
      }
    };
    const ended = tail();
    const listening =
      "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()";
    const texts: string[] = [];
    for (let round = 0; round < 5; round++) {
      await waitFor(async () => expect((await database.query(listening)).rows.length).toBeGreaterThan(0));
      await database.query(`SELECT pg_terminate_backend(pid) FROM (${listening}) AS found`);
      for (const part of ["a", "b", "c"]) {
        texts.push(`${round}${part}`);
        await streams.appendEvents("n", [append("s", [event(`${round}${part}`)])], CALL);
      }
      await waitFor(() => expect(seen).toEqual(texts));
    }
    await streams.deleteStream("n", ["s"], CALL);
    await ended;
  });

  test("erase removes all streams of a namespace with their events, deleted ones too", async () => {
    const { backend, streams, rows } = await open();
    const many = Array.from({ length: 700 }, () => event("e"));
    for (const name of ["a", "b", "c", "d"]) {
      await streams.appendEvents("n", [append(name, many)], CALL);
    }
    await streams.createStream("n", [create("empty")], CALL);
    await streams.deleteStream("n", ["b"], CALL);
    await streams.appendEvents("m", [append("a", [event("e")])], CALL);
    await eraseAll(present(backend.erase), "n", CALL);
    expect(await rows()).toEqual({ streams: 1, events: 1 });
    expect(await streams.describeStream("n", ["a", "b", "empty"], CALL)).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    const again = await streams.appendEvents("n", [append("a", [event("e")])], CALL);
    expect(again).toMatchObject([{ offset: 0 }]);
  });
});
