import { expect, test } from "vitest";
import type { Commit } from "../commit.ts";
import {
  A,
  add,
  B,
  C,
  change,
  changeIf,
  commitOne,
  committed,
  holds,
  LONG_MS,
  persist,
  readTexts,
  remove,
  replace,
  set,
  versionOf,
} from "./commit-steps.ts";
import {
  answersOf,
  CALL,
  type Harness,
  NAMESPACE,
  type OpenStore,
  setTexts,
  testBatch,
  texts,
} from "./harness.ts";

/** Several commits in one call, and plain writes beside them. */
export function describeBatches(harness: Harness, store: () => OpenStore): void {
  /** Commits on one key with the answers that they get in this order. */
  const steps: readonly (readonly [Commit, object])[] = [
    [changeIf({ key: A, is: "absent" }, set(A, "1")), { committed: true, results: [{ before: "absent" }] }],
    [changeIf({ key: A, is: "absent" }, set(A, "2")), { committed: false, failed: [{ index: 0 }] }],
    [changeIf(holds(A, "1"), set(A, "2")), { committed: true }],
    [change(add(A, 8n)), { committed: true, results: [{ before: "lasting", counter: 10n }] }],
    [change(set(B, "x"), add(A, 2n ** 63n - 1n)), { reason: "counter_overflow" }],
    [change(set(A, "text"), add(A, 1n)), { reason: "not_a_counter" }],
    [change(add(A, 1n), remove(A), add(A, 5n)), { committed: true, version: expect.any(Number) }],
    [change(remove(A)), { committed: true, version: 0, results: [{ before: "lasting" }] }],
    [changeIf({ key: A, is: "present" }, set(A, "3")), { committed: false }],
    [change(set(C, "c")), { committed: true }],
    [change(replace(A, "last")), { committed: true, results: [{ before: "absent" }] }],
  ];

  test("each is answered for itself and sees what the earlier ones left", async () => {
    const { commits } = store();
    const answers = await commits.commit(
      NAMESPACE,
      steps.map(([commit]) => commit),
      CALL,
    );
    expect(answers).toMatchObject(steps.map(([, answer]) => answer));
    expect(await readTexts(commits, A, B, C)).toEqual(["last", undefined, "c"]);
  });

  test("no commits and no reads are answered with nothing", async () => {
    const { commits } = store();
    expect(await commits.commit(NAMESPACE, [], CALL)).toEqual([]);
    expect(await commits.read(NAMESPACE, [], CALL)).toEqual([]);
  });

  test("plain writes and commits see each other", async () => {
    const { entries, commits } = store();
    await setTexts(entries, { [A]: "1" }, { ttlMs: LONG_MS });
    expect((await committed(commits, changeIf(holds(A, "1"), replace(A, "2")))).committed).toBe(true);
    expect(texts(await entries.get(NAMESPACE, [A], CALL))).toEqual(["2"]);
    await setTexts(entries, { [A]: "3" });
    expect(await committed(commits, change(persist(A)))).toMatchObject({ results: [{ before: "lasting" }] });
    await committed(commits, change(remove(A), set(B, "4")));
    expect(await entries.delete(NAMESPACE, [A, B], CALL)).toEqual([false, true]);
    expect((await commitOne(commits, changeIf({ key: B, is: "absent" }, set(B, "5")))).committed).toBe(true);
    expect(await entries.exists(NAMESPACE, [A, B], CALL)).toEqual([false, true]);
  });

  test("plain writes and commits of a key that are under way at once all count", async () => {
    const { entries, commits } = store();
    const versions = await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        if (i % 2 === 0) {
          await setTexts(entries, { [A]: String(i) });
          return 0;
        }
        return (await committed(commits, change(set(A, String(i))))).version;
      }),
    );
    const written = versions.filter((version) => version !== 0);
    expect(new Set(written).size).toBe(20);
    expect(await versionOf(commits, A)).toBeGreaterThanOrEqual(Math.max(...written));
  });

  testBatch(harness, "a commit of a thousand mutations, and a thousand commits", async () => {
    const { commits } = store();
    const keys = Array.from({ length: 1000 }, (_, i) => `{t}${i}`);
    const { results } = await committed(commits, change(...keys.map((key) => set(key, key))));
    expect(results).toEqual(keys.map(() => ({ before: "absent" })));
    expect(await readTexts(commits, ...keys)).toEqual(keys);
    const each = keys.map((key, i) => changeIf(holds(key, i % 2 === 0 ? key : ""), set(key, "new")));
    const answers = await answersOf(commits.commit(NAMESPACE, each, CALL));
    expect(answers.map((answer) => answer.committed)).toEqual(keys.map((_, i) => i % 2 === 0));
    expect(await readTexts(commits, ...keys)).toEqual(keys.map((key, i) => (i % 2 === 0 ? "new" : key)));
  });
}
