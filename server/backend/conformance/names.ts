import { expect, test } from "vitest";
import type { NamePage, NameQuery } from "../contract.ts";
import { eraseAll } from "../erase-all.ts";
import {
  AWKWARD_KEYS,
  answersOf,
  bytes,
  CALL,
  describeFor,
  type Harness,
  NAMESPACE,
  NAMESPACES,
  type OpenStore,
  present,
  setTexts,
  sortedByBytes,
  testBatch,
  useOpenStore,
} from "./harness.ts";
import { deleteAll, item, put } from "./record-values.ts";
import { keysIn } from "./scan.ts";
import { appendTo, awkwardStreams, create, deleteOne, event } from "./stream-values.ts";

/** What the same tests need of lists, of records and of streams. */
interface Space {
  make(name: string, namespace?: string): Promise<unknown>;
  drop(name: string): Promise<unknown>;
  page(query: NameQuery, namespace?: string): Promise<NamePage>;
}

/** Reads all pages of a range, and checks their bounds. `between` runs after each page. */
async function namesOf(
  space: Space,
  { maxNames = 1000, ...range }: Partial<NameQuery> = {},
  { namespace = NAMESPACE, between = async () => {} }: { namespace?: string; between?: () => unknown } = {},
): Promise<string[]> {
  const all: string[] = [];
  let after: string | undefined;
  do {
    const { names, next } = await space.page({ prefix: "", ...range, after, maxNames }, namespace);
    expect(names.length).toBeLessThanOrEqual(maxNames);
    all.push(...names);
    after = next;
    await between();
  } while (after !== undefined);
  return all;
}

function listsOf({ lists, listNames }: OpenStore): Space {
  return {
    make: (key, namespace = NAMESPACE) =>
      answersOf(lists.push(namespace, [{ key, end: "left", value: bytes("1") }], CALL)),
    drop: (key) => answersOf(lists.pop(NAMESPACE, [{ key, end: "left" }], CALL)),
    page: (query, namespace = NAMESPACE) => listNames.pageNames(namespace, query, CALL),
  };
}

function recordsOf({ records, recordIds }: OpenStore): Space {
  return {
    make: (id, namespace = NAMESPACE) => put(records, id, [item("a", "1"), item("b", "2")], namespace),
    drop: (id) => deleteAll(records, id),
    page: (query, namespace = NAMESPACE) => recordIds.pageIds(namespace, query, CALL),
  };
}

function streamsOf({ streams, streamNames }: OpenStore): Space {
  return {
    make: (stream, namespace = NAMESPACE) => create(streams, stream, {}, namespace),
    drop: (stream) => deleteOne(streams, stream),
    page: (query, namespace = NAMESPACE) => streamNames.pageStreams(namespace, query, CALL),
  };
}

/**
 * Which lists, records and streams there are: order, ranges, pages, and what makes a name come and
 * go.
 */
export function describeNames(harness: Harness): void {
  describeFor(harness, ["lists", "listNames"], "names of lists", () => {
    const store = useOpenStore(harness);
    describeSpace(() => listsOf(store()));
    describeFor(harness, ["listRanges", "listIndexes", "listMoves"], "edits", () => describeEdits(store));

    test("several values of one list can come and go within one call", async () => {
      const { lists } = store();
      const pops = ["a", "a", "b"].map((key) => ({ key, end: "left" as const }));
      const pushes = ["a", "b", "a", "b"].map((key) => ({ key, end: "right" as const, value: bytes("1") }));
      expect(await answersOf(lists.push(NAMESPACE, pushes, CALL))).toEqual([1, 1, 2, 2]);
      await answersOf(lists.pop(NAMESPACE, pops, CALL));
      expect(await namesOf(listsOf(store()))).toEqual(["b"]);
      await answersOf(lists.pop(NAMESPACE, pops, { ...CALL, each: true }));
      expect(await namesOf(listsOf(store()))).toEqual([]);
    });
  });
  describeFor(harness, ["records", "recordIds"], "ids of records", () => {
    const store = useOpenStore(harness);
    describeSpace(() => recordsOf(store()));

    test("a record is there while it has an item, however it got it", async () => {
      const { records } = store();
      const swap = { id: "r", key: bytes("a"), expected: undefined, value: bytes("1") };
      const deletion = { id: "r", keys: ["a", "b"].map(bytes), maxItems: 9 };
      await answersOf(records.swapItem(NAMESPACE, [{ ...swap, expected: bytes("none") }], CALL));
      expect(await namesOf(recordsOf(store()))).toEqual([]);
      await answersOf(records.swapItem(NAMESPACE, [swap], CALL));
      await put(records, "r", [item("b", "1"), item("c", "1")]);
      await answersOf(records.deleteItems(NAMESPACE, [deletion], CALL));
      expect(await namesOf(recordsOf(store()))).toEqual(["r"]);
      await answersOf(records.deleteItems(NAMESPACE, [{ ...deletion, keys: [bytes("c")] }], CALL));
      expect(await namesOf(recordsOf(store()))).toEqual([]);
    });
  });
  describeFor(harness, ["records", "recordIds", "clock"], "ids of records, and time", () => {
    describeExpiry(harness, useOpenStore(harness));
  });
  describeFor(harness, ["streams", "streamNames"], "names of streams", () => {
    const store = useOpenStore(harness);
    describeSpace(() => streamsOf(store()), awkwardStreams(harness));

    test("a stream is there from its first append until it is deleted", async () => {
      const { streams } = store();
      await appendTo(streams, "s", [event(1)]);
      await appendTo(streams, "s", [event(2)]);
      await create(streams, "empty");
      expect(await namesOf(streamsOf(store()))).toEqual(["empty", "s"]);
      await deleteOne(streams, "s");
      expect(await namesOf(streamsOf(store()))).toEqual(["empty"]);
    });

    describeFor(harness, ["erase"], "erase", () => {
      test("no stream has a name then, an empty one neither", async () => {
        for (const namespace of ["a", "ab"]) {
          await streamsOf(store()).make("empty", namespace);
          await appendTo(store().streams, "s", [event(1), event(2)], { namespace });
        }
        await eraseAll(present(store().backend.erase), "a", CALL);
        expect(await namesOf(streamsOf(store()), {}, { namespace: "a" })).toEqual([]);
        expect(await namesOf(streamsOf(store()), {}, { namespace: "ab" })).toEqual(["empty", "s"]);
      });
    });
  });
  describeFor(harness, ["entries", "lists", "listNames", "records", "recordIds"], "all key spaces", () => {
    const store = useOpenStore(harness);

    test("each names its own only", async () => {
      await setTexts(store().entries, { e: "1" });
      await listsOf(store()).make("l");
      await recordsOf(store()).make("r");
      expect(await namesOf(listsOf(store()))).toEqual(["l"]);
      expect(await namesOf(recordsOf(store()))).toEqual(["r"]);
    });

    describeFor(harness, ["erase"], "erase", () => {
      test("nothing has a name then, and what begins again has one", async () => {
        const spaces = [listsOf(store()), recordsOf(store())];
        for (const space of spaces) {
          for (const namespace of ["a", "ab"]) {
            await Promise.all(["x", "y:z"].map((name) => space.make(name, namespace)));
          }
        }
        await eraseAll(present(store().backend.erase), "a", CALL);
        for (const space of spaces) {
          expect(await namesOf(space, {}, { namespace: "a" })).toEqual([]);
          expect(await namesOf(space, {}, { namespace: "ab" })).toEqual(["x", "y:z"]);
          await space.make("y:z", "a");
          expect(await namesOf(space, {}, { namespace: "a" })).toEqual(["y:z"]);
        }
      });
    });
  });
}

/** What holds for lists, records and streams alike. */
function describeSpace(space: () => Space, awkward: readonly string[] = AWKWARD_KEYS): void {
  test("where there are none, no page has a name", async () => {
    expect(await space().page({ prefix: "", after: undefined, maxNames: 1 })).toEqual({
      names: [],
      next: undefined,
    });
  });

  test("all names come once, in byte order, in pages of every size", async () => {
    await Promise.all(awkward.map((name) => space().make(name)));
    const wanted = sortedByBytes(awkward);
    for (const maxNames of [1, 2, 7, wanted.length - 1, wanted.length, wanted.length + 1]) {
      expect(await namesOf(space(), { maxNames }), String(maxNames)).toEqual(wanted);
    }
  });

  test.each([
    { prefix: "a" },
    { prefix: "a\0" },
    { prefix: "\u{10ffff}" },
    { prefix: "x".repeat(1024) },
    { prefix: "none" },
    { prefix: "", start: "a" },
    { prefix: "", start: "a", end: "ab" },
    { prefix: "", end: "\0" },
    { prefix: "a", start: "a\0b", end: "b" },
    { prefix: "", start: "b", end: "a" },
    { prefix: "", start: "é", end: "😀" },
    { prefix: "", start: "x".repeat(1024) },
  ])("a range has what is in it: %j", async (range) => {
    await Promise.all(awkward.map((name) => space().make(name)));
    const wanted = keysIn(range, awkward);
    expect(await namesOf(space(), range)).toEqual(wanted);
    expect(await namesOf(space(), { ...range, maxNames: 1 })).toEqual(wanted);
  });

  test("namespaces see their own names only", async () => {
    await Promise.all(NAMESPACES.map((namespace) => space().make(`of ${namespace}`, namespace)));
    for (const namespace of NAMESPACES) {
      expect(await namesOf(space(), {}, { namespace })).toEqual([`of ${namespace}`]);
    }
  });

  test("what was there and is gone has no name, and can begin again", async () => {
    await Promise.all(["a", "b", "c"].map((name) => space().make(name)));
    await space().drop("b");
    expect(await namesOf(space())).toEqual(["a", "c"]);
    await space().drop("a");
    await space().drop("c");
    expect(await namesOf(space())).toEqual([]);
    await space().make("b");
    expect(await namesOf(space())).toEqual(["b"]);
  });

  test("what is there all the time is in one page, whatever comes and goes meanwhile", async () => {
    const staying = Array.from({ length: 20 }, (_, i) => `s${String(i).padStart(2, "0")}`);
    await Promise.all([...staying, "s05x"].map((name) => space().make(name)));
    let round = 0;
    const between = async () => {
      await space().make(`s${String(round).padStart(2, "0")}new`);
      await space().drop("s05x");
      round++;
    };
    const found = await namesOf(space(), { maxNames: 3 }, { between });
    expect(found.filter((name) => staying.includes(name))).toEqual(staying);
    expect(new Set(found).size).toBe(found.length);
  });
}

/** Edits that empty lists, and one that makes them. */
function describeEdits(store: () => OpenStore): void {
  test.each(["trim", "remove", "move"] as const)(
    "%s can empty a list, which then has no name",
    async (how) => {
      const { listRanges, listIndexes, listMoves } = store();
      const space = listsOf(store());
      await Promise.all(["a", "a", "b"].map((name) => space.make(name)));
      const change = {
        trim: (key: string, isLast: boolean) =>
          answersOf(listRanges.trim(NAMESPACE, [{ key, start: 1, stop: isLast ? 0 : -1 }], CALL)),
        remove: (key: string) =>
          answersOf(listIndexes.remove(NAMESPACE, [{ key, value: bytes("1"), count: 1 }], CALL)),
        move: (key: string) =>
          answersOf(listMoves.move(NAMESPACE, [{ key, end: "left", to: "{b}", toEnd: "left" }], CALL)),
      }[how];
      if (how === "move") {
        await answersOf(
          listMoves.move(NAMESPACE, [{ key: "b", end: "left", to: "b", toEnd: "right" }], CALL),
        );
        expect(await namesOf(space)).toEqual(["a", "b"]);
        await change("b", false);
        expect(await namesOf(space)).toEqual(["a", "{b}"]);
        return;
      }
      await change("a", false);
      expect(await namesOf(space)).toEqual(["a", "b"]);
      await change("a", true);
      expect(await namesOf(space)).toEqual(["b"]);
    },
  );
}

function describeExpiry(harness: Harness, store: () => OpenStore): void {
  test("a record whose items have all expired has no name, and can begin again", async () => {
    const { records, advance } = store();
    const space = recordsOf(store());
    await put(records, "a", [item("x", "1", { ttlMs: 10 })]);
    await put(records, "b", [item("x", "1", { ttlMs: 10 }), item("y", "1", { ttlMs: 20 })]);
    await put(records, "c", [item("x", "1", { ttlMs: 10 }), item("y", "1")]);
    await advance(9);
    expect(await namesOf(space)).toEqual(["a", "b", "c"]);
    await advance(1);
    expect(await namesOf(space)).toEqual(["b", "c"]);
    expect(await namesOf(space, { maxNames: 1 })).toEqual(["b", "c"]);
    await advance(10);
    expect(await namesOf(space)).toEqual(["c"]);
    await put(records, "b", [item("x", "1")]);
    expect(await namesOf(space)).toEqual(["b", "c"]);
  });

  testBatch(harness, "a live item behind thousands of expired ones gives its record a name", async () => {
    const { records, advance } = store();
    for (const id of ["dead", "live"]) {
      for (let from = 0; from < 9000; from += 1000) {
        const items = Array.from({ length: 1000 }, (_, i) => item(`k${from + i}`, "", { ttlMs: 1000 }));
        await put(records, id, items);
      }
    }
    await put(records, "live", [item("z", "last")]);
    await advance(1000);
    expect(await namesOf(recordsOf(store()))).toEqual(["live"]);
  });

  testBatch(harness, "pages get past thousands of records that have expired", async () => {
    const { records, advance } = store();
    for (let from = 0; from < 6000; from += 1000) {
      const puts = Array.from({ length: 1000 }, (_, i) => ({
        id: `r${from + i}`,
        items: [item("a", "1", { ttlMs: 1000 })],
      }));
      await answersOf(records.putItems(NAMESPACE, puts, CALL));
    }
    await Promise.all(["a", "z"].map((id) => put(records, id, [item("a", "1")])));
    await advance(1000);
    expect(await namesOf(recordsOf(store()), { maxNames: 100 })).toEqual(["a", "z"]);
  });
}
