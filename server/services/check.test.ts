import { describe, expect, test } from "vitest";
import { PrismError } from "../errors.ts";
import { MAX_CALL_ITEMS, MAX_KEY_BYTES, MAX_TTL_SECONDS } from "../limits.ts";
import {
  checkBound,
  checkEach,
  checkKey,
  checkKeys,
  checkLimit,
  checkNewTtlSeconds,
  checkPart,
  checkTtlSeconds,
  checkValue,
  checkVersion,
} from "./check.ts";

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
  expect(() => checkBound("prefix", "")).not.toThrow();
  expect(() => checkBound("prefix", FULL)).not.toThrow();
  expect(() => checkBound("prefix", `${FULL}k`)).toThrow(invalid("prefix"));
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

test("a new time to live is at least a second", () => {
  expect(checkNewTtlSeconds(1n)).toBe(1000);
  expect(checkNewTtlSeconds(BigInt(MAX_TTL_SECONDS))).toBe(MAX_TTL_SECONDS * 1000);
  for (const seconds of [0n, -1n, BigInt(MAX_TTL_SECONDS) + 1n]) {
    expect(() => checkNewTtlSeconds(seconds)).toThrow(invalid("ttl_seconds"));
  }
});

test("a version is a safe integer above 0", () => {
  expect(checkVersion(1n)).toBe(1);
  expect(checkVersion(BigInt(Number.MAX_SAFE_INTEGER))).toBe(Number.MAX_SAFE_INTEGER);
  for (const version of [0n, -1n, BigInt(Number.MAX_SAFE_INTEGER) + 1n]) {
    expect(() => checkVersion(version)).toThrow(invalid("version"));
  }
});

test("keys are 1 to the bound, and the one at fault is named", () => {
  const most = Array.from({ length: MAX_CALL_ITEMS }, (_, i) => `k${i}`);
  expect(() => checkKeys(most)).not.toThrow();
  expect(() => checkKeys(["a", "a"])).not.toThrow();
  expect(() => checkKeys([])).toThrow(invalid("keys"));
  expect(() => checkKeys([...most, "k"])).toThrow(invalid("keys"));
  const error = expect.objectContaining({ field: "keys[1]", message: "keys[1] must not be empty" });
  expect(() => checkKeys(["a", "", ""])).toThrow(error);
});

test("the error of a part names the way to it, and a defect stays what it is", () => {
  const largeValue = () => checkPart("set", () => checkValue(new Uint8Array(2), 1));
  expect(() => checkEach("mutations", [1], largeValue)).toThrow(
    expect.objectContaining({
      reason: "value_too_large",
      field: "mutations[0].set.value",
      message: "mutations[0].set.value has 2 bytes; the limit is 1",
    }),
  );
  const defect = new TypeError("defect");
  const fail = () => {
    throw defect;
  };
  expect(() => checkEach("items", [1], fail)).toThrow(defect);
  expect(() => checkPart("set", fail)).toThrow(defect);
  expect(defect).not.toBeInstanceOf(PrismError);
});
