import { createSystemClock } from "../../server/backend/clock.ts";
import type { Commit, HeldEntry, Mutation } from "../../server/backend/commit.ts";
import { answerOf, createCall } from "../../server/backend/contract.ts";
import { createSqliteBackend, type SqliteBackend } from "../../server/backend/sqlite/backend.ts";

/** How many callers commit at a time, each to keys of its own. */
export const LANES = 8;

const NAMESPACE = "default";
const CALL = createCall();

/** A commit that was answered: the lane's `count`-th. */
export interface Answered {
  readonly lane: number;
  readonly count: number;
  readonly version: number;
}

/** The keys of a lane: two values, one that every fifth commit deletes, and a counter. */
function keysOf(lane: number): readonly string[] {
  return ["large", "small", "fifth", "counter"].map((name) => `${lane}/${name}`);
}

/** What a lane's `count`-th commit leaves at each of its keys; `undefined` = nothing. */
export function valuesAfter(count: number): readonly (string | undefined)[] {
  const filler = String(count % 10);
  return [
    `${count}:${filler.repeat(40_000)}`,
    `${count}:${filler.repeat(100)}`,
    count % 5 === 0 ? undefined : `${count}`,
    `${count}`,
  ];
}

/** Opens the store of a file. Disposing closes it. */
export async function openCommitStore(path: string): Promise<SqliteBackend & AsyncDisposable> {
  const backend = createSqliteBackend({ type: "sqlite", path }, { clock: createSystemClock() });
  await backend.open();
  return { ...backend, [Symbol.asyncDispose]: () => backend.close() };
}

/** Reads all keys of a lane at one moment. */
export async function readLane(
  { commits }: SqliteBackend,
  lane: number,
): Promise<readonly (HeldEntry | undefined)[]> {
  const read = { keys: keysOf(lane), values: true, maxBytes: 1_000_000 };
  const [entries] = (await commits?.read(NAMESPACE, [read], CALL)) ?? [];
  return entries === undefined ? [] : answerOf(entries);
}

/**
 * Commits on all lanes for as long as the process lives. Each commit changes every key of its lane,
 * if nobody else did. Tells the parent process of each answer.
 */
export async function commitForever(path: string): Promise<never> {
  const backend = await openCommitStore(path);
  const ended = Array.from({ length: LANES }, async (_, lane) => {
    for (;;) {
      const held = await readLane(backend, lane);
      const count = Number(textOf(held[3]) ?? 0) + 1;
      const [answer] = (await backend.commits?.commit(NAMESPACE, [commitOf(lane, count, held)], CALL)) ?? [];
      const made = answer && answerOf(answer);
      if (made?.committed !== true) {
        throw new Error(`commit ${count} of lane ${lane} did not take effect`);
      }
      await tell({ lane, count, version: made.version });
    }
  });
  return Promise.race(ended);
}

/** Resolves when the parent's pipe has the message: a later commit must not overtake it. */
function tell(answer: Answered): Promise<void> {
  return new Promise((resolve) => process.send?.(answer, () => resolve()));
}

function commitOf(lane: number, count: number, held: readonly (HeldEntry | undefined)[]): Commit {
  const keys = keysOf(lane);
  const after = valuesAfter(count);
  return {
    checks: keys.map((key, i) => {
      const version = held[i]?.version;
      return version === undefined ? { key, is: "absent" } : { key, is: "version", version };
    }),
    mutations: keys.map((key, i): Mutation => {
      const value = after[i];
      if (i === 3) {
        return { key, do: "add", delta: 1n, initial: 0n, ttlMs: 0 };
      }
      return value === undefined
        ? { key, do: "delete" }
        : { key, do: "set", value: Buffer.from(value), ttlMs: 0 };
    }),
    tells: false,
  };
}

/** The value of an entry as text. */
export function textOf(held: HeldEntry | undefined): string | undefined {
  return held && Buffer.from(held.value).toString();
}
