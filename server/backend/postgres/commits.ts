import {
  type Check,
  type Commit,
  type CommitAnswer,
  type HeldEntry,
  MAX_COUNTER_BYTES,
  type Mutation,
  type MutationResult,
} from "../commit.ts";
import type { CommitStore, Refusal } from "../contract.ts";
import { counterRefusal, readTooLarge } from "../decide.ts";
import { bigintArray, booleanArray, byteaArray, integerArray, textArray } from "./arrays.ts";
import type { Database } from "./database.ts";
import type { CommitRow, Statements } from "./statements.ts";

/** The value is not needed. A value may be empty, so 0 would ask for some. */
const NO_VALUE = -1;

const NO_BYTES = new Uint8Array(0);

/** Commits as entry_commit decides them, and reads of several entries in one statement. */
export function createCommits(run: Database["run"], statements: Statements): CommitStore {
  return {
    async read(namespace, reads, call) {
      const places = reads.flatMap((read, item) => read.keys.map((key) => ({ key, item, read })));
      const rows = await run(
        statements.read,
        [
          namespace,
          integerArray(places.map(({ item }) => item)),
          byteaArray(places.map(({ key }) => Buffer.from(key))),
          bigintArray(places.map(({ read }) => (read.values ? read.maxBytes : NO_VALUE))),
        ],
        call,
      );
      const held = new Map(rows.map((row) => [row[0], row]));
      let place = 0;
      return reads.map((read) => {
        let tooLarge = false;
        const entries = read.keys.map((): HeldEntry | undefined => {
          const [, version, ttlMs, value] = held.get(++place) ?? [];
          tooLarge ||= read.values && value === null;
          return version === undefined || ttlMs === undefined
            ? undefined
            : { value: value ?? NO_BYTES, version, ttlMs };
        });
        return tooLarge ? readTooLarge(read) : entries;
      });
    },
    async commit(namespace, commits, call) {
      const rows = await run(statements.commit, [namespace, ...flattened(commits)], call);
      return commits.map((commit, i) => toAnswer(commit, rows[i]));
    },
  };
}

/** A commit's check or mutation as entry_commit takes it. */
interface Step {
  readonly commit: number;
  readonly key: string;
  readonly does: Check["is"] | Mutation["do"];
  readonly value: Uint8Array;
  /** A version, or milliseconds to live. */
  readonly number: number;
  readonly delta: bigint;
  readonly initial: bigint;
  /** The largest value that it has to know. */
  readonly most: number;
}

const STEP = { value: NO_BYTES, number: 0, delta: 0n, initial: 0n, most: NO_VALUE } as const;

/** The arguments of entry_commit after the time. */
function flattened(commits: readonly Commit[]): readonly Buffer[] {
  const steps = commits.flatMap(({ checks, mutations }, i) => [
    ...checks.map((check) => ofCheck(check, i + 1)),
    ...mutations.map((mutation) => ofMutation(mutation, i + 1)),
  ]);
  const most = new Map<string, number>();
  for (const step of steps) {
    most.set(step.key, Math.max(step.most, most.get(step.key) ?? NO_VALUE));
  }
  const keys = Array.from(most.keys(), (key) => ({ key, bytes: Buffer.from(key) })).sort((a, b) =>
    a.bytes.compare(b.bytes),
  );
  const numbers = new Map(keys.map(({ key }, i) => [key, i + 1]));
  return [
    byteaArray(keys.map(({ bytes }) => bytes)),
    integerArray(keys.map(({ key }) => most.get(key) ?? NO_VALUE)),
    booleanArray(commits.map(({ tells }) => tells)),
    integerArray(steps.map(({ commit }) => commit)),
    integerArray(steps.map(({ key }) => numbers.get(key) ?? 0)),
    textArray(steps.map(({ does }) => does)),
    byteaArray(steps.map(({ value }) => value)),
    bigintArray(steps.map(({ number }) => number)),
    bigintArray(steps.map(({ delta }) => delta)),
    bigintArray(steps.map(({ initial }) => initial)),
  ];
}

function ofCheck(check: Check, commit: number): Step {
  const step = { ...STEP, commit, key: check.key, does: check.is };
  switch (check.is) {
    case "absent":
    case "present":
      return step;
    case "version":
      return { ...step, number: check.version };
    case "value":
      return { ...step, value: check.value, most: check.value.length };
  }
}

function ofMutation(mutation: Mutation, commit: number): Step {
  const step = { ...STEP, commit, key: mutation.key, does: mutation.do };
  switch (mutation.do) {
    case "delete":
    case "persist":
      return step;
    case "set":
      return { ...step, value: mutation.value, number: Math.ceil(mutation.ttlMs) };
    case "replace":
      return { ...step, value: mutation.value };
    case "expire":
      return { ...step, number: Math.ceil(mutation.ttlMs) };
    case "add": {
      const { delta, initial, ttlMs } = mutation;
      return { ...step, delta, initial, number: Math.ceil(ttlMs), most: MAX_COUNTER_BYTES };
    }
  }
}

function toAnswer({ mutations }: Commit, row: CommitRow | undefined): CommitAnswer | Refusal {
  const [outcome, details = "", version, ttlMs, value] = row ?? [];
  const words = details.split(" ").slice(1);
  switch (outcome) {
    case "committed":
      return { committed: true, version: version ?? 0, results: mutations.map((_, i) => toResult(words[i])) };
    case "failed": {
      const held = value instanceof Buffer ? { value, version: version ?? 0, ttlMs: ttlMs ?? 0 } : undefined;
      return { committed: false, failed: words.map((index) => ({ index: Number(index), held })) };
    }
    case "not_a_counter":
    case "counter_overflow":
      return counterRefusal(outcome, Number(words[0]));
    default:
      throw new Error(`entry_commit answered ${outcome}`);
  }
}

/** `word`: what a mutation found; of an `add` a colon and the counter follow. */
function toResult(word = ""): MutationResult {
  const [before, counter] = word.split(":");
  if (before !== "absent" && before !== "lasting" && before !== "expiring") {
    throw new Error(`entry_commit found ${before}`);
  }
  return counter === undefined ? { before } : { before, counter: BigInt(counter) };
}
