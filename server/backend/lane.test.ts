import { expect, test } from "vitest";
import { CALL } from "./conformance/harness.ts";
import { createCall } from "./contract.ts";
import { createLane } from "./lane.ts";

test("those that do not fit come in one by one, in order", async () => {
  const lane = createLane(1);
  const seen: number[] = [];
  await lane.enter(CALL);
  const waiting = [1, 2, 3].map(async (each) => {
    await lane.enter(undefined);
    seen.push(each);
  });
  for (let left = 0; left < 3; left++) {
    expect(seen).toHaveLength(left);
    lane.leave();
    await waiting[left];
  }
  expect(seen).toEqual([1, 2, 3]);
  lane.leave();
  expect(lane.enter(CALL)).toBeUndefined();
});

test("who leaves while it waits takes nobody's place", async () => {
  const lane = createLane(1);
  await lane.enter(CALL);
  const caller = new AbortController();
  const gone = lane.enter(createCall(caller.signal));
  const next = lane.enter(CALL);
  caller.abort();
  await expect(gone).rejects.toMatchObject({ reason: "canceled" });
  await expect(lane.enter(createCall(caller.signal))).rejects.toMatchObject({ reason: "canceled" });
  lane.leave();
  await next;
});
