import { expect, test } from "vitest";
import { PrismError } from "../errors.ts";
import { CallScope } from "./scope.ts";

function counted() {
  const calls: string[] = [];
  return { calls, begin: () => calls.push("begin"), end: () => calls.push("end") };
}

test("what a call uses begins at once and ends once, with the call", () => {
  const scope = new CallScope(0);
  const uses = [counted(), counted(), counted()];
  for (const use of uses) {
    scope.hold(use);
  }
  scope.abort(new PrismError("canceled", "the caller left"));
  expect(uses.map(({ calls }) => calls)).toEqual([["begin"], ["begin"], ["begin"]]);
  scope.close();
  scope.close();
  expect(uses.map(({ calls }) => calls)).toEqual(Array(3).fill(["begin", "end"]));
});

test("a call that is over uses nothing more", () => {
  const scope = new CallScope(0);
  const use = counted();
  scope.close();
  scope.hold(use);
  expect(use.calls).toEqual([]);
});
