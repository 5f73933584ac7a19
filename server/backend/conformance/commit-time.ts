import { expect, test } from "vitest";
import type { Check } from "../commit.ts";
import {
  A,
  add,
  change,
  changeIf,
  commitOne,
  committed,
  expire,
  holds,
  LONG_MS,
  persist,
  readAll,
  readHeld,
  readTexts,
  remove,
  replace,
  set,
  versionOf,
} from "./commit-steps.ts";
import { CALL, NAMESPACE, type OpenStore, setTexts } from "./harness.ts";

/** Commits and entries that expire. The harness moves the clock, so the times are exact. */
export function describeTime(store: () => OpenStore): void {
  test("an expired entry is absent for every check and mutation", async () => {
    const { entries, commits, advance } = store();
    await setTexts(entries, { [A]: "1" }, { ttlMs: 1000 });
    const version = await versionOf(commits, A);
    await advance(1000);
    const failing: readonly Check[] = [
      { key: A, is: "present" },
      holds(A, "1"),
      { key: A, is: "version", version },
    ];
    for (const check of failing) {
      const answer = await commitOne(commits, { ...changeIf(check, set(A, "2")), tells: true });
      expect(answer).toEqual({ committed: false, failed: [{ index: 0 }] });
    }
    const steps = [expire(A, 1000), persist(A), remove(A)];
    expect(await committed(commits, changeIf({ key: A, is: "absent" }, ...steps))).toEqual({
      committed: true,
      version: 0,
      results: steps.map(() => ({ before: "absent" })),
    });
    expect(await readAll(commits, [A])).toEqual([undefined]);
  });

  test.each([replace(A, "2"), add(A, 2n), set(A, "2")])(
    "%o on an expired key begins anew",
    async (mutation) => {
      const { entries, commits, advance } = store();
      await setTexts(entries, { [A]: "1" }, { ttlMs: 1000 });
      await advance(1000);
      expect(await committed(commits, change(mutation))).toMatchObject({ results: [{ before: "absent" }] });
      await advance(LONG_MS);
      expect(await readTexts(commits, A)).toEqual(["2"]);
      expect(await readHeld(commits, A)).toMatchObject({ ttlMs: 0 });
    },
  );

  test.each([
    ["kept by a replace", [replace(A, "2")], 600],
    ["kept by an add", [add(A, 1n)], 600],
    ["kept by an add with a time to live", [add(A, 1n, { ttlMs: 5000 })], 600],
    ["replaced by a set", [set(A, "2", 5000)], 5000],
    ["replaced by a later one", [expire(A, 5000)], 5000],
    ["replaced by a sooner one", [expire(A, 100)], 100],
    ["replaced after a persist", [persist(A), expire(A, 700)], 700],
    ["cleared by a set", [set(A, "2")], 0],
    ["cleared by a persist", [persist(A)], 0],
    ["cleared by a delete", [remove(A), replace(A, "2")], 0],
  ] as const)("an expiry is %s", async (_, mutations, leftMs) => {
    const { entries, commits, advance } = store();
    await setTexts(entries, { [A]: "1" }, { ttlMs: 1000 });
    await advance(400);
    await committed(commits, change(...mutations));
    expect(await readHeld(commits, A)).toMatchObject({ ttlMs: leftMs });
    await advance(leftMs === 0 ? 10_000 : leftMs - 1);
    expect(await readHeld(commits, A)).toMatchObject({ ttlMs: leftMs === 0 ? 0 : 1 });
    expect(await entries.exists(NAMESPACE, [A], CALL)).toEqual([true]);
    await advance(1);
    expect(await entries.exists(NAMESPACE, [A], CALL)).toEqual([leftMs === 0]);
    expect((await readAll(commits, [A])).map((entry) => entry !== undefined)).toEqual([leftMs === 0]);
  });

  test("an `add` makes a key that expires", async () => {
    const { entries, commits, advance } = store();
    await committed(commits, change(add(A, 1n, { ttlMs: 1000 })));
    await advance(999);
    expect(await readHeld(commits, A)).toMatchObject({ ttlMs: 1 });
    await advance(1);
    expect(await entries.exists(NAMESPACE, [A], CALL)).toEqual([false]);
  });

  test("a failed check tells the time to live", async () => {
    const { entries, commits, advance } = store();
    await setTexts(entries, { [A]: "1" }, { ttlMs: 1000 });
    await advance(400);
    const answer = await commitOne(commits, { ...changeIf(holds(A, "2"), set(A, "3")), tells: true });
    expect(answer).toMatchObject({ committed: false, failed: [{ index: 0, held: { ttlMs: 600 } }] });
  });
}
