import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EncodedKey, hashOf } from "./encoded-key.ts";

const unit = fc.constantFrom("\0", "a", "\x7f", "\x80", "\ud7ff", "\ue000", "\u{10000}");
/** Around the end of the loop, the end of a word, and the initial room. */
const text = fc.oneof(
  fc.string({ unit, maxLength: 9 }),
  fc.string({ unit, minLength: 60, maxLength: 70, size: "max" }),
  fc.constantFrom(1023, 1024, 1025, 5000).map((length) => "x".repeat(length)),
);

describe("EncodedKey", () => {
  test("holds the UTF-8 bytes and nothing of an earlier key", () => {
    fc.assert(
      fc.property(fc.array(text, { minLength: 1, maxLength: 6 }), (texts) => {
        const key = new EncodedKey();
        const copy = new EncodedKey();
        for (const each of texts) {
          key.encode(each);
          const wanted = Buffer.from(each);
          const filledUp = Buffer.alloc(key.wordCount * 4);
          filledUp.set(wanted);
          expect(key.length).toBe(wanted.length);
          expect(key.ascii).toBe(wanted.length === each.length);
          expect(key.bytes.subarray(0, filledUp.length).equals(filledUp)).toBe(true);
          copy.copyFrom(key.words, 0, key.length, key.ascii);
          expect(copy.bytes.subarray(0, filledUp.length).equals(filledUp)).toBe(true);
          expect(hashOf(copy)).toBe(hashOf(key));
        }
      }),
    );
  });
});

describe("hashOf", () => {
  test("tells keys apart that differ in one place, or in zeros at the end", () => {
    const hash = (text: string) => {
      const key = new EncodedKey();
      key.encode(text);
      return hashOf(key);
    };
    const keys = ["", "\0", "\0\0", "a", "a\0", "a\0\0\0", "a\0\0\0\0"];
    for (let i = 0; i < 10_000; i++) {
      keys.push(`key:${i}`);
    }
    // Among ten thousand 32-bit hashes two are equal by chance in one of eighty such tests.
    expect(new Set(keys.map(hash)).size).toBeGreaterThan(keys.length - 4);
    const shards = new Set(keys.map((key) => hash(key) >>> 22));
    expect(shards.size).toBeGreaterThan(1000);
  });
});
