import { expect, test } from "vitest";
import type { HeldEntry, Read } from "../commit.ts";
import { isRefusal, type Refusal } from "../contract.ts";
import { A, B, C, change, committed, LONG_MS, readAll, set, versionOf } from "./commit-steps.ts";
import {
  bytes,
  CALL,
  type Harness,
  NAMESPACE,
  type OpenStore,
  setTexts,
  testBatch,
  texts,
} from "./harness.ts";

function read(keys: readonly string[], { values = true, maxBytes = 1000 }: Partial<Read> = {}): Read {
  return { keys, values, maxBytes };
}

/** The values of each read as text, or the reason of its refusal. */
function seen(
  answers: readonly (readonly (HeldEntry | undefined)[] | Refusal)[],
): readonly (string | readonly (string | undefined)[])[] {
  return answers.map((answer) =>
    isRefusal(answer) ? answer.reason : texts(answer.map((entry) => entry?.value)),
  );
}

/** Reads of several entries at one moment. */
export function describeReads(harness: Harness, store: () => OpenStore): void {
  test("answers in the order of the keys, duplicates and absent keys included", async () => {
    const { entries, commits } = store();
    await setTexts(entries, { [A]: "1", [B]: "" });
    const reads = [read([B, A, C, A]), read([C]), read([A])];
    expect(seen(await commits.read(NAMESPACE, reads, CALL))).toEqual([
      ["", "1", undefined, "1"],
      [undefined],
      ["1"],
    ]);
  });

  test("tells version and expiry", async () => {
    const { entries, commits } = store();
    await setTexts(entries, { [A]: "1" }, { ttlMs: LONG_MS });
    const { version } = await committed(commits, change(set(B, "2")));
    const [first, second] = await readAll(commits, [A, B]);
    expect(first?.ttlMs).toBeGreaterThan(0);
    expect(first?.ttlMs).toBeLessThanOrEqual(LONG_MS);
    expect(first?.version).toBeGreaterThan(0);
    expect(second).toMatchObject({ ttlMs: 0, version });
  });

  test("without values they are empty, and everything else is told", async () => {
    const { entries, commits } = store();
    await setTexts(entries, { [A]: "1", [B]: "x".repeat(5000) });
    const version = await versionOf(commits, B);
    const answers = await commits.read(NAMESPACE, [read([A, B, C], { values: false, maxBytes: 0 })], CALL);
    expect(seen(answers)).toEqual([["", "", undefined]]);
    expect(answers).toMatchObject([[{ ttlMs: 0 }, { version, ttlMs: 0 }, undefined]]);
  });

  test("one with too many bytes is refused alone", async () => {
    const { entries, commits } = store();
    await entries.set(
      NAMESPACE,
      [
        { key: A, value: bytes("x".repeat(5000)), ttlMs: 0 },
        { key: B, value: bytes("123"), ttlMs: 0 },
      ],
      CALL,
    );
    const reads = [
      read([B], { maxBytes: 3 }),
      read([B], { maxBytes: 2 }),
      read([A, B], { maxBytes: 5003 }),
      read([A, B], { maxBytes: 5002 }),
      read([C], { maxBytes: 0 }),
    ];
    expect(seen(await commits.read(NAMESPACE, reads, CALL))).toEqual([
      ["123"],
      "value_too_large",
      ["x".repeat(5000), "123"],
      "value_too_large",
      [undefined],
    ]);
  });

  test("a value that was handed out stays as it is when its key is written again", async () => {
    const { commits } = store();
    await committed(commits, change(set(A, "old")));
    const before = await readAll(commits, [A]);
    await committed(commits, change(set(A, "new")));
    expect(texts(before.map((entry) => entry?.value))).toEqual(["old"]);
  });

  testBatch(harness, "a thousand keys in one read, and a thousand reads", async () => {
    const { entries, commits } = store();
    const keys = Array.from({ length: 1000 }, (_, i) => `{t}${i}`);
    await setTexts(entries, Object.fromEntries(keys.map((key) => [key, key])));
    expect(seen(await commits.read(NAMESPACE, [read(keys, { maxBytes: 1e6 })], CALL))).toEqual([keys]);
    const single = keys.map((key) => read([key]));
    expect(seen(await commits.read(NAMESPACE, single, CALL))).toEqual(keys.map((key) => [key]));
  });
}
