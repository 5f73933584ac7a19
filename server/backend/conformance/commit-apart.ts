import { expect, test } from "vitest";
import { type Commit, keysOfCommit } from "../commit.ts";
import { change, changeIf, committed, readTexts, set } from "./commit-steps.ts";
import { CALL, NAMESPACE, type OpenStore, present, texts } from "./harness.ts";

/** Keys that lie on different shards of a store, and keys that callers keep together. */
export function describeApart(shardOf: (key: string) => number, store: () => OpenStore): void {
  const keys = Array.from({ length: 100 }, (_, i) => `key ${i}`);
  const here = "key 0";
  const apart = present(keys.find((key) => shardOf(key) !== shardOf(here)));
  const together = present(keys.find((key) => key !== here && shardOf(key) === shardOf(here)));

  test.each<readonly [string, Commit]>([
    ["mutations", change(set(here, "1"), set(apart, "1"))],
    ["a check and a mutation", changeIf({ key: apart, is: "absent" }, set(here, "1"))],
    ["checks", { checks: [here, apart].map((key) => ({ key, is: "absent" })), mutations: [], tells: false }],
  ])("%s on different shards are refused, and nothing is written", async (_, commit) => {
    const { entries, commits } = store();
    const answers = await commits.commit(
      NAMESPACE,
      [change(set(together, "0")), commit, change(set(here, "2"))],
      CALL,
    );
    expect(answers).toMatchObject([{ committed: true }, { reason: "not_atomic" }, { committed: true }]);
    expect(texts(await entries.get(NAMESPACE, [...keysOfCommit(commit), together], CALL))).toEqual([
      ...keysOfCommit(commit).map((key) => (key === here ? "2" : undefined)),
      "0",
    ]);
  });

  test("keys on one shard are changed together", async () => {
    const { commits } = store();
    await committed(commits, changeIf({ key: together, is: "absent" }, set(here, "1"), set(together, "2")));
    expect(await readTexts(commits, here, together)).toEqual(["1", "2"]);
  });

  test("keys with one tag are changed and read together", async () => {
    const { commits } = store();
    const tagged = keys.map((key) => `${key} of {user 7}`);
    await committed(commits, change(...tagged.map((key) => set(key, key))));
    expect(await readTexts(commits, ...tagged)).toEqual(tagged);
  });

  test("a read of keys on different shards is refused alone", async () => {
    const { commits } = store();
    const read = (...of: readonly string[]) => ({ keys: of, values: true, maxBytes: 1000 });
    const answers = await commits.read(
      NAMESPACE,
      [read(here, together), read(here, apart), read(apart)],
      CALL,
    );
    expect(answers).toMatchObject([[undefined, undefined], { reason: "not_atomic" }, [undefined]]);
  });
}
