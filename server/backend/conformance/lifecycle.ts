import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { PrismError } from "../../errors.ts";
import { type Backend, createCall } from "../contract.ts";
import { INTERFACES } from "../operations.ts";
import { bytes, CALL, type Harness, NAMESPACE, present, type Subject } from "./harness.ts";
import { callEvery } from "./samples.ts";

const UNAVAILABLE = { name: "PrismError", reason: "store_unavailable" };

async function expectAllReject(calls: readonly Promise<unknown>[], error: object): Promise<void> {
  for (const result of await Promise.allSettled(calls)) {
    expect(result).toMatchObject({ status: "rejected", reason: error });
  }
}

async function expectAllResolve(calls: readonly Promise<unknown>[]): Promise<void> {
  for (const result of await Promise.allSettled(calls)) {
    expect(result).toMatchObject({ status: "fulfilled" });
  }
}

/** Opening, closing and reopening, and calls that come too early, come too late or are aborted. */
export function describeLifecycle(harness: Harness): void {
  describe("lifecycle", () => {
    let subject: Subject | undefined;
    beforeEach(async () => {
      subject = await harness.create();
    });
    afterEach(async () => {
      await subject?.backend.close();
      await subject?.dispose();
    });
    // Interfaces that a plugin lacks are refused in every state, so they tell nothing about its
    // life.
    const lacking = INTERFACES.filter((each) => !harness.capabilities.includes(each));
    const store = () => {
      const backend = { ...present(subject).backend };
      for (const each of lacking) {
        delete backend[each];
      }
      return backend;
    };
    describeStates(store, harness.durable);
    describeAborts(store);
  });
}

function describeStates(store: () => Backend, durable: boolean): void {
  test("calls before open are refused", async () => {
    await expectAllReject([...callEvery(store(), CALL), store().check()], UNAVAILABLE);
  });

  test("calls while it opens are refused or answered, never lost; after it they are answered", async () => {
    const opening = store().open();
    await Promise.allSettled(callEvery(store(), CALL));
    await opening;
    await expectAllResolve([...callEvery(store(), CALL), store().check()]);
  });

  test("calls after close are refused", async () => {
    await store().open();
    await store().close();
    await expectAllReject([...callEvery(store(), CALL), store().check()], UNAVAILABLE);
  });

  test("calls under way when it closes are answered, later ones refused", async () => {
    await store().open();
    const early = callEvery(store(), CALL);
    const closing = store().close();
    await expectAllReject(callEvery(store(), CALL), UNAVAILABLE);
    await expectAllResolve(early);
    await closing;
  });

  test("opening twice and closing twice is opening and closing once", async () => {
    await store().close();
    await Promise.all([store().open(), store().open()]);
    await store().open();
    await store().check();
    await Promise.all([store().close(), store().close()]);
    await store().close();
    await expect(store().check()).rejects.toMatchObject(UNAVAILABLE);
  });

  test("what was asked for last is how it ends", async () => {
    await Promise.all([store().open(), store().close(), store().open()]);
    await expectAllResolve(callEvery(store(), CALL));
    await Promise.all([store().close(), store().open(), store().close()]);
    await expect(store().check()).rejects.toMatchObject(UNAVAILABLE);
  });

  test(`a store opened again is ${durable ? "as it was" : "empty"}`, async () => {
    await store().open();
    const value = bytes("kept");
    await store().entries?.set(NAMESPACE, [{ key: "a", value, ttlMs: 0 }], CALL);
    await store().lists?.push(NAMESPACE, [{ key: "a", end: "left", value }], CALL);
    await store().close();
    await store().open();
    expect((await store().entries?.exists(NAMESPACE, ["a"], CALL)) ?? [durable]).toEqual([durable]);
    expect((await store().lists?.length(NAMESPACE, ["a"], CALL)) ?? [Number(durable)]).toEqual([
      Number(durable),
    ]);
  });
}

function describeAborts(store: () => Backend): void {
  test("a call that was aborted before it began is canceled and has no effect", async () => {
    await store().open();
    await expectAllReject(callEvery(store(), createCall(AbortSignal.abort())), {
      name: "PrismError",
      reason: "canceled",
    });
    expect((await store().entries?.exists(NAMESPACE, ["a"], CALL)) ?? [false]).toEqual([false]);
    expect((await store().lists?.length(NAMESPACE, ["a"], CALL)) ?? [0]).toEqual([0]);
  });

  test("the abort's own error is the call's", async () => {
    await store().open();
    const signal = AbortSignal.abort(new PrismError("deadline_exceeded", "the deadline passed"));
    await expectAllReject(callEvery(store(), createCall(signal)), {
      name: "PrismError",
      reason: "deadline_exceeded",
    });
  });

  test("calls that are aborted under way end, with an answer or the abort's error", async () => {
    await store().open();
    const controller = new AbortController();
    const calls = callEvery(store(), createCall(controller.signal));
    controller.abort();
    for (const result of await Promise.allSettled(calls)) {
      if (result.status === "rejected") {
        expect(result.reason).toMatchObject({ reason: "canceled" });
      }
    }
    await expectAllResolve(callEvery(store(), CALL));
  });
}
