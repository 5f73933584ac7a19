import type {
  Before,
  Check,
  Commit,
  CommitAnswer,
  FailedCheck,
  HeldEntry,
  Mutation,
  MutationResult,
  Read,
} from "../commit.ts";
import { type Answers, type CommitStore, isRefusal, type Refusal } from "../contract.ts";
import { counterRefusal, readTooLarge } from "../decide.ts";
import type { Argument, Connection } from "./connection.ts";
import type { Repetition } from "./errors.ts";
import { entryName, type ShardKeys } from "./keys.ts";
import { readTogether } from "./read-many.ts";
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
    read: (namespace, reads) => readTogether(reads, (kind, some) => readAll(kind, namespace, some)),

    async commit(namespace, commits) {
      if (commits.length === 0) {
        return [];
      }
      const { index, expiry, version, entryPrefix } = keys;
      const names = [index, expiry, version];
      const args: Argument[] = [entryPrefix.length];
      for (const { checks, mutations, tells } of commits) {
        args.push(tells ? "tell" : "commit");
        for (const check of checks) {
          names.push(entryName(keys, namespace, check.key));
          addCheck(args, check);
        }
        for (const mutation of mutations) {
          names.push(entryName(keys, namespace, mutation.key));
          addMutation(args, mutation);
        }
      }
      const reply = await connection.runScript("once", SCRIPTS.commit, names, args);
      const items = asArray(reply);
      return commits.map((commit, i) => asAnswer(items[i], (item) => asCommitAnswer(item, commit)));
    },
  };
}

/** Adds a check as commit.lua takes it, without its entry. */
function addCheck(args: Argument[], check: Check): void {
  switch (check.is) {
    case "absent":
    case "present":
      args.push(check.is);
      break;
    case "value":
      args.push(check.is, Buffer.from(check.value));
      break;
    case "version":
      args.push(check.is, check.version);
      break;
  }
}

/** The same for a mutation. */
function addMutation(args: Argument[], mutation: Mutation): void {
  switch (mutation.do) {
    case "set":
      args.push(mutation.do, Buffer.from(mutation.value), Math.ceil(mutation.ttlMs));
      break;
    case "replace":
      args.push(mutation.do, Buffer.from(mutation.value));
      break;
    case "add": {
      const { delta, initial, ttlMs } = mutation;
      args.push(mutation.do, String(delta), String(initial), Math.ceil(ttlMs));
      break;
    }
    case "expire":
      args.push(mutation.do, Math.ceil(mutation.ttlMs));
      break;
    case "delete":
    case "persist":
      args.push(mutation.do);
      break;
  }
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
  const parts = asArray(item);
  const first = parts[0];
  if (typeof first === "number") {
    return { committed: true, version: first, results: asResults(parts, mutations) };
  }
  const outcome = asText(first);
  switch (outcome) {
    case "failed":
      return { committed: false, failed: asFailed(parts, tells) };
    case "not_a_counter":
    case "counter_overflow":
      return counterRefusal(outcome, asNumber(parts[1]));
    default:
      throw new Error(`Redis answered "${outcome}" to a commit`);
  }
}

/** What commit.lua says that a mutation found, by its number. */
const BEFORE: readonly Before[] = ["absent", "lasting", "expiring"];

function asResults(parts: readonly unknown[], mutations: readonly Mutation[]): readonly MutationResult[] {
  let at = 1;
  return mutations.map((mutation) => {
    const before = BEFORE[asNumber(parts[at++])];
    if (before === undefined) {
      throw new Error("Redis answered another number to a mutation");
    }
    return mutation.do === "add" ? { before, counter: BigInt(asText(parts[at++])) } : { before };
  });
}

function asFailed(parts: readonly unknown[], tells: boolean): readonly FailedCheck[] {
  const failed: FailedCheck[] = [];
  for (let at = 1; at < parts.length; at += tells ? 4 : 1) {
    failed.push({ index: asNumber(parts[at]), held: tells ? asHeld(parts.slice(at + 1)) : undefined });
  }
  return failed;
}

function asHeld([value, version, ttlMs]: readonly unknown[]): HeldEntry | undefined {
  const held = asValue(value);
  return held && { value: held, version: asNumber(version), ttlMs: asNumber(ttlMs) };
}
