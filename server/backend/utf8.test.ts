import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compareUtf8, ordersNatively } from "./utf8.ts";

/** Characters on both sides of every border where the orders could differ. */
const character = fc.constantFrom(
  "\0",
  "a",
  "z",
  "é",
  "\ud7ff",
  "\ue000",
  "\uffff",
  "\u{10000}",
  "\u{10ffff}",
);
const key = fc.string({ unit: character, maxLength: 6 });

function sign(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

describe("compareUtf8", () => {
  test("orders as the bytes do", () => {
    fc.assert(
      fc.property(key, key, (a, b) => {
        expect(Math.sign(compareUtf8(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
      }),
    );
  });

  test("puts U+E000 before U+10000, which `<` does not", () => {
    expect(compareUtf8("\ue000", "\u{10000}")).toBeLessThan(0);
    expect("\ue000" < "\u{10000}").toBe(false);
  });
});

describe("ordersNatively", () => {
  test("is true only where `<` agrees with the bytes", () => {
    fc.assert(
      fc.property(key, key, (a, b) => {
        if (ordersNatively(a)) {
          expect(Math.sign(compareUtf8(a, b))).toBe(sign(a, b));
        }
      }),
    );
  });

  test("tells plain keys from those that need the loop", () => {
    expect(ordersNatively("user:1")).toBe(true);
    expect(ordersNatively("ключ")).toBe(true);
    expect(ordersNatively("😀")).toBe(false);
    expect(ordersNatively("！")).toBe(false);
  });
});
