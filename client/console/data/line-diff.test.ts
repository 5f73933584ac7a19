import { expect, test } from "vitest";
import { diffLines } from "./line-diff.ts";

/** As people write it: "-" = theirs, "+" = mine, "~" = lines that are alike. */
const drawn = (theirs: string, mine: string) =>
  diffLines(theirs, mine)
    .map((line) =>
      line.kind === "skipped"
        ? `~${line.count}`
        : { same: " ", theirs: "-", mine: "+" }[line.kind] + line.text,
    )
    .join("|");

test("two texts are compared line by line", () => {
  expect(drawn("a\nb\nc", "a\nx\nc")).toBe(" a|-b|+x| c");
  expect(drawn("a\nb\nc", "b\nc\nd")).toBe("-a| b| c|+d");
  expect(drawn("same", "same")).toBe("~1");
  expect(drawn("", "new")).toBe("-|+new");
});

test("lines that are alike are left out, but for those around a difference", () => {
  const lines = (last: string) => [...Array.from({ length: 9 }, (_, i) => `${i}`), last].join("\n");
  expect(drawn(lines("old"), lines("new"))).toBe("~6| 6| 7| 8|-old|+new");
});

test("long texts are compared in bounded time", () => {
  const many = (from: number) => Array.from({ length: 50_000 }, (_, i) => `${from + i}`).join("\n");
  expect(diffLines(many(0), many(1)).length).toBeLessThanOrEqual(100_000);
});
