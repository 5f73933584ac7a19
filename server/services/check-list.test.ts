import { expect, test } from "vitest";
import { InsertSide } from "../../gen/prism/interfaces/list/list_indexing_pb.ts";
import { ListEnd } from "../../gen/prism/interfaces/list/list_move_pb.ts";
import { checkEnd, checkSide, toPlace, toRange } from "./check-list.ts";

const invalid = (field: string) => expect.objectContaining({ reason: "invalid_field", field });

test("an end has to be given, and its field is named as it was asked for", () => {
  expect(checkEnd("source_end", ListEnd.LEFT)).toBe("left");
  expect(checkEnd("destination_end", ListEnd.RIGHT)).toBe("right");
  for (const end of [ListEnd.UNSPECIFIED, 3 as ListEnd, -1 as ListEnd]) {
    expect(() => checkEnd("source_end", end)).toThrow(invalid("source_end"));
    expect(() => checkEnd("destination_end", end)).toThrow(invalid("destination_end"));
  }
});

test("so has a side", () => {
  expect(checkSide(InsertSide.BEFORE)).toBe("before");
  expect(checkSide(InsertSide.AFTER)).toBe("after");
  for (const side of [InsertSide.UNSPECIFIED, 3 as InsertSide]) {
    expect(() => checkSide(side)).toThrow(invalid("side"));
  }
});

test("a place beyond every list stays beyond it", () => {
  expect([0n, -1n, 7n].map(toPlace)).toEqual([0, -1, 7]);
  expect(toPlace(2n ** 63n - 1n)).toBe(Number.MAX_SAFE_INTEGER);
  expect(toPlace(-(2n ** 63n))).toBe(Number.MIN_SAFE_INTEGER);
});

test("a range without a stop goes to the end", () => {
  expect(toRange({ listKey: "l", start: 2n })).toEqual({ key: "l", start: 2, stop: -1 });
  expect(toRange({ listKey: "l", start: -2n, stop: 0n })).toEqual({ key: "l", start: -2, stop: 0 });
});
