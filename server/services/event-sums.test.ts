import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { NewEvent, Tags } from "../backend/streams.ts";
import { PrismError } from "../errors.ts";
import { MAX_SUM_BINS, MAX_SUM_NAMES_LENGTH, MAX_SUM_ROWS } from "../limits.ts";
import { EventSums, type NumberFigures, type SumRow, type SumRules } from "./event-sums.ts";

const ALL: SumRules = { startMs: 0, bucketMs: 0, valueTag: "", groupBy: [] };

function eventAt(timestampMs: number, payload: string | number, tags: Tags = {}): NewEvent {
  return { timestampMs, payload: Buffer.from(String(payload)), tags };
}

function rowsOf(events: Iterable<NewEvent>, rules: Partial<SumRules> = {}): readonly SumRow[] {
  const sums = new EventSums({ ...ALL, ...rules });
  for (const event of events) {
    sums.add(event);
  }
  return sums.rows();
}

function figuresOf(numbers: Iterable<number>): NumberFigures {
  const [row] = rowsOf(Iterator.from(numbers).map((number) => eventAt(1, number)));
  if (row?.figures === undefined) {
    throw new Error("no figures");
  }
  return row.figures;
}

/** What is thrown. */
function errorOf(run: () => void): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe("against a plain computation", () => {
  /** The sum of any numbers, exact, as a multiple of the smallest float64. */
  function exactSum(numbers: readonly number[]): bigint {
    return numbers.reduce((sum, number) => sum + unitsOf(number), 0n);
  }

  const units = new DataView(new ArrayBuffer(8));

  function unitsOf(number: number): bigint {
    units.setFloat64(0, Math.abs(number));
    const bits = units.getBigUint64(0);
    const exponent = bits >> 52n;
    const fraction = bits & (2n ** 52n - 1n);
    const size = exponent === 0n ? fraction : (fraction | (2n ** 52n)) << (exponent - 1n);
    return number < 0 ? -size : size;
  }

  /** The rows in the simplest way: groups of kept events, sorted by everything. */
  function plainRows(events: readonly NewEvent[], { bucketMs, startMs, valueTag, groupBy }: SumRules) {
    const kept = Map.groupBy(events, ({ timestampMs, tags }) => {
      const bucket = bucketMs === 0 ? startMs : Math.floor(timestampMs / bucketMs) * bucketMs;
      return JSON.stringify([bucket, groupBy.map((name) => (Object.hasOwn(tags, name) ? tags[name] : ""))]);
    });
    const rows = Array.from(kept, ([key, those]) => {
      const [startMs, group] = JSON.parse(key) as [number, string[]];
      const texts = those.map(({ payload, tags }) =>
        valueTag === "" ? Buffer.from(payload).toString() : (tags[valueTag] ?? ""),
      );
      // The events here have either JSON or words.
      const numbers = texts.filter((text) => text !== "" && !/[a-z]{2}/.test(text)).map(Number);
      return { startMs, group, count: those.length, numbers };
    });
    return rows.sort((a, b) => a.startMs - b.startMs || Buffer.compare(bytesOf(a.group), bytesOf(b.group)));
  }

  /** No value here has a byte of 0. */
  function bytesOf(group: readonly string[]): Buffer {
    return Buffer.from(group.join("\0"));
  }

  const number = fc.oneof(
    fc.double({ noNaN: true, min: -1e300, max: 1e300 }),
    fc.integer({ min: -100, max: 100 }),
    fc.constantFrom("", "word", "none"),
  );
  const value = fc.option(fc.constantFrom("", "a", "b", "aa", "\uffff", "\u{10000}"), { nil: undefined });
  const event = fc.record({
    timestampMs: fc.integer({ min: 1, max: 3000 }),
    payload: number,
    tags: fc.record({ host: value, zone: value, n: number }),
  });
  const rules = fc.record({
    startMs: fc.constantFrom(0, 1),
    bucketMs: fc.constantFrom(0, 1, 7, 1000, 1e15),
    valueTag: fc.constantFrom("", "n"),
    groupBy: fc.constantFrom([], ["host"], ["zone", "host"], ["constructor"]),
  });

  test("rows, sums and quantiles agree", () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 200, size: "max" }), rules, (drawn, rule) => {
        const events = drawn
          .toSorted((a, b) => a.timestampMs - b.timestampMs)
          .map(({ timestampMs, payload, tags }) => {
            const texts = Object.entries(tags).flatMap(([name, text]) =>
              text === undefined ? [] : [[name, String(text)]],
            );
            return eventAt(timestampMs, payload, Object.fromEntries(texts));
          });
        const found = rowsOf(events, rule);
        const plain = plainRows(events, rule);
        expect(found.map(({ figures: _, ...row }) => row)).toEqual(
          plain.map((row) => ({ ...row, numbers: row.numbers.length })),
        );
        for (const [i, { numbers }] of plain.entries()) {
          expectFigures(found[i]?.figures, numbers);
        }
      }),
      { numRuns: 500 },
    );
  });

  function expectFigures(figures: NumberFigures | undefined, numbers: readonly number[]): void {
    if (numbers.length === 0) {
      expect(figures).toBeUndefined();
      return;
    }
    const { sum, avg, min, max, ...quantiles } = figures ?? figuresOf([]);
    const ascending = numbers.toSorted((a, b) => a - b);
    expect({ min, max }).toEqual({ min: (ascending[0] ?? 0) + 0, max: (ascending.at(-1) ?? 0) + 0 });
    // Half a unit in the last place, and next to nothing for all that was added.
    const exact = exactSum(numbers);
    const added = exactSum(numbers.map(Math.abs));
    const off = unitsOf(sum) - exact;
    const mayBe = magnitude(exact) / 2n ** 52n + added / 2n ** 90n + 1n;
    expect(magnitude(off) <= mayBe, `sum ${sum}`).toBe(true);
    expect(avg).toBe(sum / numbers.length);
    for (const [percent, quantile] of [
      [50, quantiles.p50],
      [95, quantiles.p95],
      [99, quantiles.p99],
    ] as const) {
      const wanted = ascending[Math.ceil((percent * numbers.length) / 100) - 1] ?? Number.NaN;
      expect(Math.abs(quantile - wanted)).toBeLessThanOrEqual(Math.max(Math.abs(wanted) * 0.01, 1e-309));
    }
  }

  function magnitude(number: bigint): bigint {
    return number < 0n ? -number : number;
  }
});

describe("numbers", () => {
  test("a sum of a million tenths is exact to the last place", () => {
    const sums = new EventSums(ALL);
    const event = eventAt(1, "0.1");
    for (let i = 0; i < 1_000_000; i++) {
      sums.add(event);
    }
    expect(sums.rows()[0]?.figures?.sum).toBe(100_000);
  });

  test("small numbers beside large ones are not lost", () => {
    expect(figuresOf([1, 1e100, 1, -1e100]).sum).toBe(2);
  });

  test("a sum beyond a float64 is infinite, and what is known stays known", () => {
    const numbers = [Number.MAX_VALUE, Number.MAX_VALUE, 1];
    expect(figuresOf(numbers)).toMatchObject({ sum: Infinity, min: 1, max: Number.MAX_VALUE });
    expect(figuresOf(numbers.map((number) => -number))).toMatchObject({ sum: -Infinity, avg: -Infinity });
  });

  test("so many alike are what they are one by one, also beyond a float64", () => {
    const max = Number.MAX_VALUE;
    const alike: [number: number, count: number][][] = [
      [
        [7, 60],
        [-3, 35],
        [0, 5],
      ],
      [
        [0.1, 1_000],
        [-100, 1],
      ],
      [
        [1.1, 3_000],
        [-3_300, 1],
      ],
      [
        [max, 2],
        [-max, 2],
      ],
      [
        [-max, 3],
        [max, 1],
      ],
    ];
    for (const numbers of alike) {
      const sums = new EventSums(ALL);
      for (const [number, count] of numbers) {
        sums.add(eventAt(1, number), count);
      }
      const singles = numbers.flatMap(([number, count]) => Array<number>(count).fill(number));
      const rows = rowsOf(singles.map((number) => eventAt(1, number)));
      expect(sums.rows()).toEqual(rows);
    }
  });

  test("quantiles lie among the numbers", () => {
    expect(figuresOf([5])).toEqual({ sum: 5, min: 5, max: 5, avg: 5, p50: 5, p95: 5, p99: 5 });
    expect(figuresOf([0, -7, 0])).toMatchObject({ min: -7, max: 0, p50: 0, p99: 0 });
  });

  test("events without a number count, and have no figures", () => {
    const rows = rowsOf([eventAt(1, "a"), eventAt(2, "")]);
    expect(rows).toEqual([{ startMs: 0, group: [], count: 2, numbers: 0, figures: undefined }]);
  });

  test("the number of an event is in its payload, or in a tag", () => {
    const events = [eventAt(1, 1, { n: "10" }), eventAt(1, 2, { n: "20", m: "1" }), eventAt(1, 4)];
    expect(rowsOf(events)[0]?.figures?.sum).toBe(7);
    expect(rowsOf(events, { valueTag: "n" })[0]).toMatchObject({
      count: 3,
      numbers: 2,
      figures: { sum: 30 },
    });
    expect(rowsOf(events, { valueTag: "toString" })[0]).toMatchObject({ count: 3, numbers: 0 });
  });
});

describe("buckets and groups", () => {
  test("buckets begin at multiples since 1970, and one bucket at the start of the span", () => {
    const events = [eventAt(999, 1), eventAt(1000, 2), eventAt(1999, 3), eventAt(5000, 4)];
    const counts = (rules: Partial<SumRules>) =>
      rowsOf(events, rules).map(({ startMs, count }) => [startMs, count]);
    expect(counts({ bucketMs: 1000, startMs: 500 })).toEqual([
      [0, 1],
      [1000, 2],
      [5000, 1],
    ]);
    expect(counts({ startMs: 500 })).toEqual([[500, 4]]);
  });

  test("without events there is no row", () => {
    expect(rowsOf([])).toEqual([]);
  });

  test("groups that look alike are two", () => {
    const alike = [
      { a: "1:x", b: "" },
      { a: "", b: "1:x" },
      { a: "x", b: "0:" },
      { a: "x0:", b: "" },
    ];
    const rows = rowsOf(
      alike.map((tags) => eventAt(1, 1, tags)),
      { groupBy: ["a", "b"] },
    );
    expect(rows.map(({ group, count }) => [...group, count])).toEqual([
      ["", "1:x", 1],
      ["1:x", "", 1],
      ["x", "0:", 1],
      ["x0:", "", 1],
    ]);
  });

  test("a tag that is not there is the empty value", () => {
    const rows = rowsOf([eventAt(1, 1, { a: "" }), eventAt(1, 1)], { groupBy: ["a"] });
    expect(rows).toMatchObject([{ group: [""], count: 2 }]);
  });
});

describe("bounds", () => {
  test("rows", () => {
    const add = (rows: number, rules: Partial<SumRules>) =>
      rowsOf(
        Array.from({ length: rows }, (_, i) => eventAt(i, 1, { id: String(i) })),
        rules,
      ).length;
    for (const rules of [{ bucketMs: 1 }, { groupBy: ["id"] }, { bucketMs: 7, groupBy: ["id"] }]) {
      expect(add(MAX_SUM_ROWS, rules)).toBe(MAX_SUM_ROWS);
      const error = errorOf(() => add(MAX_SUM_ROWS + 1, rules));
      expect(error).toBeInstanceOf(PrismError);
      expect(error).toMatchObject({
        reason: "value_too_large",
        message: expect.stringContaining("larger buckets, a shorter span or fewer groups"),
      });
    }
  });

  test("names and values of groups", () => {
    const long = "x".repeat(4000);
    const run = (rows: number) =>
      rowsOf(
        Array.from({ length: rows }, (_, i) => eventAt(i, 1)),
        { bucketMs: 1, groupBy: [long] },
      );
    const most = Math.floor(MAX_SUM_NAMES_LENGTH / long.length);
    expect(run(most)).toHaveLength(most);
    expect(errorOf(() => run(most + 1))).toMatchObject({ reason: "value_too_large" });
  });

  test("bins: those of one bucket", () => {
    const sums = new EventSums({ ...ALL, bucketMs: 1, groupBy: ["id"] });
    const events = Array.from({ length: 64_000 }, (_, i) =>
      eventAt(1, (1 + (i % 64) / 64) * 2 ** (Math.floor(i / 64) - 500)),
    );
    const addGroup = (timestampMs: number, id: string) => {
      for (const event of events) {
        sums.add({ ...event, timestampMs, tags: { id } });
      }
    };
    for (const timestampMs of [1, 2]) {
      for (let group = 0; (group + 1) * events.length <= MAX_SUM_BINS; group++) {
        addGroup(timestampMs, `${group}`);
      }
    }
    // More of the same needs no more.
    addGroup(2, "0");
    expect(errorOf(() => addGroup(2, "one more"))).toMatchObject({
      reason: "value_too_large",
      message: expect.stringContaining("shorter buckets or fewer groups"),
    });
  });
});
