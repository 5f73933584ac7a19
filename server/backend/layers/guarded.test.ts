import { describe, expect, test } from "vitest";
import { PrismError } from "../../errors.ts";
import { CALL, present } from "../conformance/harness.ts";
import { type Backend, createCall, type EntryStore } from "../contract.ts";
import { buildInterfaces } from "../operations.ts";
import { createGuardedBackend } from "./guarded.ts";

/** A store with only entries, whose parts a test replaces. */
function innerWith(parts: Partial<EntryStore & Pick<Backend, "open" | "close" | "check">>): Backend {
  const { open = async () => {}, close = async () => {}, check = async () => {}, ...methods } = parts;
  const { entries } = buildInterfaces(() => async () => []);
  return { type: "fake", atomic: "key", entries: { ...present(entries), ...methods }, open, close, check };
}

describe("createGuardedBackend", () => {
  test("has what the store has and no more", () => {
    const guarded = createGuardedBackend(innerWith({}));
    expect(guarded.type).toBe("fake");
    expect("entries" in guarded).toBe(true);
    expect("scans" in guarded).toBe(false);
    expect("lists" in guarded).toBe(false);
  });

  test("a PrismError passes as it is, anything else becomes internal and keeps its cause", async () => {
    const known = new PrismError("store_full", "the store has no room left");
    const unknown = new Error("driver: /secret/path");
    const guarded = createGuardedBackend(
      innerWith({
        get: () => Promise.reject(known),
        set: () => {
          throw unknown;
        },
        check: () => Promise.reject(unknown),
      }),
    );
    await guarded.open();
    const entries = present(guarded.entries);
    await expect(entries.get("a", ["k"], CALL)).rejects.toBe(known);
    await expect(entries.set("a", [], CALL)).rejects.toMatchObject({
      reason: "internal",
      message: "internal error",
      cause: unknown,
    });
    await expect(guarded.check()).rejects.toMatchObject({ reason: "internal", cause: unknown });
    await guarded.close();
  });

  test("neither a closed store nor an aborted call reaches the store", async () => {
    let calls = 0;
    const guarded = createGuardedBackend(
      innerWith({
        async get() {
          calls++;
          return [];
        },
      }),
    );
    const entries = present(guarded.entries);
    await expect(entries.get("a", ["k"], CALL)).rejects.toMatchObject({ reason: "store_unavailable" });
    await guarded.open();
    await expect(entries.get("a", ["k"], createCall(AbortSignal.abort()))).rejects.toMatchObject({
      reason: "canceled",
    });
    expect(calls).toBe(0);
  });

  test("close waits for the calls under way, also for those that fail", async () => {
    const events: string[] = [];
    const finish: (() => void)[] = [];
    const guarded = createGuardedBackend(
      innerWith({
        get: () => new Promise((resolve) => finish.push(() => resolve([]))),
        set: () => new Promise((_, reject) => finish.push(() => reject(new Error("late")))),
        async close() {
          events.push("closed");
        },
      }),
    );
    await guarded.open();
    const entries = present(guarded.entries);
    const get = entries.get("a", ["k"], CALL).then(() => events.push("got"));
    const set = entries.set("a", [], CALL).catch(() => events.push("failed"));
    const closed = guarded.close();
    await expect(entries.get("a", ["k"], CALL)).rejects.toMatchObject({ reason: "store_unavailable" });
    finish[0]?.();
    await get;
    expect(events).toEqual(["got"]);
    finish[1]?.();
    await set;
    await closed;
    expect(events.toSorted()).toEqual(["closed", "failed", "got"]);
  });

  test("an open that fails leaves the store closed, and can be tried again", async () => {
    const failures = [new PrismError("store_unavailable", "the disk is not there"), new Error("unexpected")];
    const guarded = createGuardedBackend(
      innerWith({
        async open() {
          const failure = failures.shift();
          if (failure !== undefined) {
            throw failure;
          }
        },
      }),
    );
    await expect(guarded.open()).rejects.toMatchObject({ message: "the disk is not there" });
    await expect(guarded.check()).rejects.toMatchObject({ reason: "store_unavailable" });
    await expect(guarded.open()).rejects.toMatchObject({ reason: "internal" });
    await guarded.open();
    await guarded.check();
  });

  test("a close that fails says so and leaves the store closed", async () => {
    const guarded = createGuardedBackend(innerWith({ close: () => Promise.reject(new Error("stuck")) }));
    await guarded.open();
    await expect(guarded.close()).rejects.toMatchObject({ reason: "internal" });
    await expect(guarded.check()).rejects.toMatchObject({ reason: "store_unavailable" });
    await guarded.close();
  });
});
