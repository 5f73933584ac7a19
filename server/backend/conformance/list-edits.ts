import { expect, test } from "vitest";
import { answerOf } from "../contract.ts";
import type { ListEnd, ListMove, ListPage, ListRange, ListSlice } from "../lists.ts";
import {
  answersOf,
  bytes,
  CALL,
  describeFor,
  type Harness,
  NAMESPACE,
  type OpenStore,
  present,
  testBatch,
  texts,
  useOpenStore,
} from "./harness.ts";

const PAGE = { maxEntries: 1000, maxBytes: 1e9 };
const SIDES: readonly ListEnd[] = ["left", "right"];

async function fill(
  { lists }: OpenStore,
  key: string,
  values: readonly (string | Uint8Array)[],
): Promise<void> {
  const pushes = values.map((value) => ({
    key,
    end: "right" as const,
    value: typeof value === "string" ? bytes(value) : value,
  }));
  await answersOf(lists.push(NAMESPACE, pushes, CALL));
}

/** Reads a range page by page. */
async function readAll(
  { listRanges }: OpenStore,
  range: ListRange,
  page: { readonly maxEntries: number; readonly maxBytes: number } = PAGE,
): Promise<Uint8Array[]> {
  const values: Uint8Array[] = [];
  for (let next: ListPage["next"] = range; next !== undefined; ) {
    const slices: ListSlice[] = [{ key: range.key, ...next, ...page }];
    const found: ListPage = present((await answersOf(listRanges.slice(NAMESPACE, slices, CALL)))[0]);
    expect(found.values.length).toBeLessThanOrEqual(page.maxEntries);
    values.push(...found.values);
    next = found.next;
  }
  return values;
}

async function contentOf(store: OpenStore, key: string): Promise<(string | undefined)[]> {
  return texts(await readAll(store, { key, start: 0, stop: -1 }));
}

/** What LRANGE of Redis answers of a list. */
function rangeOf<T>(values: readonly T[], start: number, stop: number): T[] {
  const from = Math.max(0, start < 0 ? values.length + start : start);
  return values.slice(from, Math.max(0, (stop < 0 ? values.length + stop : stop) + 1));
}

/** Every pair of indexes around the borders of a list. */
function pairsAround(length: number): { readonly start: number; readonly stop: number }[] {
  const indexes = Array.from({ length: 2 * length + 5 }, (_, i) => i - length - 2);
  indexes.push(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
  return indexes.flatMap((start) => indexes.map((stop) => ({ start, stop })));
}

/** Ranges, places and moves of lists: every border, and many callers at once. */
export function describeListEdits(harness: Harness): void {
  describeRanges(harness);
  describeIndexes(harness);
  describeMoves(harness);
  describeTogether(harness);
}

function describeRanges(harness: Harness): void {
  describeFor(harness, ["lists", "listRanges"], "list ranges", () => {
    const store = useOpenStore(harness);

    test.each([0, 1, 4])("every range of a list of %i", async (length) => {
      const open = store();
      const values = ["a", "b", "a", "d"].slice(0, length);
      await fill(open, "l", values);
      const slices = pairsAround(length).map((range) => ({ key: "l", ...range, ...PAGE }));
      const pages = await answersOf(open.listRanges.slice(NAMESPACE, slices, CALL));
      pages.forEach(({ values: found, next }, i) => {
        const { start, stop } = present(slices[i]);
        expect([texts(found), next], `${start} to ${stop}`).toEqual([
          rangeOf(values, start, stop),
          undefined,
        ]);
      });
      expect(await open.listRanges.slice(NAMESPACE, [], CALL)).toEqual([]);
    });

    test.each([0, 1, 3])("every trim of a list of %i; an emptied list is gone", async (length) => {
      const open = store();
      const values = ["a", "b", "c"].slice(0, length);
      const ranges = pairsAround(length).map((range, i) => ({ key: `l${i}`, ...range }));
      const pushes = ranges.flatMap(({ key }) =>
        values.map((value) => ({ key, end: "right" as const, value: bytes(value) })),
      );
      await answersOf(open.lists.push(NAMESPACE, pushes, CALL));
      const wanted = ranges.map(({ start, stop }) => rangeOf(values, start, stop));
      const lengths = wanted.map((each) => each.length);
      expect(await open.listRanges.trim(NAMESPACE, ranges, CALL)).toEqual(lengths);
      const keys = ranges.map(({ key }) => key);
      expect(await open.lists.length(NAMESPACE, keys, CALL)).toEqual(lengths);
      const slices = keys.map((key) => ({ key, start: 0, stop: -1, ...PAGE }));
      const pages = await answersOf(open.listRanges.slice(NAMESPACE, slices, CALL));
      expect(pages.map(({ values: found }) => texts(found))).toEqual(wanted);
      await fill(open, "l0", ["again"]);
      expect(await contentOf(open, "l0")).toEqual([...present(wanted[0]), "again"]);
    });

    test("pages are bounded in values and bytes, and hold the range together", async () => {
      const open = store();
      const values = Array.from({ length: 10 }, (_, i) => "x".repeat(i));
      await fill(open, "l", values);
      for (const maxEntries of [1, 3, 10]) {
        for (const [start, stop] of [
          [0, -1],
          [-8, -2],
          [2, 100],
        ] as const) {
          const found = await readAll(open, { key: "l", start, stop }, { maxEntries, maxBytes: 1e9 });
          expect(texts(found)).toEqual(rangeOf(values, start, stop));
        }
      }
      const slice = { key: "l", start: -4, stop: -1, maxEntries: 10, maxBytes: 13 };
      const [page] = await answersOf(open.listRanges.slice(NAMESPACE, [slice], CALL));
      // The value that reaches the bound is the page's last.
      expect(page?.values.length).toBe(2);
      expect(page?.next).toEqual({ start: 8, stop: 9 });
    });

    test("negative indexes are resolved once; a push on the right does not disturb what follows", async () => {
      const open = store();
      await fill(open, "l", ["a", "b", "c", "d"]);
      const first = { key: "l", start: -3, stop: -1, maxEntries: 2, maxBytes: 1e9 };
      const [page] = await answersOf(open.listRanges.slice(NAMESPACE, [first], CALL));
      expect(texts(present(page).values)).toEqual(["b", "c"]);
      await fill(open, "l", ["e"]);
      expect(texts(await readAll(open, { key: "l", ...present(present(page).next) }))).toEqual(["d"]);
    });

    test("values of every kind", async () => {
      const open = store();
      const values = [new Uint8Array(0), Uint8Array.of(0, 255, 128), new Uint8Array(1_000_000).fill(7)];
      await fill(open, "l", [...values, ...values]);
      const page = { maxEntries: 100, maxBytes: 100_000 };
      const found = await readAll(open, { key: "l", start: 0, stop: -1 }, page);
      expect(found.map((value) => Buffer.from(value))).toEqual(
        [...values, ...values].map((value) => Buffer.from(value)),
      );
      const [trimmed] = await answersOf(
        open.listRanges.trim(NAMESPACE, [{ key: "l", start: 1, stop: 3 }], CALL),
      );
      expect(trimmed).toBe(3);
      expect((await readAll(open, { key: "l", start: 0, stop: -1 })).map(({ length }) => length)).toEqual([
        3, 1_000_000, 0,
      ]);
    });

    testBatch(harness, "a list of ten thousand", async () => {
      const open = store();
      const values = Array.from({ length: 10_000 }, (_, i) => String(i));
      await fill(open, "l", values);
      expect(await contentOf(open, "l")).toEqual(values);
      await open.listRanges.trim(NAMESPACE, [{ key: "l", start: 10, stop: -2000 }], CALL);
      expect(await contentOf(open, "l")).toEqual(values.slice(10, 8001));
      await open.listRanges.trim(NAMESPACE, [{ key: "l", start: -3, stop: -1 }], CALL);
      expect(await contentOf(open, "l")).toEqual(["7998", "7999", "8000"]);
    });
  });
}

function describeIndexes(harness: Harness): void {
  describeFor(harness, ["lists", "listRanges", "listIndexes"], "list indexes", () => {
    const store = useOpenStore(harness);
    const FAR = [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER];

    test("the value in each place", async () => {
      const open = store();
      await fill(open, "l", ["a", "", "c"]);
      const indexes = [0, 1, 2, 3, -1, -2, -3, -4, ...FAR];
      const places = indexes.map((index) => ({ key: "l", index }));
      expect(texts(await open.listIndexes.at(NAMESPACE, places, CALL))).toEqual([
        ...["a", "", "c", undefined],
        ...["c", "", "a", undefined],
        ...[undefined, undefined],
      ]);
      const absent = [0, -1].map((index) => ({ key: "absent", index }));
      expect(await open.listIndexes.at(NAMESPACE, absent, CALL)).toEqual([undefined, undefined]);
    });

    test("a put replaces what is there, and tells of what is not", async () => {
      const open = store();
      await fill(open, "l", ["a", "b", "c"]);
      const put = (key: string, index: number, value: string) => ({ key, index, value: bytes(value) });
      const puts = [
        put("l", 0, "A"),
        put("l", -1, "C"),
        put("l", 3, "x"),
        put("l", -4, "x"),
        put("absent", 0, "x"),
        put("l", -2, ""),
        ...FAR.map((index) => put("l", index, "x")),
      ];
      expect(await open.listIndexes.put(NAMESPACE, puts, CALL)).toEqual([
        ...["put", "put", "outside", "outside", "absent", "put"],
        ...["outside", "outside"],
      ]);
      expect(await contentOf(open, "l")).toEqual(["A", "", "C"]);
      expect(await open.lists.length(NAMESPACE, ["l", "absent"], CALL)).toEqual([3, 0]);
    });

    test("an insert stands before or after the leftmost pivot", async () => {
      const open = store();
      const insert = async (key: string, side: "before" | "after", pivot: string, value: string) => {
        const inserts = [{ key, side, pivot: bytes(pivot), value: bytes(value) }];
        return (await answersOf(open.listIndexes.insert(NAMESPACE, inserts, CALL)))[0];
      };
      expect(await insert("l", "before", "a", "x")).toEqual({ inserted: false, length: 0 });
      expect(await contentOf(open, "l")).toEqual([]);
      await fill(open, "l", ["a", "b", "a"]);
      expect(await insert("l", "before", "no", "x")).toEqual({ inserted: false, length: 3 });
      expect(await insert("l", "before", "a", "1")).toEqual({ inserted: true, length: 4 });
      expect(await insert("l", "after", "a", "2")).toEqual({ inserted: true, length: 5 });
      expect(await insert("l", "after", "b", "3")).toEqual({ inserted: true, length: 6 });
      expect(await insert("l", "before", "3", "")).toEqual({ inserted: true, length: 7 });
      expect(await insert("l", "after", "", "5")).toEqual({ inserted: true, length: 8 });
      expect(await contentOf(open, "l")).toEqual(["1", "a", "2", "b", "", "5", "3", "a"]);
      await fill(open, "one", ["o"]);
      expect(await insert("one", "after", "o", "p")).toEqual({ inserted: true, length: 2 });
      expect(await insert("one", "before", "o", "n")).toEqual({ inserted: true, length: 3 });
      expect(await insert("one", "after", "p", "q")).toEqual({ inserted: true, length: 4 });
      expect(await contentOf(open, "one")).toEqual(["n", "o", "p", "q"]);
    });

    test.each([
      [0, ["b", "c"], 3],
      [1, ["b", "a", "c", "a"], 1],
      [2, ["b", "c", "a"], 2],
      [9, ["b", "c"], 3],
      [-1, ["a", "b", "a", "c"], 1],
      [-2, ["a", "b", "c"], 2],
      [-9, ["b", "c"], 3],
      [Number.MIN_SAFE_INTEGER, ["b", "c"], 3],
      [Number.MAX_SAFE_INTEGER, ["b", "c"], 3],
    ])("a remove with count %i", async (count, left, removed) => {
      const open = store();
      await fill(open, "l", ["a", "b", "a", "c", "a"]);
      await fill(open, "m", ["z", "a", "z", "z"]);
      const removes = [
        { key: "l", value: bytes("a"), count },
        { key: "l", value: bytes("none"), count },
        { key: "absent", value: bytes("a"), count },
        { key: "m", value: bytes("a"), count },
      ];
      expect(await open.listIndexes.remove(NAMESPACE, removes, CALL)).toEqual([removed, 0, 0, 1]);
      expect(await contentOf(open, "l")).toEqual(left);
      expect(await contentOf(open, "m")).toEqual(["z", "z", "z"]);
      // The list is whole: both ends and every place work.
      expect(await open.lists.length(NAMESPACE, ["l"], CALL)).toEqual([left.length]);
      await fill(open, "l", ["r"]);
      const pops = [...left, "r"].map(() => ({ key: "l", end: "left" as const }));
      expect(texts(await open.lists.pop(NAMESPACE, pops, CALL))).toEqual([...left, "r"]);
    });

    test("a list whose last value is removed is gone", async () => {
      const open = store();
      await fill(open, "l", ["a", "a"]);
      const removes = [{ key: "l", value: bytes("a"), count: 0 }];
      expect(await open.listIndexes.remove(NAMESPACE, removes, CALL)).toEqual([2]);
      const put = [{ key: "l", index: 0, value: bytes("x") }];
      expect(await open.listIndexes.put(NAMESPACE, put, CALL)).toEqual(["absent"]);
      await fill(open, "l", ["again"]);
      expect(await contentOf(open, "l")).toEqual(["again"]);
    });

    test("large values are compared, put and inserted whole", async () => {
      const open = store();
      const large = new Uint8Array(1_000_000).fill(1);
      const other = new Uint8Array(1_000_000).fill(1);
      other[999_999] = 2;
      await fill(open, "l", [other, large, "x"]);
      const inserts = [{ key: "l", side: "after" as const, pivot: large, value: other }];
      expect(await open.listIndexes.insert(NAMESPACE, inserts, CALL)).toEqual([
        { inserted: true, length: 4 },
      ]);
      await open.listIndexes.put(NAMESPACE, [{ key: "l", index: -1, value: large }], CALL);
      const removes = [{ key: "l", value: large, count: 1 }];
      expect(await open.listIndexes.remove(NAMESPACE, removes, CALL)).toEqual([1]);
      const found = await readAll(open, { key: "l", start: 0, stop: -1 });
      expect(found.map((value) => [value.length, value[999_999]])).toEqual([
        [1_000_000, 2],
        [1_000_000, 2],
        [1_000_000, 1],
      ]);
    });

    test("the values are copied", async () => {
      const open = store();
      await fill(open, "l", ["p", "q"]);
      const request = Buffer.from("p1-2-3");
      const calls = [
        open.listIndexes.insert(
          NAMESPACE,
          [{ key: "l", side: "before", pivot: request.subarray(0, 1), value: request.subarray(1, 2) }],
          CALL,
        ),
        open.listIndexes.put(NAMESPACE, [{ key: "l", index: -1, value: request.subarray(3, 4) }], CALL),
      ];
      request.fill("x");
      await Promise.all(calls);
      expect(await contentOf(open, "l")).toEqual(["1", "p", "2"]);
    });

    testBatch(harness, "edits within a list of ten thousand", async () => {
      const open = store();
      const values = Array.from({ length: 10_000 }, (_, i) => String(i % 5000));
      await fill(open, "l", values);
      const inserts = [10, 4990].map((at) => ({
        key: "l",
        side: "before" as const,
        pivot: bytes(String(at)),
        value: bytes(`new ${at}`),
      }));
      await answersOf(open.listIndexes.insert(NAMESPACE, inserts, CALL));
      values.splice(10, 0, "new 10");
      values.splice(4991, 0, "new 4990");
      const removes = [
        { key: "l", value: bytes("20"), count: 0 },
        { key: "l", value: bytes("4980"), count: -1 },
        { key: "l", value: bytes("4970"), count: 1 },
      ];
      expect(await open.listIndexes.remove(NAMESPACE, removes, CALL)).toEqual([2, 1, 1]);
      const left = values.filter((value) => value !== "20");
      left.splice(left.lastIndexOf("4980"), 1);
      left.splice(left.indexOf("4970"), 1);
      expect(await contentOf(open, "l")).toEqual(left);
      const places = [0, 5000, -1].map((index) => ({ key: "l", index }));
      expect(texts(await open.listIndexes.at(NAMESPACE, places, CALL))).toEqual([
        left[0],
        left[5000],
        left.at(-1),
      ]);
    });
  });
}

function describeMoves(harness: Harness): void {
  describeFor(harness, ["lists", "listRanges", "listMoves"], "list moves", () => {
    const store = useOpenStore(harness);
    const move = (key: string, end: ListEnd, to: string, toEnd: ListEnd): ListMove => ({
      key,
      end,
      to,
      toEnd,
    });
    const directions = SIDES.flatMap((end) => SIDES.map((toEnd) => [end, toEnd] as const));

    test.each(directions)("from the %s to the %s of another list", async (end, toEnd) => {
      const open = store();
      await fill(open, "{t}a", ["1", "2", "3"]);
      const moves = [move("{t}a", end, "{t}b", toEnd), move("{t}a", end, "{t}b", toEnd)];
      const [a, b] = [["1", "2", "3"], [] as string[]];
      const moved = [0, 1].map(() => {
        const value = String(end === "left" ? a.shift() : a.pop());
        b.splice(toEnd === "left" ? 0 : b.length, 0, value);
        return value;
      });
      expect(texts(await open.listMoves.move(NAMESPACE, moves, CALL))).toEqual(moved);
      expect(await contentOf(open, "{t}a")).toEqual(a);
      expect(await contentOf(open, "{t}b")).toEqual(b);
    });

    test.each(directions)("from the %s to the %s of the same list", async (end, toEnd) => {
      const open = store();
      for (const values of [["1"], ["1", "2"], ["1", "2", "3"]]) {
        const key = `l${values.length}`;
        await fill(open, key, values);
        const wanted = [...values];
        const value = String(end === "left" ? wanted.shift() : wanted.pop());
        wanted.splice(toEnd === "left" ? 0 : wanted.length, 0, value);
        const moves = [move(key, end, key, toEnd)];
        expect(texts(await open.listMoves.move(NAMESPACE, moves, CALL))).toEqual([value]);
        expect(await contentOf(open, key)).toEqual(wanted);
        expect(await open.lists.length(NAMESPACE, [key], CALL)).toEqual([values.length]);
      }
    });

    test("from an absent list: nothing is done; the last value takes its list along", async () => {
      const open = store();
      const nothing = [move("{t}no", "left", "{t}b", "left"), move("{t}no", "left", "{t}no", "right")];
      expect(await open.listMoves.move(NAMESPACE, nothing, CALL)).toEqual([undefined, undefined]);
      expect(await open.lists.length(NAMESPACE, ["{t}no", "{t}b"], CALL)).toEqual([0, 0]);
      await fill(open, "{t}a", [""]);
      const last = [move("{t}a", "left", "{t}b", "left"), move("{t}a", "left", "{t}b", "left")];
      expect(texts(await open.listMoves.move(NAMESPACE, last, CALL))).toEqual(["", undefined]);
      expect(await open.lists.length(NAMESPACE, ["{t}a", "{t}b"], CALL)).toEqual([0, 1]);
      // Items of one batch see each other.
      const chain = [move("{t}b", "left", "{t}c", "left"), move("{t}c", "right", "{t}a", "right")];
      expect(texts(await open.listMoves.move(NAMESPACE, chain, CALL))).toEqual(["", ""]);
      expect(await open.lists.length(NAMESPACE, ["{t}a", "{t}b", "{t}c"], CALL)).toEqual([1, 0, 0]);
      expect(await open.listMoves.move(NAMESPACE, [], CALL)).toEqual([]);
    });

    test("a large value", async () => {
      const open = store();
      const large = new Uint8Array(1_000_000).fill(9);
      await fill(open, "{t}a", [large]);
      const moves = [move("{t}a", "right", "{t}b", "right")];
      const [found] = await answersOf(open.listMoves.move(NAMESPACE, moves, CALL));
      expect(Buffer.compare(present(found), large)).toBe(0);
      const [kept] = await readAll(open, { key: "{t}b", start: 0, stop: 0 });
      expect(Buffer.compare(present(kept), large)).toBe(0);
    });

    const { shardOf } = harness;
    if (shardOf === undefined) {
      return;
    }
    test("between shards it is refused, and nothing is done", async () => {
      const open = store();
      const keys = Array.from({ length: 100 }, (_, i) => `k${i}`);
      const there = present(keys.find((key) => shardOf(key) !== shardOf("k0")));
      await fill(open, "k0", ["1"]);
      const moves = [move("k0", "left", there, "left")];
      const [answer] = await open.listMoves.move(NAMESPACE, moves, CALL);
      expect(() => answerOf(answer)).toThrow(expect.objectContaining({ reason: "not_atomic" }));
      expect(await open.lists.length(NAMESPACE, ["k0", there], CALL)).toEqual([1, 0]);
    });
  });
}

function describeTogether(harness: Harness): void {
  const needed = ["lists", "listRanges", "listIndexes", "listMoves"] as const;
  describeFor(harness, needed, "lists of many callers", () => {
    const store = useOpenStore(harness);
    const LANES = 6;
    const ROUNDS = 15;
    const A = "{t}a";
    const B = "{t}b";

    test("values that are pushed, inserted, moved and popped at once come out once", async () => {
      const open = store();
      const { lists, listIndexes, listMoves } = open;
      const added: string[] = [];
      const taken: (string | undefined)[] = [];
      await fill(open, A, ["pivot"]);
      const lanes = Array.from({ length: LANES }, async (_, lane) => {
        for (let i = 0; i < ROUNDS; i++) {
          const name = `${lane}:${i}`;
          const [end, toEnd] = i % 2 === 0 ? (["left", "right"] as const) : (["right", "left"] as const);
          await answersOf(lists.push(NAMESPACE, [{ key: A, end, value: bytes(name) }], CALL));
          added.push(name);
          const insert = {
            key: A,
            side: i % 2 === 0 ? ("before" as const) : ("after" as const),
            pivot: bytes("pivot"),
            value: bytes(`new ${name}`),
          };
          const [inserted] = await answersOf(listIndexes.insert(NAMESPACE, [insert], CALL));
          if (inserted?.inserted === true) {
            added.push(`new ${name}`);
          }
          const moves = [
            { key: A, end: toEnd, to: B, toEnd: end },
            { key: B, end, to: A, toEnd },
          ];
          const picked = present(moves[(lane + i) % 2]);
          await answersOf(listMoves.move(NAMESPACE, [picked], CALL));
          taken.push(...texts(await lists.pop(NAMESPACE, [{ key: lane % 2 === 0 ? A : B, end }], CALL)));
          const remove = { key: B, value: bytes(name), count: 1 };
          const [removed] = await answersOf(listIndexes.remove(NAMESPACE, [remove], CALL));
          if (removed === 1) {
            taken.push(name);
          }
        }
      });
      await Promise.all(lanes);
      const left = [...(await contentOf(open, A)), ...(await contentOf(open, B))];
      const out = [...taken.filter((value) => value !== undefined), ...left];
      expect(out.sort()).toEqual([...added, "pivot"].sort());
    });

    test("a trim beside pushes keeps a list short, and whole", async () => {
      const open = store();
      const { lists, listRanges } = open;
      await Promise.all(
        Array.from({ length: LANES }, async (_, lane) => {
          for (let i = 0; i < ROUNDS; i++) {
            await fill(open, A, [`${lane}:${i}`]);
            await listRanges.trim(NAMESPACE, [{ key: A, start: -5, stop: -1 }], CALL);
          }
        }),
      );
      const content = await contentOf(open, A);
      expect(content).toHaveLength(5);
      expect(new Set(content).size).toBe(5);
      const pops = Array.from({ length: 6 }, () => ({ key: A, end: "left" as const }));
      expect(texts(await lists.pop(NAMESPACE, pops, CALL))).toEqual([...content, undefined]);
    });
  });
}
