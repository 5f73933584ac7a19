import { expect, test } from "vitest";
import { ReasonSchema, Reason as WireReason } from "../gen/prism/common/errors_pb.ts";
import { REASONS, type Reason, reasonOf } from "./reasons.ts";

const told = ReasonSchema.values.filter(({ number }) => number !== WireReason.UNSPECIFIED);

test.each(told)("the proto's reason $localName has a row of its name", ({ localName, number }) => {
  const reason = localName.toLowerCase();
  expect(REASONS).toHaveProperty(reason);
  expect(REASONS[reason as Reason].wire).toBe(number);
  expect(reasonOf(number)).toBe(reason);
});

test.each(Object.entries(REASONS))("the row %s has a number that the proto knows", (_, { wire }) => {
  expect(told.map(({ number }) => number)).toContain(wire);
});

test("a number of a newer version tells nothing", () => {
  expect(reasonOf(WireReason.UNSPECIFIED)).toBeUndefined();
  expect(reasonOf(999)).toBeUndefined();
});
