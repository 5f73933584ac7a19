import { expect, test } from "vitest";
import type { Commit } from "../commit.ts";
import {
  A,
  add,
  B,
  change,
  commitOne,
  committed,
  readTexts,
  remove,
  replace,
  set,
  versionOf,
} from "./commit-steps.ts";
import { type OpenStore, setTexts } from "./harness.ts";

const MAX = 2n ** 63n - 1n;
const MIN = -(2n ** 63n);

/** What `add` takes for a counter, and what it refuses. */
export function describeCounters(store: () => OpenStore): void {
  async function expectRefused(commit: Commit, reason: string): Promise<void> {
    await expect(commitOne(store().commits, commit)).rejects.toMatchObject({ name: "PrismError", reason });
  }

  test.each([
    [0n, 1n, 1n],
    [1n, -1n, 0n],
    [0n, -1n, -1n],
    [2n ** 53n, 1n, 2n ** 53n + 1n],
    [-(2n ** 53n), -1n, -(2n ** 53n) - 1n],
    [1_234_567_890_123_456_789n, 1n, 1_234_567_890_123_456_790n],
    [999_999_999_999_999_999n, 1n, 1_000_000_000_000_000_000n],
    [MAX, 0n, MAX],
    [MAX - 1n, 1n, MAX],
    [MAX, -MAX, 0n],
    [MAX, MIN, -1n],
    [MIN, MAX, -1n],
    [MIN, 0n, MIN],
    [MIN + 1n, -1n, MIN],
    [0n, MAX, MAX],
    [0n, MIN, MIN],
    [-1n, MIN + 1n, MIN],
  ])("%d and %d is exactly %d", async (start, delta, sum) => {
    const { commits, entries } = store();
    await setTexts(entries, { [A]: String(start) });
    const { results } = await committed(commits, change(add(A, delta), add(B, delta, { initial: start })));
    expect(results).toEqual([
      { before: "lasting", counter: sum },
      { before: "absent", counter: sum },
    ]);
    expect(await readTexts(commits, A, B)).toEqual([String(sum), String(sum)]);
  });

  test.each([
    [MAX, 1n],
    [MAX, MAX],
    [1n, MAX],
    [MIN, -1n],
    [MIN, MIN],
    [-1n, MIN],
    [MAX - 1n, 2n],
    [MIN + 1n, -2n],
  ])("%d and %d overflows, and nothing is written", async (start, delta) => {
    const { commits, entries } = store();
    await setTexts(entries, { [A]: String(start) });
    const version = await versionOf(commits, A);
    await expectRefused(change(set(B, "1"), add(A, delta)), "counter_overflow");
    await expectRefused(change(add(B, delta, { initial: start })), "counter_overflow");
    expect(await readTexts(commits, A, B)).toEqual([String(start), undefined]);
    expect(await versionOf(commits, A)).toBe(version);
  });

  test.each([
    "",
    "x",
    "1x",
    "1\n",
    " 1",
    "1 ",
    "01",
    "00",
    "+1",
    "-0",
    "-",
    "--1",
    "-01",
    "1.0",
    "1e3",
    "0x1",
    "١",
    "\0",
    "1\0",
    "9223372036854775808",
    "-9223372036854775809",
    "99999999999999999999",
    "123456789012345678901",
    "-12345678901234567890",
  ])("%j is no counter, and nothing is written", async (text) => {
    const { commits, entries } = store();
    await setTexts(entries, { [A]: text });
    const version = await versionOf(commits, A);
    await expectRefused(change(set(B, "1"), add(A, 1n)), "not_a_counter");
    await expectRefused(change(add(B, 1n), replace(B, text), add(B, 1n)), "not_a_counter");
    expect(await readTexts(commits, A, B)).toEqual([text, undefined]);
    expect(await versionOf(commits, A)).toBe(version);
  });

  test("a long value is no counter", async () => {
    const { commits, entries } = store();
    await setTexts(entries, { [A]: "1".repeat(5000) });
    await expectRefused(change(set(B, "1"), add(A, 1n)), "not_a_counter");
    expect(await readTexts(commits, A, B)).toEqual(["1".repeat(5000), undefined]);
  });

  test("a refused commit undoes what it had changed", async () => {
    const { commits, entries } = store();
    await setTexts(entries, { [A]: "1", [B]: "text" });
    const version = await versionOf(commits, A);
    await expectRefused(change(add(A, 1n), remove(A), set(A, "9"), add(B, 1n)), "not_a_counter");
    expect(await readTexts(commits, A, B)).toEqual(["1", "text"]);
    expect(await versionOf(commits, A)).toBe(version);
  });

  test("a commit whose check fails is not refused", async () => {
    const { commits, entries } = store();
    await setTexts(entries, { [A]: "text" });
    const commit = { ...change(add(A, 1n)), checks: [{ key: A, is: "absent" as const }] };
    expect(await commitOne(commits, commit)).toEqual({ committed: false, failed: [{ index: 0 }] });
  });
}
