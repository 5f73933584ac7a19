import type { Check, Commit, CommitAnswer, HeldEntry, Mutation } from "../commit.ts";
import { answerOf, type CommitStore } from "../contract.ts";
import { bytes, CALL, NAMESPACE, present, texts } from "./harness.ts";

/** Different keys that every store keeps together: they share a tag. */
export const [A, B, C] = ["{t}a", "{t}b", "{t}c"] as const;

/** A time to live that does not pass while a test runs. */
export const LONG_MS = 1_000_000;

/** Writes the text. `ttlMs`: 0 = never expires. */
export function set(key: string, text: string, ttlMs = 0): Mutation {
  return { key, do: "set", value: bytes(text), ttlMs };
}

/** Writes the text and keeps the expiry. */
export function replace(key: string, text: string): Mutation {
  return { key, do: "replace", value: bytes(text) };
}

/** Deletes the key. */
export function remove(key: string): Mutation {
  return { key, do: "delete" };
}

/** Adds to a counter. `initial` and `ttlMs` (0 = never) are for a key that is absent. */
export function add(
  key: string,
  delta: bigint,
  { initial = 0n, ttlMs = 0 }: { readonly initial?: bigint; readonly ttlMs?: number } = {},
): Mutation {
  return { key, do: "add", delta, initial, ttlMs };
}

/** Gives the key a new expiry. */
export function expire(key: string, ttlMs: number): Mutation {
  return { key, do: "expire", ttlMs };
}

/** Takes the key's expiry away. */
export function persist(key: string): Mutation {
  return { key, do: "persist" };
}

/** Checks that the key holds the text. */
export function holds(key: string, text: string): Check {
  return { key, is: "value", value: bytes(text) };
}

/** A commit of these mutations without checks. */
export function change(...mutations: readonly Mutation[]): Commit {
  return { checks: [], mutations, tells: false };
}

/** A commit of mutations behind a check. */
export function changeIf(check: Check, ...mutations: readonly Mutation[]): Commit {
  return { checks: [check], mutations, tells: false };
}

/** Makes one commit. Throws a refusal. */
export async function commitOne(
  commits: CommitStore,
  commit: Commit,
  namespace = NAMESPACE,
): Promise<CommitAnswer> {
  const [answer] = await commits.commit(namespace, [commit], CALL);
  return answerOf(present(answer));
}

/** Makes one commit that has to take effect. Answers its version and results. */
export async function committed(
  commits: CommitStore,
  commit: Commit,
  namespace = NAMESPACE,
): Promise<Extract<CommitAnswer, { readonly committed: true }>> {
  const answer = await commitOne(commits, commit, namespace);
  if (!answer.committed) {
    throw new Error(`checks failed: ${answer.failed.map(({ index }) => index).join(", ")}`);
  }
  return answer;
}

/** Reads keys at one moment, with their values. */
export async function readAll(
  commits: CommitStore,
  keys: readonly string[],
  namespace = NAMESPACE,
): Promise<readonly (HeldEntry | undefined)[]> {
  const [answer] = await commits.read(namespace, [{ keys, values: true, maxBytes: 2 ** 30 }], CALL);
  return answerOf(present(answer));
}

/** Reads one key, which has to be there. */
export async function readHeld(commits: CommitStore, key: string, namespace = NAMESPACE): Promise<HeldEntry> {
  const [entry] = await readAll(commits, [key], namespace);
  if (entry === undefined) {
    throw new Error(`there is no entry ${JSON.stringify(key)}`);
  }
  return entry;
}

/** The values of keys as text. */
export async function readTexts(
  commits: CommitStore,
  ...keys: readonly string[]
): Promise<readonly (string | undefined)[]> {
  return texts((await readAll(commits, keys)).map((entry) => entry?.value));
}

/** The version of a key. */
export async function versionOf(commits: CommitStore, key: string): Promise<number> {
  return (await readHeld(commits, key)).version;
}
