import { expect, test } from "vitest";
import { createCall } from "../contract.ts";
import { eraseAll } from "../erase-all.ts";
import { versionOf } from "./commit-steps.ts";
import {
  AWKWARD_KEYS,
  answersOf,
  bytes,
  CALL,
  describeFor,
  type Harness,
  NAMESPACE,
  type OpenStore,
  present,
  setTexts,
  sortedByBytes,
  texts,
  useOpenStore,
} from "./harness.ts";
import { ITEM_KEYS, item, latin1, put, read } from "./record-values.ts";
import { scanPages } from "./scan.ts";
import {
  append,
  appendTo,
  describeOne,
  event,
  LATER_MS,
  offsetsOf,
  read as readEvents,
} from "./stream-values.ts";

/** Namespaces whose names begin alike: one is erased, and the others stay as they are. */
const NEIGHBOURS = ["ab", "a.b", "a-b", NAMESPACE] as const;

/** More than a row of SQLite holds itself. */
const LARGE_BYTES = 10_000;

/** Writes the same to each key space of a namespace. */
async function fill({ backend, entries, lists, records }: OpenStore, namespace: string): Promise<void> {
  const value = new Uint8Array(LARGE_BYTES).fill(1);
  await setTexts(entries, Object.fromEntries(AWKWARD_KEYS.map((key) => [key, "1"])), { namespace });
  await setTexts(entries, { expiring: "1" }, { namespace, ttlMs: 1_000_000 });
  await answersOf(entries.set(namespace, [{ key: "large", value, ttlMs: 0 }], CALL));
  for (const key of ["a", "b", "b:c"]) {
    const pushes = Array.from({ length: 30 }, (_, i) => ({
      key,
      end: i % 2 === 0 ? ("left" as const) : ("right" as const),
      value: i === 7 ? value : bytes(String(i)),
    }));
    await answersOf(lists.push(namespace, pushes, CALL));
    const items = [...ITEM_KEYS.map((each) => item(each, "1")), item("large", value)];
    await put(records, key, [...items, item("expiring", "1", { ttlMs: 1_000_000 })], namespace);
    if (backend.streams !== undefined) {
      const events = Array.from({ length: 30 }, (_, i) => event(LATER_MS, i === 7 ? value : String(i)));
      await appendTo(backend.streams, key, events, { namespace });
      await appendTo(backend.streams, key, [event(1, "late")], { namespace });
    }
  }
}

/** What each key space of a namespace has. */
async function look({ backend, scans, lists, records }: OpenStore, namespace: string): Promise<object> {
  const pages = await scanPages(scans, {}, { namespace });
  const found: Record<string, unknown> = {
    keys: pages.flatMap(({ keys }) => keys),
    count: await scans.count(namespace, "", CALL),
    lengths: await answersOf(lists.length(namespace, ["a", "b", "b:c"], CALL)),
  };
  for (const id of ["a", "b", "b:c"]) {
    found[id] = (await read(records, id, {}, namespace)).map(({ key }) => latin1(key));
    const state = backend.streams && (await describeOne(backend.streams, id, namespace));
    found[`events of ${id}`] = state?.nextOffset;
  }
  return found;
}

const NOTHING = { keys: [], count: 0, lengths: [0, 0, 0], a: [], b: [], "b:c": [] };

/** Removing all data of a namespace. */
export function describeErase(harness: Harness): void {
  describeFor(harness, ["erase", "entries", "commits", "scans", "lists", "records"], "erase", () => {
    const store = useOpenStore(harness);
    describeWhat(store);
    describeSteps(harness, store);
    describeMeanwhile(store);
  });
  describeFor(harness, ["erase", "entries", "scans", "records", "clock"], "erase, and time", () => {
    describeTime(useOpenStore(harness));
  });
}

/** Removes all in steps of this many, without a pause. */
async function eraseIn(maxItems: number, { backend }: OpenStore, namespace: string): Promise<void> {
  const erase = present(backend.erase);
  let after: string | undefined;
  do {
    after = await erase(namespace, { after, maxItems }, CALL);
  } while (after !== undefined);
}

function describeWhat(store: () => OpenStore): void {
  test("every key space is empty then, and no other namespace has changed", async () => {
    for (const namespace of ["a", ...NEIGHBOURS]) {
      await fill(store(), namespace);
    }
    const before = await look(store(), "a");
    expect(before).toMatchObject({
      keys: sortedByBytes([...AWKWARD_KEYS, "expiring", "large"]),
      lengths: [30, 30, 30],
      "events of b:c": store().backend.streams && 31,
    });
    await eraseAll(present(store().backend.erase), "a", CALL);
    expect(await look(store(), "a")).toEqual(NOTHING);
    for (const namespace of NEIGHBOURS) {
      expect(await look(store(), namespace), namespace).toEqual(before);
    }
  });

  test("a namespace that has nothing has nothing left", async () => {
    await eraseIn(10, store(), "a");
    expect(await look(store(), "a")).toEqual(NOTHING);
  });

  test("it takes what is written afterwards, and is as it was before the first write", async () => {
    await fill(store(), "a");
    const before = await look(store(), "a");
    await eraseIn(1000, store(), "a");
    await fill(store(), "a");
    expect(await look(store(), "a")).toEqual(before);
  });

  test("versions go on growing, so nobody takes a new entry for an old one", async () => {
    const { entries, commits } = store();
    let last = 0;
    for (let i = 0; i < 3; i++) {
      await setTexts(entries, { a: "1" });
      const version = await versionOf(commits, "a");
      expect(version).toBeGreaterThan(last);
      last = version;
      await eraseIn(1000, store(), NAMESPACE);
    }
  });
}

function describeSteps({ durable }: Harness, store: () => OpenStore): void {
  test("small steps remove all in the end", async () => {
    await fill(store(), "a");
    await fill(store(), "ab");
    const before = await look(store(), "ab");
    await eraseIn(7, store(), "a");
    expect(await look(store(), "a")).toEqual(NOTHING);
    expect(await look(store(), "ab")).toEqual(before);
  });

  test("what was interrupted goes on, after a restart too", async () => {
    await fill(store(), "a");
    const erase = present(store().backend.erase);
    const after = await erase("a", { after: undefined, maxItems: 5 }, CALL);
    const aborted = createCall(AbortSignal.abort());
    await expect(erase("a", { after, maxItems: 5 }, aborted)).rejects.toMatchObject({ reason: "canceled" });
    if (durable) {
      await store().backend.close();
      await store().backend.open();
    }
    await eraseAll(present(store().backend.erase), "a", CALL);
    expect(await look(store(), "a")).toEqual(NOTHING);
  });
}

function describeMeanwhile(store: () => OpenStore): void {
  test("other namespaces are written meanwhile, and nothing of it is lost", async () => {
    const { entries, lists, records } = store();
    await fill(store(), "a");
    let erasing = true;
    const written: string[] = [];
    const write = async () => {
      for (let i = 0; erasing || i < 20; i++) {
        const key = `k${i}`;
        await setTexts(entries, { [key]: "1" }, { namespace: "ab" });
        await answersOf(lists.push("ab", [{ key: "a", end: "right", value: bytes(key) }], CALL));
        await put(records, "a", [item(key, key)], "ab");
        written.push(key);
      }
    };
    const writing = write();
    await eraseIn(20, store(), "a");
    erasing = false;
    await writing;
    expect(await look(store(), "a")).toEqual(NOTHING);
    expect(await look(store(), "ab")).toMatchObject({
      keys: sortedByBytes(written),
      lengths: [written.length, 0, 0],
      a: sortedByBytes(written),
    });
  });

  test("what is written to the namespace meanwhile goes too or stays, and is whole", async () => {
    const { backend, entries, lists, records } = store();
    await fill(store(), "a");
    let erasing = true;
    const write = async () => {
      for (let i = 0; erasing; i++) {
        await setTexts(
          entries,
          { [`k${i % 5}`]: "1" },
          { namespace: "a", ttlMs: i % 2 === 0 ? 0 : 1_000_000 },
        );
        const pushes = [0, 1, 2].map(() => ({ key: "a", end: "left" as const, value: bytes("v") }));
        await answersOf(lists.push("a", pushes, CALL));
        await answersOf(lists.pop("a", [{ key: "a", end: "right" }], CALL));
        await put(records, "a", [item(`k${i % 5}`, "1")], "a");
        await backend.streams?.appendEvents("a", [append("a", [event(LATER_MS), event(LATER_MS)])], CALL);
      }
    };
    const writing = write();
    for (let i = 0; i < 3; i++) {
      await eraseIn(20, store(), "a");
    }
    erasing = false;
    await writing;
    const [length = 0] = await answersOf(lists.length("a", ["a"], CALL));
    const pops = Array.from({ length: length + 1 }, () => ({ key: "a", end: "left" as const }));
    const values = texts(await answersOf(lists.pop("a", pops, CALL)));
    expect(values.filter((value) => value !== undefined)).toHaveLength(length);
    await expectWholeStream(store(), "a");
    await eraseIn(1000, store(), "a");
    expect(await look(store(), "a")).toEqual(NOTHING);
  });
}

/** The stream has every event that its description counts. */
async function expectWholeStream({ backend: { streams } }: OpenStore, namespace: string): Promise<void> {
  const state = streams && (await describeOne(streams, "a", namespace));
  if (streams !== undefined && state !== undefined) {
    const offsets = offsetsOf(await readEvents(streams, "a", {}, namespace));
    expect(offsets).toEqual(Array.from({ length: state.nextOffset }, (_, i) => i));
  }
}

function describeTime(store: () => OpenStore): void {
  test("what is expired and not yet swept goes too, and no expiry outlives its entry", async () => {
    const { entries, records, scans, advance } = store();
    await setTexts(entries, { gone: "1" }, { namespace: "a", ttlMs: 10 });
    await setTexts(entries, { again: "1" }, { namespace: "a", ttlMs: 1000 });
    await put(records, "r", [item("gone", "1", { ttlMs: 10 }), item("again", "1", { ttlMs: 1000 })], "a");
    await advance(10);
    await eraseIn(1, store(), "a");
    await setTexts(entries, { again: "2" }, { namespace: "a" });
    await put(records, "r", [item("again", "2")], "a");
    await advance(2000);
    expect(await scans.count("a", "", CALL)).toBe(1);
    expect(texts(await answersOf(entries.get("a", ["gone", "again"], CALL)))).toEqual([undefined, "2"]);
    expect((await read(records, "r", {}, "a")).map(({ key }) => latin1(key))).toEqual(["again"]);
  });
}
