import {
  type Before,
  type Check,
  type Commit,
  type CommitAnswer,
  type FailedCheck,
  type HeldEntry,
  keysOfCommit,
  type Mutation,
  type MutationResult,
  type Read,
} from "../commit.ts";
import { type Answers, type CommitStore, isRefusal, type Refusal } from "../contract.ts";
import { counterRefusal, readTooLarge } from "../decide.ts";
import type { Connection } from "./connection.ts";
import type { Repetition } from "./errors.ts";
import { entryName, type ShardKeys } from "./keys.ts";
import { isOnItsWay } from "./read-many.ts";
import { asAnswer, asArray, asNumber, asText, asValue } from "./replies.ts";
import { SCRIPTS } from "./scripts.ts";
import { entryIn } from "./stored.ts";

/** Commits in one shard, and reads of several of its entries at one moment. */
export function createCommits(connection: Connection, keys: ShardKeys): CommitStore {
  async function readAll(
    kind: Repetition,
    namespace: string,
    reads: readonly Read[],
  ): Promise<Answers<readonly (HeldEntry | undefined)[]>> {
    const names = reads.flatMap((read) => read.keys.map((key) => entryName(keys, namespace, key)));
    const args = reads.flatMap((read) => [read.keys.length, read.values ? read.maxBytes : -1]);
    const reply = await connection.runScript(kind, SCRIPTS.read, names, args);
    const items = asArray(reply);
    return reads.map((read, i) => asAnswer(items[i], (item) => asEntries(item, read)));
  }

  return {
    async read(namespace, reads) {
      if (reads.length === 0) {
        return [];
      }
      try {
        return await readAll("repeatable", namespace, reads);
      } catch (error) {
        if (!isOnItsWay(error)) {
          throw error;
        }
        const parts = await Promise.all(reads.map((read) => readAll("together", namespace, [read])));
        return parts.flat();
      }
    },

    async commit(namespace, commits) {
      if (commits.length === 0) {
        return [];
      }
      const { places, plan, values } = pack(commits);
      const names = Array.from(places.keys(), (key) => entryName(keys, namespace, key));
      const { index, expiry, version, entryPrefix } = keys;
      const reply = await connection.runScript(
        "once",
        SCRIPTS.commit,
        [index, expiry, version, ...names],
        [entryPrefix.length, plan, ...values],
      );
      const items = asArray(reply);
      return commits.map((commit, i) => asAnswer(items[i], (item) => asCommitAnswer(item, commit)));
    },
  };
}

/** Commits as commit.lua takes them: keys and values are places, counted from 1. */
function pack(commits: readonly Commit[]) {
  const places = new Map<string, number>();
  const values: Buffer[] = [];
  for (const key of commits.flatMap(keysOfCommit)) {
    if (!places.has(key)) {
      places.set(key, places.size + 1);
    }
  }
  const placed = (part: Check | Mutation) => ({
    ...part,
    key: places.get(part.key),
    ...("value" in part && { value: values.push(Buffer.from(part.value)) }),
    ...("delta" in part && { delta: String(part.delta), initial: String(part.initial) }),
  });
  const plan = JSON.stringify(
    commits.map(({ checks, mutations, tells }) => ({
      checks: checks.map(placed),
      mutations: mutations.map(placed),
      tells,
    })),
  );
  return { places, plan, values };
}

/** The entries of a read, from the answer of read.lua. */
function asEntries(item: unknown, read: Read): readonly (HeldEntry | undefined)[] | Refusal {
  const parts = asArray(item);
  if (parts.length === 0) {
    return readTooLarge(read);
  }
  const entries: (HeldEntry | undefined)[] = [];
  for (let at = 0; at < parts.length; at += 2) {
    const stored = asValue(parts[at]);
    const entry = stored && entryIn(stored, asNumber(parts[at + 1]));
    if (isRefusal(entry)) {
      return entry;
    }
    entries.push(entry);
  }
  return entries;
}

/** The answer of commit.lua to one commit. */
function asCommitAnswer(item: unknown, { mutations, tells }: Commit): CommitAnswer | Refusal {
  const [kind, ...parts] = asArray(item);
  const outcome = asText(kind);
  switch (outcome) {
    case "committed": {
      const [version, ...found] = parts;
      return { committed: true, version: asNumber(version), results: asResults(found, mutations) };
    }
    case "failed":
      return { committed: false, failed: asFailed(parts, tells) };
    case "not_a_counter":
    case "counter_overflow":
      return counterRefusal(outcome, asNumber(parts[0]));
    default:
      throw new Error(`Redis answered "${outcome}" to a commit`);
  }
}

function asResults(parts: readonly unknown[], mutations: readonly Mutation[]): readonly MutationResult[] {
  let at = 0;
  return mutations.map((mutation) => {
    const before = asBefore(parts[at++]);
    return mutation.do === "add" ? { before, counter: BigInt(asText(parts[at++])) } : { before };
  });
}

function asBefore(item: unknown): Before {
  const before = asText(item);
  if (before === "absent" || before === "lasting" || before === "expiring") {
    return before;
  }
  throw new Error(`Redis answered "${before}" to a mutation`);
}

/** The parts of one failed check: its index, and if the commit tells also what is held. */
function asFailed(parts: readonly unknown[], tells: boolean): readonly FailedCheck[] {
  const failed: FailedCheck[] = [];
  for (let at = 0; at < parts.length; at += tells ? 4 : 1) {
    failed.push({ index: asNumber(parts[at]), held: tells ? asHeld(parts.slice(at + 1)) : undefined });
  }
  return failed;
}

function asHeld([value, version, ttlMs]: readonly unknown[]): HeldEntry | undefined {
  const held = asValue(value);
  return held && { value: held, version: asNumber(version), ttlMs: asNumber(ttlMs) };
}
