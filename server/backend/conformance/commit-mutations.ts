import { describe, expect, test } from "vitest";
import type { Mutation } from "../commit.ts";
import {
  A,
  add,
  B,
  change,
  committed,
  expire,
  LONG_MS,
  persist,
  readAll,
  readHeld,
  readTexts,
  remove,
  replace,
  set,
} from "./commit-steps.ts";
import { CALL, NAMESPACE, type OpenStore, setTexts, texts } from "./harness.ts";

/** Each kind of mutation, alone and after others on one key. */
export function describeMutations(store: () => OpenStore): void {
  /**
   * What each leaves on an absent key, and on one that holds "7"; the counter it answers is that
   * text. `expires`: whether the entry expires then, if it is there.
   */
  const mutations: readonly {
    readonly name: string;
    readonly mutation: Mutation;
    readonly ifAbsent: string | undefined;
    readonly ifHeld: string | undefined;
    readonly expires: "never" | "as before" | "always";
  }[] = [
    { name: "set", mutation: set(A, "2"), ifAbsent: "2", ifHeld: "2", expires: "never" },
    { name: "set a while", mutation: set(A, "2", LONG_MS), ifAbsent: "2", ifHeld: "2", expires: "always" },
    { name: "replace", mutation: replace(A, "2"), ifAbsent: "2", ifHeld: "2", expires: "as before" },
    { name: "delete", mutation: remove(A), ifAbsent: undefined, ifHeld: undefined, expires: "never" },
    { name: "expire", mutation: expire(A, LONG_MS), ifAbsent: undefined, ifHeld: "7", expires: "always" },
    { name: "persist", mutation: persist(A), ifAbsent: undefined, ifHeld: "7", expires: "never" },
    { name: "add", mutation: add(A, 2n), ifAbsent: "2", ifHeld: "9", expires: "as before" },
    {
      name: "add to an initial value",
      mutation: add(A, -2n, { initial: -5n }),
      ifAbsent: "-7",
      ifHeld: "5",
      expires: "as before",
    },
  ];

  describe.each(mutations)("$name", ({ mutation, ifAbsent, ifHeld, expires }) => {
    test.each(["absent", "lasting", "expiring"] as const)("on a key that is %s", async (before) => {
      const { entries, commits } = store();
      if (before !== "absent") {
        await setTexts(entries, { [A]: "7" }, { ttlMs: before === "expiring" ? LONG_MS : 0 });
      }
      const wanted = before === "absent" ? ifAbsent : ifHeld;
      const { results } = await committed(commits, change(mutation));
      expect(results).toEqual([{ before, ...(mutation.do === "add" && { counter: BigInt(wanted ?? 0) }) }]);
      const [left] = await readAll(commits, [A]);
      expect(texts([left?.value])).toEqual([wanted]);
      expect(texts(await entries.get(NAMESPACE, [A], CALL))).toEqual(texts([left?.value]));
      if (left !== undefined) {
        const will = expires === "always" || (expires === "as before" && before === "expiring");
        expect(left.ttlMs > 0).toBe(will);
        expect(left.ttlMs).toBeLessThanOrEqual(LONG_MS);
      }
    });
  });

  test("an `add` gives a key that it makes a time to live, and no other", async () => {
    const { commits } = store();
    await committed(commits, change(add(A, 1n, { ttlMs: LONG_MS }), add(A, 1n)));
    await committed(commits, change(set(B, "1"), add(B, 1n, { ttlMs: LONG_MS })));
    const [made, held] = await readAll(commits, [A, B]);
    expect(made?.ttlMs).toBeGreaterThan(0);
    expect(held?.ttlMs).toBe(0);
  });

  test("of one key each sees what the earlier ones did", async () => {
    const { commits } = store();
    const steps: readonly (readonly [Mutation, object])[] = [
      [expire(A, LONG_MS), { before: "absent" }],
      [set(A, "10", LONG_MS), { before: "absent" }],
      [add(A, 5n), { before: "expiring", counter: 15n }],
      [persist(A), { before: "expiring" }],
      [persist(A), { before: "lasting" }],
      [replace(A, "20"), { before: "lasting" }],
      [expire(A, LONG_MS), { before: "lasting" }],
      [replace(A, "30"), { before: "expiring" }],
      [remove(A), { before: "expiring" }],
      [remove(A), { before: "absent" }],
      [replace(A, "40"), { before: "absent" }],
      [add(A, 1n), { before: "lasting", counter: 41n }],
    ];
    const { results } = await committed(commits, change(...steps.map(([mutation]) => mutation)));
    expect(results).toEqual(steps.map(([, result]) => result));
    expect(await readHeld(commits, A)).toMatchObject({ ttlMs: 0 });
    expect(await readTexts(commits, A)).toEqual(["41"]);
  });

  test.each([set(A, "2"), replace(A, "2"), add(A, 2n)])(
    "a deleted key begins anew with %o",
    async (again) => {
      const { entries, commits } = store();
      await setTexts(entries, { [A]: "1" }, { ttlMs: LONG_MS });
      const { results } = await committed(commits, change(remove(A), again));
      expect(results).toMatchObject([{ before: "expiring" }, { before: "absent" }]);
      expect(await readHeld(commits, A)).toMatchObject({ ttlMs: 0 });
      expect(await readTexts(commits, A)).toEqual(["2"]);
    },
  );

  test("a key that is written and deleted in one commit is gone", async () => {
    const { entries, commits } = store();
    const made = [set(A, "1"), remove(A)];
    expect(await committed(commits, change(...made))).toMatchObject({ version: 0 });
    await setTexts(entries, { [A]: "0" });
    expect(await committed(commits, change(...made))).toMatchObject({ version: 0 });
    expect(await entries.exists(NAMESPACE, [A], CALL)).toEqual([false]);
  });
}
