import { describe, expect, test } from "vitest";
import {
  COUNTERS,
  type CountersInput,
  type CountersOutput,
  ENTRY,
  isLinearizable,
  type KeyInput,
  type KeyOutput,
  LIST,
  type ListInput,
  type ListOutput,
} from "./linearizable.ts";

type Step<I, O> = readonly [
  input: I,
  outcome: { output: O } | undefined,
  calledAt: number,
  returnedAt: number,
];

const history = <I, O>(steps: readonly Step<I, O>[]) =>
  steps.map(([input, outcome, calledAt, returnedAt]) => ({ input, outcome, calledAt, returnedAt }));

const set = (value: string): KeyInput => ({ kind: "set", value });
const get: KeyInput = { kind: "get" };
const remove: KeyInput = { kind: "delete" };
const is = <O>(output: O) => ({ output });
const done = is<KeyOutput>(undefined);

describe("an entry", () => {
  test.each<[string, boolean, readonly Step<KeyInput, KeyOutput>[]]>([
    ["nothing", true, []],
    [
      "what was set is read",
      true,
      [
        [set("1"), done, 0, 1],
        [get, is("1"), 2, 3],
      ],
    ],
    [
      "what was overwritten is read",
      false,
      [
        [set("1"), done, 0, 1],
        [set("2"), done, 2, 3],
        [get, is("1"), 4, 5],
      ],
    ],
    [
      "of two at once either may be first",
      true,
      [
        [set("1"), done, 0, 3],
        [set("2"), done, 1, 2],
        [get, is("1"), 4, 5],
      ],
    ],
    [
      "a write is seen before it is answered",
      true,
      [
        [set("1"), done, 0, 9],
        [get, is("1"), 1, 2],
      ],
    ],
    [
      "and then not any more",
      false,
      [
        [set("1"), done, 0, 9],
        [get, is("1"), 1, 2],
        [get, done, 3, 4],
      ],
    ],
    [
      "nobody knows, and it is there",
      true,
      [
        [set("1"), undefined, 0, Infinity],
        [get, is("1"), 5, 6],
      ],
    ],
    [
      "nobody knows, and it is not",
      true,
      [
        [set("1"), undefined, 0, Infinity],
        [get, done, 5, 6],
      ],
    ],
    [
      "nobody knows, and it comes late",
      true,
      [
        [set("1"), undefined, 0, Infinity],
        [get, done, 1, 2],
        [get, is("1"), 3, 4],
      ],
    ],
    [
      "two find the same to delete",
      false,
      [
        [set("1"), done, 0, 1],
        [remove, is<KeyOutput>(true), 2, 5],
        [remove, is<KeyOutput>(true), 3, 4],
      ],
    ],
  ])("%s: %s", (_name, expected, steps) => {
    expect(isLinearizable(history(steps), ENTRY)).toBe(expected);
  });
});

describe("a list", () => {
  const push = (value: string): ListInput => ({ kind: "push", value });
  const pop: ListInput = { kind: "pop" };
  test.each<[string, boolean, readonly Step<ListInput, ListOutput>[]]>([
    [
      "in order",
      true,
      [
        [push("1"), is(1), 0, 1],
        [push("2"), is(2), 2, 3],
        [pop, is("1"), 4, 5],
        [pop, is("2"), 6, 7],
      ],
    ],
    [
      "out of order",
      false,
      [
        [push("1"), is(1), 0, 1],
        [push("2"), is(2), 2, 3],
        [pop, is("2"), 4, 5],
      ],
    ],
    [
      "one value for two",
      false,
      [
        [push("1"), is(1), 0, 1],
        [pop, is("1"), 2, 5],
        [pop, is("1"), 3, 4],
      ],
    ],
    [
      "a value that is lost",
      false,
      [
        [push("1"), is(1), 0, 1],
        [pop, is<ListOutput>(undefined), 2, 3],
      ],
    ],
    [
      "two of one length",
      false,
      [
        [push("1"), is(1), 0, 3],
        [push("2"), is(1), 1, 2],
      ],
    ],
  ])("%s: %s", (_name, expected, steps) => {
    expect(isLinearizable(history(steps), LIST)).toBe(expected);
  });
});

describe("swaps and counters", () => {
  const swap = (from: string | undefined, to: string): KeyInput => ({ kind: "swap", from, to });

  test.each([
    [true, false],
    [false, true],
    [true, true],
    [false, false],
  ])("of two swaps from one value exactly one wins: %s, %s", (first, second) => {
    const steps: readonly Step<KeyInput, KeyOutput>[] = [
      [swap(undefined, "1"), is<KeyOutput>(true), 0, 1],
      [swap("1", "2"), is<KeyOutput>(first), 2, 5],
      [swap("1", "3"), is<KeyOutput>(second), 3, 4],
    ];
    expect(isLinearizable(history(steps), ENTRY)).toBe(first !== second);
  });

  test.each([
    ["2,-2", true],
    ["5,-5", true],
    ["7,-7", false],
    ["5,-2", false],
  ])("two counters that are read as %s", (found, explained) => {
    const add = (delta: number): CountersInput => ({ kind: "add", delta });
    const steps: readonly Step<CountersInput, CountersOutput>[] = [
      [add(2), is("2,-2"), 0, 1],
      [add(3), undefined, 2, Number.POSITIVE_INFINITY],
      [{ kind: "get" }, is(found), 3, 4],
    ];
    expect(isLinearizable(history(steps), COUNTERS)).toBe(explained);
  });
});
