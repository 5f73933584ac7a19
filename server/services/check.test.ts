import { describe, expect, test } from "vitest";
import { MAX_KEY_BYTES, MAX_TTL_SECONDS } from "../limits.ts";
import { checkKey, checkLimit, checkPrefix, checkTtlSeconds, checkValue } from "./check.ts";

const FULL = "k".repeat(MAX_KEY_BYTES);
const invalid = (field: string) => expect.objectContaining({ reason: "invalid_field", field });

describe("a key", () => {
  test.each(["k", "\0", " ", FULL, "é".repeat(MAX_KEY_BYTES / 2), "\u{10ffff}"])("%j is one", (key) => {
    expect(() => checkKey("key", key)).not.toThrow();
  });

  test.each([
    ["empty", ""],
    ["too long", `${FULL}k`],
    ["too long in UTF-8 only", "é".repeat(MAX_KEY_BYTES / 2 + 1)],
    ["half a character", "a\ud800"],
  ])("%s is refused, and the field named as it was asked for", (_what, key) => {
    expect(() => checkKey("key", key)).toThrow(invalid("key"));
    expect(() => checkKey("list_key", key)).toThrow(invalid("list_key"));
  });
});

test("a prefix is as a key, or empty", () => {
  expect(() => checkPrefix("")).not.toThrow();
  expect(() => checkPrefix(FULL)).not.toThrow();
  expect(() => checkPrefix(`${FULL}k`)).toThrow(invalid("prefix"));
});

test("a value may be as long as the limit, and no longer", () => {
  expect(() => checkValue(new Uint8Array(0), 0)).not.toThrow();
  expect(() => checkValue(new Uint8Array(8), 8)).not.toThrow();
  const refused = expect.objectContaining({ reason: "value_too_large", field: "value" });
  expect(() => checkValue(new Uint8Array(9), 8)).toThrow(refused);
});

test("a limit of 0 is none", () => {
  expect(checkLimit(0)).toBe(Number.POSITIVE_INFINITY);
  expect(checkLimit(7)).toBe(7);
  expect(() => checkLimit(-1)).toThrow(invalid("limit"));
});

test("a time to live is in milliseconds from then on; absent and 0 are none", () => {
  expect(checkTtlSeconds(undefined)).toBe(0);
  expect(checkTtlSeconds(0n)).toBe(0);
  expect(checkTtlSeconds(5n)).toBe(5000);
  expect(checkTtlSeconds(BigInt(MAX_TTL_SECONDS))).toBe(MAX_TTL_SECONDS * 1000);
  expect(() => checkTtlSeconds(-1n)).toThrow(invalid("ttl_seconds"));
  expect(() => checkTtlSeconds(BigInt(MAX_TTL_SECONDS) + 1n)).toThrow(invalid("ttl_seconds"));
});
