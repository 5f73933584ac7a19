import { expect, test } from "vitest";
import { eraseAll } from "../erase-all.ts";
import type { Tags } from "../streams.ts";
import {
  AWKWARD_KEYS,
  answersOf,
  bytes,
  CALL,
  type Harness,
  NAMESPACE,
  NAMESPACES,
  type OpenStore,
  present,
  setTexts,
  testBatch,
  texts,
} from "./harness.ts";
import { item, put, read as readItems } from "./record-values.ts";
import {
  append,
  appendTo,
  awkwardStreams,
  comparable,
  deleteOne,
  describeOne,
  event,
  LAST_MS,
  LATER_MS,
  offsetsOf,
  payloadsOf,
  query,
  read,
  readPage,
  withOffsets,
} from "./stream-values.ts";

/** What appends write, and reads find. */
export function describeAppends(harness: Harness, store: () => OpenStore): void {
  describeWhat(store);
  describeContents(harness, store);
  describeApart(harness, store);
}

function describeWhat(store: () => OpenStore): void {
  test("a stream that was never made is absent", async () => {
    const { streams } = store();
    const page = { stream: "s", tags: {}, maxEvents: 1, maxBytes: 1 };
    const span = { ...page, startMs: 0, endMs: Infinity, after: undefined };
    expect(await answersOf(streams.queryEvents(NAMESPACE, [span], CALL))).toEqual([undefined]);
    expect(await readPage(streams, "s")).toBeUndefined();
    expect(await describeOne(streams, "s")).toBeUndefined();
    expect(await deleteOne(streams, "s")).toBe(false);
  });

  test("offsets count from 0, and each append goes on where the last one ended", async () => {
    const { streams } = store();
    const sizes = [1, 3, 2, 1];
    let next = 0;
    for (const size of sizes) {
      const events = Array.from({ length: size }, (_, i) => event(LATER_MS, String(next + i)));
      expect(await appendTo(streams, "s", events)).toMatchObject({ offset: next });
      next += size;
    }
    const found = await read(streams, "s");
    expect(offsetsOf(found)).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(payloadsOf(found)).toEqual(["0", "1", "2", "3", "4", "5", "6"]);
  });

  test("one call appends to several streams, and to one stream several times, in order", async () => {
    const { streams } = store();
    const appends = ["a", "b", "a", "c", "a"].map((stream, i) =>
      append(stream, [event(LATER_MS, `${i}x`), event(LATER_MS, `${i}y`)]),
    );
    const answers = await answersOf(streams.appendEvents(NAMESPACE, appends, CALL));
    expect(answers.map(({ offset }) => offset)).toEqual([0, 0, 2, 0, 4]);
    expect(payloadsOf(await read(streams, "a"))).toEqual(["0x", "0y", "2x", "2y", "4x", "4y"]);
    expect(payloadsOf(await read(streams, "b"))).toEqual(["1x", "1y"]);
    expect(payloadsOf(await read(streams, "c"))).toEqual(["3x", "3y"]);
  });

  test("an event without a time gets the store's, the same as its neighbours in the append", async () => {
    const { streams } = store();
    const events = [event(0, "a"), event(1, "b"), event(0, "c"), event(LATER_MS, "d")];
    const { nowMs } = await appendTo(streams, "s", events);
    expect((await read(streams, "s")).map(({ timestampMs }) => timestampMs)).toEqual([
      nowMs,
      1,
      nowMs,
      LATER_MS,
    ]);
    const later = await appendTo(streams, "s", [event(0)]);
    expect(later.nowMs).toBeGreaterThanOrEqual(nowMs);
    expect(payloadsOf(await query(streams, "s", { startMs: nowMs, endMs: nowMs + 1 }))).toContain("a");
  });
}

function describeContents(harness: Harness, store: () => OpenStore): void {
  test("an event is as it was appended: its time, its payload and its tags", async () => {
    const { streams } = store();
    const events = [
      event(1, ""),
      event(LATER_MS, Uint8Array.of(0, 255, 128), { host: "web-1", zone: "" }),
      event(LAST_MS, "x", { host: "web-2" }),
      event(LATER_MS, "y"),
    ];
    await appendTo(streams, "s", events);
    const wanted = comparable(withOffsets(events));
    expect(comparable(await read(streams, "s"))).toEqual(wanted);
    expect(comparable(await query(streams, "s"))).toEqual([0, 1, 3, 2].map((i) => wanted[i]));
  });

  test("empty and large payloads", async () => {
    const { streams } = store();
    const payloads = [0, 3 * 1024 * 1024, 0, 300_000, 1].map((size, i) => new Uint8Array(size).fill(i));
    for (const payload of payloads) {
      await appendTo(streams, "s", [event(LATER_MS, payload)]);
    }
    // Together in one append too; over a wire a request is bounded.
    await appendTo(
      streams,
      "s",
      [4, 3, 0].map((i) => event(LATER_MS, payloads[i])),
    );
    const wanted = [...payloads, ...[4, 3, 0].map((i) => present(payloads[i]))];
    for (const found of [await read(streams, "s"), await query(streams, "s")]) {
      expect(found.map(({ payload }, i) => Buffer.compare(payload, present(wanted[i])))).toEqual(
        wanted.map(() => 0),
      );
    }
  });

  test("tags have any names and values", async () => {
    const { streams } = store();
    const names = AWKWARD_KEYS.filter((key) => Buffer.byteLength(key) < 500);
    const tagged: Tags[] = names.map((name) =>
      Object.fromEntries([
        [name, `value of ${name}`],
        ["other", name],
      ]),
    );
    const longest = { name: "x".repeat(2000), ["é".repeat(100)]: "y".repeat(1800) };
    const many = Object.fromEntries(Array.from({ length: 64 }, (_, i) => [`tag ${i}`, "é".repeat(i % 5)]));
    const events = [...tagged, longest, many, {}].map((tags, i) => event(LATER_MS, String(i), tags));
    await appendTo(streams, "s", events);
    const wanted = comparable(withOffsets(events));
    expect(comparable(await read(streams, "s"))).toEqual(wanted);
    for (const [i, { tags }] of events.entries()) {
      if (Object.keys(tags).length > 0) {
        expect(comparable(await query(streams, "s", { tags }))).toEqual([wanted[i]]);
        expect(comparable(await read(streams, "s", { tags }))).toEqual([wanted[i]]);
      }
    }
  });

  test("what is appended is copied", async () => {
    const { streams } = store();
    const request = Buffer.from("payload");
    const appended = streams.appendEvents(NAMESPACE, [append("s", [event(1, request)])], CALL);
    request.fill("x");
    await appended;
    expect(payloadsOf(await read(streams, "s"))).toEqual(["payload"]);
  });

  testBatch(harness, "an append of thousands of events has consecutive offsets", async () => {
    const { streams } = store();
    const events = Array.from({ length: 10_000 }, (_, i) => event(LATER_MS + i, `${i}`));
    await appendTo(streams, "s", [event(LATER_MS, "first")]);
    expect(await appendTo(streams, "s", events)).toMatchObject({ offset: 1 });
    expect(await appendTo(streams, "s", [event(LATER_MS, "last")])).toMatchObject({ offset: 10_001 });
    const found = await read(streams, "s");
    expect(offsetsOf(found)).toEqual(Array.from({ length: 10_002 }, (_, i) => i));
    expect(payloadsOf(found)).toEqual(["first", ...payloadsOf(events), "last"]);
  });
}

function describeApart(harness: Harness, store: () => OpenStore): void {
  test("names are any text, each a stream of its own", async () => {
    const { streams } = store();
    const names = awkwardStreams(harness);
    const appends = names.map((stream, i) => append(stream, [event(LATER_MS, String(i))]));
    await answersOf(streams.appendEvents(NAMESPACE, appends, CALL));
    for (const [i, stream] of names.entries()) {
      expect(payloadsOf(await read(streams, stream))).toEqual([String(i)]);
      expect(payloadsOf(await query(streams, stream))).toEqual([String(i)]);
    }
  });

  const refused = AWKWARD_KEYS.filter((stream) => !awkwardStreams(harness).includes(stream));
  if (refused.length > 0) {
    test("a name that the store does not take is refused, and no stream has it", async () => {
      const { streams } = store();
      for (const stream of refused) {
        const invalid = [{ reason: "invalid_field", field: "stream" }];
        const appends = [append(stream, [event(LATER_MS)])];
        expect(await streams.appendEvents(NAMESPACE, appends, CALL)).toMatchObject(invalid);
        const shape = { retentionMs: 0, partitions: 0, replicationFactor: 0 };
        expect(await streams.createStream(NAMESPACE, [{ stream, ...shape }], CALL)).toMatchObject(invalid);
        expect(await describeOne(streams, stream)).toBeUndefined();
        expect(await readPage(streams, stream)).toBeUndefined();
        expect(await deleteOne(streams, stream)).toBe(false);
      }
    });
  }

  test("namespaces do not see each other's streams", async () => {
    const { streams } = store();
    for (const namespace of NAMESPACES) {
      await appendTo(streams, "s", [event(LATER_MS, namespace), event(1, "x")], { namespace });
    }
    for (const namespace of NAMESPACES) {
      expect(payloadsOf(await read(streams, "s", {}, namespace))).toEqual([namespace, "x"]);
    }
    expect(await deleteOne(streams, "s", "a")).toBe(true);
    expect(await describeOne(streams, "s", "a")).toBeUndefined();
    expect(payloadsOf(await query(streams, "s", {}, { namespace: "ab" }))).toEqual(["x", "ab"]);
  });

  if (harness.capabilities.includes("entries") && harness.capabilities.includes("records")) {
    test("streams, entries and records of one name do not see each other", async () => {
      const { streams, entries, records } = store();
      await setTexts(entries, { s: "entry" });
      await put(records, "s", [item("k", "item")]);
      expect(await describeOne(streams, "s")).toBeUndefined();
      await appendTo(streams, "s", [event(LATER_MS, "event")]);
      await answersOf(entries.delete(NAMESPACE, ["s"], CALL));
      expect(payloadsOf(await read(streams, "s"))).toEqual(["event"]);
      expect(await deleteOne(streams, "s")).toBe(true);
      expect((await readItems(records, "s")).map(({ value }) => texts([value]))).toEqual([["item"]]);
    });
  }

  if (harness.capabilities.includes("erase")) {
    test("erase takes all streams of a namespace, and one that begins again begins at 0", async () => {
      const { backend, streams } = store();
      for (const namespace of ["a", "ab"]) {
        for (const stream of ["s", "t:u"]) {
          await appendTo(streams, stream, [event(LATER_MS, bytes("1")), event(1, "2")], { namespace });
        }
        await appendTo(streams, "large", [event(LATER_MS, new Uint8Array(500_000))], { namespace });
      }
      await eraseAll(present(backend.erase), "a", CALL);
      for (const stream of ["s", "t:u", "large"]) {
        expect(await describeOne(streams, stream, "a")).toBeUndefined();
        expect(await describeOne(streams, stream, "ab")).toBeDefined();
      }
      expect(payloadsOf(await query(streams, "s", {}, { namespace: "ab" }))).toEqual(["2", "1"]);
      expect(await appendTo(streams, "s", [event(LATER_MS, "3")], { namespace: "a" })).toMatchObject({
        offset: 0,
      });
      expect(payloadsOf(await read(streams, "s", {}, "a"))).toEqual(["3"]);
    });
  }
}
