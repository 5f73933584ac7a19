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
  expire,
  holds,
  LONG_MS,
  persist,
  readAll,
  readHeld,
  remove,
  replace,
  set,
  versionOf,
} from "./commit-steps.ts";
import { CALL, type Harness, NAMESPACE, type OpenStore, setTexts } from "./harness.ts";

/** When an entry gets a new version, and which. */
export function describeVersions({ durable }: Harness, store: () => OpenStore): void {
  test("it is a whole number above 0", async () => {
    const { entries, commits } = store();
    await setTexts(entries, { [A]: "1" });
    const version = await versionOf(commits, A);
    expect(Number.isSafeInteger(version)).toBe(true);
    expect(version).toBeGreaterThan(0);
  });

  test("each write gives a larger one, whatever its kind", async () => {
    const { entries, commits } = store();
    let last = 0;
    const expectLarger = async (write: string) => {
      const version = await versionOf(commits, A);
      expect(version, write).toBeGreaterThan(last);
      last = version;
    };
    for (let i = 0; i < 3; i++) {
      await setTexts(entries, { [A]: "1" });
      await expectLarger("a plain set");
    }
    await setTexts(entries, { [A]: "1" }, { ttlMs: LONG_MS });
    await expectLarger("a plain set with an expiry");
    const writes = [
      add(A, 1n),
      add(A, 0n),
      persist(A),
      replace(A, "3"),
      replace(A, "3"),
      set(A, "3"),
      expire(A, LONG_MS),
      expire(A, LONG_MS),
    ];
    for (const write of writes) {
      const { version } = await committed(commits, change(write));
      await expectLarger(write.do);
      expect(version).toBe(last);
    }
    await committed(commits, change(remove(A)));
    await committed(commits, change(add(A, 1n)));
    await expectLarger("a start after a delete by a commit");
    await entries.delete(NAMESPACE, [A], CALL);
    await setTexts(entries, { [A]: "1" });
    await expectLarger("a start after a plain delete");
    await committed(commits, change(remove(A), set(A, "1")));
    await expectLarger("a start in the commit of the delete");
  });

  test("what reads, fails or changes nothing keeps it", async () => {
    const { entries, commits } = store();
    await setTexts(entries, { [A]: "text" });
    const before = await readHeld(commits, A);
    const idle: readonly Commit[] = [
      changeIf(holds(A, "text")),
      changeIf({ key: A, is: "absent" }, set(A, "2")),
      change(persist(A)),
      change(expire(B, 1000), persist(B), remove(B)),
    ];
    for (const commit of idle) {
      const answer = await commitOne(commits, commit);
      expect(answer).toMatchObject(answer.committed ? { version: 0 } : {});
    }
    await expect(commitOne(commits, change(set(A, "x"), add(A, 1n)))).rejects.toMatchObject({
      reason: "not_a_counter",
    });
    await entries.get(NAMESPACE, [A], CALL);
    await setTexts(entries, { [C]: "another key" });
    expect(await readHeld(commits, A)).toEqual(before);
  });

  test("all entries that a commit writes have its version, and no others", async () => {
    const { entries, commits } = store();
    await setTexts(entries, { [A]: "1", [C]: "1" });
    const other = await versionOf(commits, C);
    const { version } = await committed(
      commits,
      change(add(A, 1n), persist(C), set(B, "1"), replace(A, "5")),
    );
    const found = await readAll(commits, [A, B, C]);
    expect(found.map((entry) => entry?.version)).toEqual([version, version, other]);
  });

  test("a check of a version is true of the write that gave it only", async () => {
    const { commits } = store();
    const { version } = await committed(commits, change(set(A, "1")));
    const swap = changeIf({ key: A, is: "version", version }, set(A, "1"));
    expect((await commitOne(commits, swap)).committed).toBe(true);
    expect((await commitOne(commits, swap)).committed).toBe(false);
    await committed(commits, change(remove(A), set(A, "1")));
    expect((await commitOne(commits, swap)).committed).toBe(false);
    const largest = { key: A, is: "version", version: Number.MAX_SAFE_INTEGER } as const;
    expect((await commitOne(commits, changeIf(largest))).committed).toBe(false);
  });

  test("of several commits in one call a later one has a larger version", async () => {
    const { commits } = store();
    const answers = await commits.commit(
      NAMESPACE,
      Array.from({ length: 20 }, () => change(add(A, 1n))),
      CALL,
    );
    const versions = answers.map((answer) => ("version" in answer ? answer.version : 0));
    expect(versions.every((version, i) => version > (versions[i - 1] ?? 0))).toBe(true);
    expect(await versionOf(commits, A)).toBe(versions.at(-1));
  });

  if (durable) {
    test("it is kept, and grows, over closing and opening", async () => {
      const { backend, entries, commits } = store();
      const { version } = await committed(commits, change(set(A, "1"), set(B, "1"), set(C, "1")));
      await entries.delete(NAMESPACE, [B], CALL);
      const [kept] = await readAll(commits, [A]);
      await backend.close();
      await backend.open();
      expect(await readAll(store().commits, [A])).toEqual([kept]);
      await setTexts(store().entries, { [A]: "2", [B]: "2" });
      await committed(store().commits, change(replace(C, "2")));
      for (const entry of await readAll(store().commits, [A, B, C])) {
        expect(entry?.version).toBeGreaterThan(version);
      }
    });
  }
}
