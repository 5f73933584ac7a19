import { describe, expect, test } from "vitest";
import type { Check, Commit, Mutation } from "./commit.ts";
import {
  A,
  add,
  B,
  C,
  change,
  changeIf,
  expire,
  holds,
  persist,
  remove,
  replace,
  set,
} from "./conformance/commit-steps.ts";
import { bytes } from "./conformance/harness.ts";
import { decide, type Held, readHeld } from "./decide.ts";

const NOW_MS = 1000;
const VERSION = 9;

/** A store with these entries. */
function holding(entries: Readonly<Record<string, Held>>): (key: string) => Held | undefined {
  return (key) => entries[key];
}

function held(text: string, expiresAtMs?: number, version = 3): Held {
  return { value: bytes(text), version, expiresAtMs };
}

function decideOn(entries: Readonly<Record<string, Held>>, commit: Commit) {
  return decide(commit, holding(entries), NOW_MS, VERSION);
}

describe("decide", () => {
  test.each<readonly [Check, boolean, boolean]>([
    [{ key: A, is: "absent" }, true, false],
    [{ key: A, is: "present" }, false, true],
    [holds(A, "1"), false, true],
    [holds(A, "2"), false, false],
    [{ key: A, is: "version", version: 3 }, false, true],
    [{ key: A, is: "version", version: 4 }, false, false],
  ])("%o holds as it says", (check, ifAbsent, ifHeld) => {
    expect(decideOn({}, changeIf(check))).toMatchObject({ answer: { committed: ifAbsent } });
    expect(decideOn({ [A]: held("1") }, changeIf(check))).toMatchObject({ answer: { committed: ifHeld } });
  });

  test("with a failed check it changes nothing, and names every one", () => {
    const checks: readonly Check[] = [holds(A, "x"), { key: A, is: "present" }, { key: B, is: "present" }];
    const commit = { checks, mutations: [set(A, "2")], tells: false };
    expect(decideOn({ [A]: held("1") }, commit)).toEqual({
      answer: { committed: false, failed: [{ index: 0 }, { index: 2 }] },
      writes: new Map(),
    });
  });

  test("a commit that tells answers with what is held and the time that is left", () => {
    const commit = { ...changeIf(holds(A, "x")), tells: true };
    expect(decideOn({ [A]: held("1", 1250) }, commit)).toMatchObject({
      answer: { failed: [{ index: 0, held: { value: bytes("1"), version: 3, ttlMs: 250 } }] },
    });
    expect(decideOn({}, commit)).toMatchObject({ answer: { failed: [{ index: 0, held: undefined }] } });
  });

  test.each<readonly [Mutation, ifLasting: object | undefined, ifExpiring: object | undefined]>([
    [set(A, "2"), { value: bytes("2") }, { value: bytes("2") }],
    [set(A, "2", 50), { value: bytes("2"), expiresAtMs: 1050 }, { value: bytes("2"), expiresAtMs: 1050 }],
    [replace(A, "2"), { value: bytes("2") }, { value: bytes("2"), expiresAtMs: 1250 }],
    [expire(A, 50), { value: undefined, expiresAtMs: 1050 }, { value: undefined, expiresAtMs: 1050 }],
    [add(A, 2n, { ttlMs: 50 }), { value: Buffer.from("9") }, { value: Buffer.from("9"), expiresAtMs: 1250 }],
    [remove(A), undefined, undefined],
  ])("%o leaves a value and an expiry", (mutation, ifLasting, ifExpiring) => {
    for (const [expiresAtMs, left] of [
      [undefined, ifLasting],
      [1250, ifExpiring],
    ] as const) {
      const decision = decideOn({ [A]: held("7", expiresAtMs) }, change(mutation));
      expect(decision).toMatchObject({
        answer: {
          version: left === undefined ? 0 : VERSION,
          results: [{ before: expiresAtMs ? "expiring" : "lasting" }],
        },
      });
      expect("writes" in decision && [...decision.writes]).toEqual([[A, left]]);
    }
  });

  test.each([expire(A, 50), persist(A), remove(A)])("%o on an absent key changes nothing", (mutation) => {
    expect(decideOn({}, change(mutation))).toEqual({
      answer: { committed: true, version: 0, results: [{ before: "absent" }] },
      writes: new Map(),
    });
  });

  test("a value that stays is not read", () => {
    const entry: Held = {
      get value(): Uint8Array {
        throw new Error("read");
      },
      version: 3,
      expiresAtMs: 1250,
    };
    const commit = changeIf({ key: A, is: "version", version: 3 }, persist(A), expire(A, 50), set(B, "1"));
    expect(decideOn({ [A]: entry }, commit)).toMatchObject({ answer: { committed: true, version: VERSION } });
  });

  test("a refused mutation is named, and what came before it is not done", () => {
    const refused = decideOn({ [A]: held("text") }, change(set(B, "1"), add(A, 1n)));
    expect(refused).toMatchObject({ reason: "not_a_counter", field: "mutations[1].key" });
    const overflow = decideOn({ [A]: held(String(2n ** 63n - 1n)) }, change(add(A, 1n)));
    expect(overflow).toMatchObject({ reason: "counter_overflow", field: "mutations[0].key" });
  });
});

describe("readHeld", () => {
  const look = holding({ [A]: held("123", 1250), [B]: held("45") });

  test("answers in the order of the keys", () => {
    const read = { keys: [B, C, A], values: true, maxBytes: 5 };
    expect(readHeld(read, look, NOW_MS)).toEqual([
      { value: bytes("45"), version: 3, ttlMs: 0 },
      undefined,
      { value: bytes("123"), version: 3, ttlMs: 250 },
    ]);
  });

  test("is refused with more bytes than it may have, and only if it wants values", () => {
    const read = { keys: [A, B], values: true, maxBytes: 4 };
    expect(readHeld(read, look, NOW_MS)).toMatchObject({ reason: "value_too_large", field: "keys" });
    expect(readHeld({ ...read, values: false }, look, NOW_MS)).toMatchObject([{ ttlMs: 250 }, { ttlMs: 0 }]);
  });
});
