import { expect, test } from "vitest";
import { makeCursor, readCursor } from "./cursor.ts";

const SCOPE = { method: "Scan", namespace: "default", id: "r" };
const PLACE = Uint8Array.of(0, 0xff, 0x61);
const REFUSED = expect.objectContaining({ reason: "invalid_field", field: "cursor" });

test("a token leads back to its place, also to an empty one", () => {
  for (const place of [PLACE, new Uint8Array(0)]) {
    const token = makeCursor(SCOPE, place);
    expect(Uint8Array.from(readCursor(SCOPE, token) ?? [1])).toEqual(place);
  }
});

test("without a token, or with an empty one, it is the beginning", () => {
  expect(readCursor(SCOPE, undefined)).toBe(undefined);
  expect(readCursor(SCOPE, new Uint8Array(0))).toBe(undefined);
});

test("tokens are the same in every process: callers may keep them", () => {
  expect(Buffer.from(makeCursor(SCOPE, PLACE)).toString("hex")).toBe("3a75e83d74f79b24c276fbb500ff61");
});

test.each([
  [{ ...SCOPE, method: "Other" }],
  [{ ...SCOPE, namespace: "other" }],
  [{ ...SCOPE, id: "r2" }],
  // Parts that would be one text if they were joined.
  [{ ...SCOPE, namespace: "", id: "defaultr" }],
])("a token of another scope is refused: %j", (scope) => {
  expect(() => readCursor(scope, makeCursor(SCOPE, PLACE))).toThrow(REFUSED);
});

test("a token with any changed byte, or cut short, is refused", () => {
  const token = makeCursor(SCOPE, PLACE);
  for (let at = 0; at < token.length; at++) {
    const changed = Uint8Array.from(token, (byte, i) => (i === at ? byte ^ 1 : byte));
    expect(() => readCursor(SCOPE, changed)).toThrow(REFUSED);
    if (at > 0) {
      expect(() => readCursor(SCOPE, token.subarray(0, at))).toThrow(REFUSED);
    }
  }
});
