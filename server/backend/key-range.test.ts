import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { keyRange } from "./key-range.ts";

const unit = fc.constantFrom(
  "\0",
  "a",
  "b",
  "\x7f",
  "\u07ff",
  "\ud7ff",
  "\ue000",
  "\uffff",
  "\u{10000}",
  "\u{10ffff}",
);
const text = fc.string({ unit, maxLength: 3 });
const bound = fc.option(text, { nil: undefined });

describe("keyRange", () => {
  test("holds the keys that keep every bound, and no others", () => {
    fc.assert(
      fc.property(
        text,
        bound,
        bound,
        fc.boolean(),
        bound,
        text,
        (prefix, start, end, reverse, after, key) => {
          const bytes = Buffer.from(key);
          const { from, below } = keyRange({ prefix, start, end, reverse }, after);
          const inRange = Buffer.compare(bytes, from) >= 0 && Buffer.compare(bytes, below) < 0;
          const order = (other: string) => Buffer.compare(bytes, Buffer.from(other));
          const wanted =
            key.startsWith(prefix) &&
            (start === undefined || order(start) >= 0) &&
            (end === undefined || order(end) < 0) &&
            (after === undefined || (reverse ? order(after) < 0 : order(after) > 0));
          expect(inRange).toBe(wanted);
        },
      ),
    );
  });
});
