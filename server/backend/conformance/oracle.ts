import { expect } from "vitest";
import type { Commit, CommitAnswer, HeldEntry } from "../commit.ts";
import { type Answers, type CommitStore, isRefusal, type ScanRange } from "../contract.ts";
import { decide, type Held } from "../decide.ts";
import { readAll } from "./commit-steps.ts";
import { bytes, CALL } from "./harness.ts";
import { keysIn } from "./scan.ts";

/** The expected content of the store, kept in the simplest way. */
export class Oracle {
  nowMs = 0;
  readonly #entries = new Map<string, Held>();
  /** The largest version that each key has had. */
  readonly #versions = new Map<string, number>();
  readonly #lists = new Map<string, string[]>();

  /** Keeps an entry. Its version has to be larger than every earlier one of the key. */
  put(key: string, entry: Held): void {
    expect(entry.version).toBeGreaterThan(this.#versions.get(key) ?? 0);
    this.#versions.set(key, entry.version);
    this.#entries.set(key, entry);
  }

  look = (key: string): Held | undefined => {
    const entry = this.#entries.get(key);
    return entry !== undefined && this.nowMs < (entry.expiresAtMs ?? Infinity) ? entry : undefined;
  };

  get(key: string): string | undefined {
    const entry = this.look(key);
    return entry && Buffer.from(entry.value).toString();
  }

  delete(key: string): boolean {
    const held = this.look(key) !== undefined;
    this.#entries.delete(key);
    return held;
  }

  keys(range: ScanRange): string[] {
    return keysIn(range, this.#entries.keys()).filter((key) => this.get(key) !== undefined);
  }

  list(key: string): string[] {
    const list = this.#lists.get(key) ?? [];
    this.#lists.set(key, list);
    return list;
  }
}

/** The oracle learns the versions that plain writes got. */
export async function expectWritten(
  commits: CommitStore,
  namespace: string,
  writes: readonly { readonly key: string; readonly value: string; readonly ttlMs: number }[],
  oracle: Oracle,
): Promise<void> {
  const last = new Map(writes.map((write) => [write.key, write]));
  for (const { key, value, ttlMs } of last.values()) {
    const [entry] = await readAll(commits, [key], namespace);
    const expiresAtMs = ttlMs === 0 ? undefined : oracle.nowMs + ttlMs;
    oracle.put(key, { value: bytes(value), version: entry?.version ?? 0, expiresAtMs });
  }
}

/**
 * Makes commits on both; they have to answer alike. The version of a check counts from the key's.
 */
export async function takeCommits(
  store: CommitStore,
  namespace: string,
  random: readonly Commit[],
  oracle: Oracle,
): Promise<void> {
  const commits = random.map((commit) => ({
    ...commit,
    checks: commit.checks.map((check) =>
      check.is === "version"
        ? { ...check, version: Math.max(1, (oracle.look(check.key)?.version ?? 1) + check.version) }
        : check,
    ),
  }));
  const answers = await store.commit(namespace, commits, CALL);
  expect(answers).toHaveLength(commits.length);
  commits.forEach((commit, i) => {
    const answer = answers[i];
    const version = answer !== undefined && "version" in answer ? answer.version : 0;
    const decision = decide(commit, oracle.look, oracle.nowMs, version);
    if (isRefusal(decision)) {
      expect(answer).toMatchObject({ reason: decision.reason });
      return;
    }
    expect(plainOf(answer)).toEqual(plainOf(decision.answer));
    for (const [key, left] of decision.writes) {
      if (left === undefined) {
        oracle.delete(key);
      } else {
        const value = left.value ?? oracle.look(key)?.value ?? bytes("");
        oracle.put(key, { value, version, expiresAtMs: left.expiresAtMs });
      }
    }
  });
}

/** A commit's answer whose values are texts, so that two can be compared. */
function plainOf(answer: Answers<CommitAnswer>[number] | undefined): unknown {
  if (answer === undefined || isRefusal(answer) || answer.committed) {
    return answer;
  }
  return answer.failed.map(({ index, held }) => ({ index, held: toldOf([held]) }));
}

/** What a read answered, with texts, or the reason of its refusal. */
export function toldOf(answer: Answers<readonly (HeldEntry | undefined)[]>[number] | undefined): unknown {
  if (answer === undefined || isRefusal(answer)) {
    return answer?.reason;
  }
  return answer.map((entry) => entry && { ...entry, value: Buffer.from(entry.value).toString() });
}
