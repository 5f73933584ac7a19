import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isCounter, keysOfCommit, parseCounter } from "./commit.ts";

const MIN = -(2n ** 63n);
const MAX = 2n ** 63n - 1n;

describe("parseCounter", () => {
  test.each([0n, 1n, -1n, 10n, 2n ** 53n + 1n, MAX, MIN])("reads %d", (counter) => {
    expect(parseCounter(Buffer.from(String(counter)))).toBe(counter);
  });

  test("reads a view of a larger buffer", () => {
    expect(parseCounter(Buffer.from("12345").subarray(1, 4))).toBe(234n);
  });

  test.each([
    ["nothing", ""],
    ["text", "one"],
    ["a space before", " 1"],
    ["a line end", "1\n"],
    ["a leading zero", "01"],
    ["a plus sign", "+1"],
    ["a negative zero", "-0"],
    ["a sign alone", "-"],
    ["a fraction", "1.0"],
    ["other digits", "١"],
    ["one too large", String(MAX + 1n)],
    ["one too small", String(MIN - 1n)],
    ["20 digits", "1".repeat(20)],
    ["21 digits", "1".repeat(21)],
  ])("%s is no counter", (_, text) => {
    expect(parseCounter(Buffer.from(text))).toBeUndefined();
  });

  test("reads what a number is written as, if it is in the range", () => {
    fc.assert(
      fc.property(fc.bigInt(MIN * 2n, MAX * 2n), (value) => {
        expect(parseCounter(Buffer.from(String(value)))).toBe(isCounter(value) ? value : undefined);
      }),
    );
  });
});

test("the keys of a commit are those of its checks and of its mutations, in order", () => {
  const checks = [
    { key: "b", is: "absent" },
    { key: "a", is: "present" },
  ] as const;
  const mutations = [
    { key: "c", do: "delete" },
    { key: "a", do: "persist" },
  ] as const;
  expect(keysOfCommit({ checks, mutations, tells: false })).toEqual(["b", "a", "c", "a"]);
});
