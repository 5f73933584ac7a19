import { expect, test } from "vitest";
import {
  A,
  change,
  changeIf,
  commitOne,
  committed,
  expire,
  holds,
  LONG_MS,
  persist,
  readHeld,
  readTexts,
  remove,
  replace,
  set,
} from "./commit-steps.ts";
import {
  AWKWARD_KEYS,
  answersOf,
  bytes,
  CALL,
  type Harness,
  NAMESPACE,
  NAMESPACES,
  type OpenStore,
  present,
} from "./harness.ts";

/** Keys and values of every kind in commits. */
export function describeValues(harness: Harness, store: () => OpenStore): void {
  // A commit has two of them, and on a wire a message is bounded.
  const largest = harness.overWire === true ? 2 * 1024 * 1024 : 4 * 1024 * 1024;
  test.each([4095, 4096, 4097, 65_537, largest])("a value of %i bytes", async (length) => {
    const { entries, commits } = store();
    const value = Buffer.alloc(length, "0123456789abcdef~");
    const other = Buffer.from(value).fill("x", length - 1);
    const expectHeld = async (wanted: Uint8Array, ttl: "never" | "some") => {
      const held = await readHeld(commits, A);
      expect(Buffer.compare(held.value, wanted)).toBe(0);
      expect(held.ttlMs > 0 ? "some" : "never").toBe(ttl);
      const [got] = await answersOf(entries.get(NAMESPACE, [A], CALL));
      expect(Buffer.compare(present(got), wanted)).toBe(0);
    };
    await committed(commits, change({ key: A, do: "set", value, ttlMs: LONG_MS }));
    await expectHeld(value, "some");
    await committed(commits, change(persist(A)));
    await expectHeld(value, "never");
    await committed(commits, change(expire(A, LONG_MS)));
    await expectHeld(value, "some");
    expect((await commitOne(commits, changeIf({ key: A, is: "value", value: other }))).committed).toBe(false);
    const swap = changeIf({ key: A, is: "value", value }, { key: A, do: "replace", value: other });
    await committed(commits, swap);
    await expectHeld(other, "some");
    await committed(commits, change(replace(A, "short")));
    await expectHeld(bytes("short"), "some");
  });

  test("an empty value is a value", async () => {
    const { commits } = store();
    await committed(commits, changeIf({ key: A, is: "absent" }, set(A, "")));
    expect((await commitOne(commits, changeIf({ key: A, is: "absent" }))).committed).toBe(false);
    await committed(commits, changeIf(holds(A, ""), expire(A, LONG_MS)));
    expect(await readTexts(commits, A)).toEqual([""]);
    await committed(commits, changeIf({ key: A, is: "present" }, replace(A, "x"), replace(A, "")));
    expect(await committed(commits, change(persist(A)))).toMatchObject({ results: [{ before: "expiring" }] });
    expect(await readTexts(commits, A)).toEqual([""]);
  });

  test("every byte comes back as it was", async () => {
    const { commits } = store();
    const value = Uint8Array.from({ length: 256 }, (_, i) => i);
    await committed(commits, change({ key: A, do: "set", value, ttlMs: 0 }));
    expect((await commitOne(commits, changeIf({ key: A, is: "value", value }))).committed).toBe(true);
    expect(new Uint8Array((await readHeld(commits, A)).value)).toEqual(value);
  });

  test("awkward keys are each their own", async () => {
    const { commits } = store();
    for (const [i, key] of AWKWARD_KEYS.entries()) {
      await committed(commits, changeIf({ key, is: "absent" }, set(key, `value ${i}`)));
    }
    const holdsOwn = AWKWARD_KEYS.map((key, i) => changeIf(holds(key, `value ${i}`), remove(key)));
    const answers = await answersOf(commits.commit(NAMESPACE, holdsOwn, CALL));
    expect(answers.map(({ committed }) => committed)).toEqual(AWKWARD_KEYS.map(() => true));
  });

  if (harness.shardOf === undefined) {
    test("awkward keys in one commit and one read", async () => {
      const { commits } = store();
      await committed(commits, change(...AWKWARD_KEYS.map((key, i) => set(key, String(i)))));
      expect(await readTexts(commits, ...AWKWARD_KEYS)).toEqual(AWKWARD_KEYS.map((_, i) => String(i)));
    });
  }

  test("namespaces do not see each other", async () => {
    const { commits } = store();
    for (const namespace of NAMESPACES) {
      const commit = changeIf({ key: A, is: "absent" }, set(A, namespace));
      await committed(commits, commit, namespace);
    }
    for (const namespace of NAMESPACES) {
      await committed(commits, changeIf(holds(A, namespace), remove(A)), namespace);
    }
  });

  test("the value is copied: what becomes of the caller's buffer does not matter", async () => {
    const { commits } = store();
    const request = Buffer.from("before value after");
    const value = request.subarray(7, 12);
    const commit = commitOne(commits, change({ key: A, do: "set", value, ttlMs: 0 }));
    request.fill("x");
    await commit;
    expect(await readTexts(commits, A)).toEqual(["value"]);
  });
}
