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

describe("keyRange", () => {
  test("holds the keys that have the prefix and come after the start, and no others", () => {
    fc.assert(
      fc.property(text, fc.option(text, { nil: undefined }), text, (prefix, after, key) => {
        const bytes = Buffer.from(key);
        const { from, below } = keyRange(prefix, after);
        const inRange = Buffer.compare(bytes, from) >= 0 && Buffer.compare(bytes, below) < 0;
        const wanted =
          key.startsWith(prefix) && (after === undefined || Buffer.compare(bytes, Buffer.from(after)) > 0);
        expect(inRange).toBe(wanted);
      }),
    );
  });
});
