import { expect, test } from "vitest";
import {
  A,
  add,
  B,
  change,
  changeIf,
  commitOne,
  committed,
  readTexts,
  set,
  versionOf,
} from "./commit-steps.ts";
import { type OpenStore, setTexts } from "./harness.ts";

/** Commits of many callers at once. */
export function describeRaces(store: () => OpenStore): void {
  test("200 increments at once lose none, and each gets its own answer", async () => {
    const { commits } = store();
    const answers = await Promise.all(
      Array.from({ length: 200 }, () => committed(commits, change(add(A, 1n)))),
    );
    const counters = answers.map(({ results }) => Number(results[0]?.counter)).sort((a, b) => a - b);
    expect(counters).toEqual(Array.from({ length: 200 }, (_, i) => i + 1));
    expect(await readTexts(commits, A)).toEqual(["200"]);
  });

  test("of many swaps from one version exactly one wins", async () => {
    const { entries, commits } = store();
    await setTexts(entries, { [A]: "start" });
    for (let round = 0; round < 10; round++) {
      const version = await versionOf(commits, A);
      const names = Array.from({ length: 16 }, (_, i) => `${round} ${i}`);
      const answers = await Promise.all(
        names.map((name) => commitOne(commits, changeIf({ key: A, is: "version", version }, set(A, name)))),
      );
      const winners = names.filter((_, i) => answers[i]?.committed === true);
      expect(winners).toHaveLength(1);
      expect(await readTexts(commits, A)).toEqual(winners);
    }
  });

  test("of many that make an absent key one wins", async () => {
    const { commits } = store();
    const made = await Promise.all(
      Array.from({ length: 30 }, (_, i) =>
        commitOne(commits, changeIf({ key: A, is: "absent" }, set(A, String(i)))),
      ),
    );
    expect(made.filter((answer) => answer.committed)).toHaveLength(1);
  });

  test("what two keys hold together is never seen or changed apart", async () => {
    const { commits } = store();
    await committed(commits, change(set(A, "0"), set(B, "100")));
    const sums: number[] = [];
    const mover = async (id: number) => {
      for (let i = 0; i < 10; i++) {
        const step = BigInt(id - 2);
        await committed(
          commits,
          id % 2 === 0 ? change(add(A, step), add(B, -step)) : change(add(B, -step), add(A, step)),
        );
      }
    };
    const reader = async () => {
      for (let i = 0; i < 10; i++) {
        const found = await readTexts(commits, A, B);
        sums.push(Number(found[0]) + Number(found[1]));
      }
    };
    await Promise.all([...[0, 1, 2, 3, 4].map(mover), reader(), reader(), reader()]);
    expect(new Set(sums)).toEqual(new Set([100]));
  });
}
