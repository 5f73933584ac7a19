import { expect, test } from "vitest";
import { PrismError } from "../errors.ts";
import { CALL } from "./conformance/harness.ts";
import { createCall, type EraseStep } from "./contract.ts";
import { eraseAll } from "./erase-all.ts";

test("each step goes on where the one before ended, until nothing is left", async () => {
  const steps: EraseStep[] = [];
  await eraseAll(
    async (_namespace, step) => {
      steps.push(step);
      return steps.length < 3 ? `step ${steps.length}` : undefined;
    },
    "a",
    CALL,
  );
  expect(steps.map(({ after }) => after)).toEqual([undefined, "step 1", "step 2"]);
});

test("it ends between two steps when its call does", async () => {
  const controller = new AbortController();
  let steps = 0;
  const erasing = eraseAll(
    async () => {
      steps++;
      controller.abort(new PrismError("shutting_down", "the server is shutting down"));
      return "more";
    },
    "a",
    createCall(controller.signal),
  );
  await expect(erasing).rejects.toMatchObject({ reason: "shutting_down" });
  expect(steps).toBe(1);
});

test("a full store is asked for small steps, and believed when these do not fit either", async () => {
  const asked: EraseStep[] = [];
  const full = async (_namespace: string, step: EraseStep) => {
    asked.push(step);
    if (asked.length !== 1) {
      throw new PrismError("store_full", "the store has no room left");
    }
    return "more";
  };
  await expect(eraseAll(full, "a", CALL)).rejects.toMatchObject({ reason: "store_full" });
  expect(asked).toEqual([
    { after: undefined, maxItems: 1000 },
    { after: "more", maxItems: 1000 },
    { after: "more", maxItems: 8 },
  ]);
});
