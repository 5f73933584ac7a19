import { expect, test } from "vitest";
import type { Check } from "../commit.ts";
import {
  A,
  B,
  C,
  changeIf,
  commitOne,
  holds,
  readHeld,
  readTexts,
  remove,
  set,
  versionOf,
} from "./commit-steps.ts";
import { CALL, NAMESPACE, type OpenStore, present, setTexts, texts } from "./harness.ts";

/** Each kind of check, holding and failing. */
export function describeChecks(store: () => OpenStore): void {
  const checks: readonly (readonly [name: string, check: (version: number) => Check, ifHeld: boolean])[] = [
    ["absent", () => ({ key: A, is: "absent" }), false],
    ["present", () => ({ key: A, is: "present" }), true],
    ["the value", () => holds(A, "1"), true],
    ["a longer value", () => holds(A, "1 "), false],
    ["an empty value", () => holds(A, ""), false],
    ["the version", (version) => ({ key: A, is: "version", version }), true],
    ["an earlier version", (version) => ({ key: A, is: "version", version: version - 1 }), false],
    ["a later version", (version) => ({ key: A, is: "version", version: version + 1 }), false],
  ];

  test.each(checks)("%s: on a held key", async (_, check, ifHeld) => {
    const { entries, commits } = store();
    await setTexts(entries, { [A]: "1" });
    const commit = changeIf(check(await versionOf(commits, A)), set(B, "2"));
    const answer = await commitOne(commits, commit);
    expect(answer.committed).toBe(ifHeld);
    expect(answer).toEqual(
      ifHeld
        ? { committed: true, version: await versionOf(commits, B), results: [{ before: "absent" }] }
        : { committed: false, failed: [{ index: 0 }] },
    );
    expect(await readTexts(commits, A, B)).toEqual(["1", ifHeld ? "2" : undefined]);
  });

  test.each(checks)("%s: on a key that was deleted", async (name, check) => {
    const { entries, commits } = store();
    await setTexts(entries, { [A]: "1" });
    const version = await versionOf(commits, A);
    await entries.delete(NAMESPACE, [A], CALL);
    const answer = await commitOne(commits, changeIf(check(version), set(B, "2")));
    expect(answer.committed).toBe(name === "absent");
    expect(await readTexts(commits, A, B)).toEqual([undefined, name === "absent" ? "2" : undefined]);
  });

  test.each(checks)("%s: a failed check tells what is held, if asked", async (_, check, ifHeld) => {
    const { entries, commits } = store();
    await setTexts(entries, { [A]: "1" });
    const held = await readHeld(commits, A);
    const commit = { ...changeIf(check(held.version), set(A, "2")), tells: true };
    const answer = await commitOne(commits, commit);
    expect(answer.committed).toBe(ifHeld);
    if (!answer.committed) {
      expect(answer.failed).toHaveLength(1);
      const told = present(answer.failed[0]?.held);
      expect({ ...told, value: texts([told.value]) }).toEqual({ ...held, value: ["1"] });
    }
  });

  test("a failed check on an absent key tells that there is nothing", async () => {
    const { commits } = store();
    const commit = { ...changeIf(holds(A, "1"), set(A, "2")), tells: true };
    expect(await commitOne(commits, commit)).toEqual({ committed: false, failed: [{ index: 0 }] });
  });

  test("every check that failed is named, and one is enough", async () => {
    const { entries, commits } = store();
    await setTexts(entries, { [A]: "1", [B]: "2" });
    const answer = await commitOne(commits, {
      checks: [
        holds(A, "1"),
        holds(A, "x"),
        { key: B, is: "present" },
        { key: C, is: "present" },
        { key: A, is: "present" },
        { key: B, is: "absent" },
      ],
      mutations: [set(A, "3"), remove(B), set(C, "3")],
      tells: false,
    });
    expect(answer).toEqual({ committed: false, failed: [{ index: 1 }, { index: 3 }, { index: 5 }] });
    expect(await readTexts(commits, A, B, C)).toEqual(["1", "2", undefined]);
  });

  test("checks see what was there before the commit, whatever it changes", async () => {
    const { entries, commits } = store();
    await setTexts(entries, { [A]: "1" });
    const answer = await commitOne(commits, {
      checks: [holds(A, "1"), { key: B, is: "absent" }],
      mutations: [set(A, "2"), set(B, "2")],
      tells: false,
    });
    expect(answer.committed).toBe(true);
    expect(await readTexts(commits, A, B)).toEqual(["2", "2"]);
  });

  test("a commit of checks alone changes nothing", async () => {
    const { entries, commits } = store();
    await setTexts(entries, { [A]: "1" });
    const version = await versionOf(commits, A);
    expect(await commitOne(commits, changeIf(holds(A, "1")))).toEqual({
      committed: true,
      version: 0,
      results: [],
    });
    expect((await commitOne(commits, changeIf(holds(A, "2")))).committed).toBe(false);
    expect(await versionOf(commits, A)).toBe(version);
  });
}
