import fc from "fast-check";
import { expect, test } from "vitest";
import { type Commit, keysOfCommit, type Mutation } from "../commit.ts";
import type { Page } from "../contract.ts";
import { readHeld } from "../decide.ts";
import { bytes, CALL, describeFor, type Harness, type OpenStore, texts, useOpenStore } from "./harness.ts";
import { expectWritten, Oracle, takeCommits, toldOf } from "./oracle.ts";
import { scanPages } from "./scan.ts";

const RUNS = Number(process.env.PRISM_TEST_RUNS ?? 40);
const SEED = process.env.PRISM_TEST_SEED;
const TIMEOUT_MS = 120_000 + RUNS * 1000;

/**
 * Few and short keys, so that steps meet; chosen around the borders where orders and prefixes go
 * wrong.
 */
const key = fc.string({
  unit: fc.constantFrom("\0", "a", "b", "\uffff", "\u{10000}"),
  minLength: 1,
  maxLength: 2,
});
const prefix = fc.string({ unit: fc.constantFrom("\0", "a", "\uffff", "\u{10000}"), maxLength: 2 });
const bound = fc.option(prefix, { nil: undefined });
const keys = fc.array(key, { minLength: 1, maxLength: 4 });
const namespace = fc.constantFrom("a", "ab");
const end = fc.constantFrom("left" as const, "right" as const);
const value = fc.string({ maxLength: 3 });
const ttlMs = fc.constantFrom(0, 0, 1, 10, 25);
/** Values that are counters, and some that are not. */
const content = fc.constantFrom("", "1", "-7", "9223372036854775807", "x").map(bytes);
const delta = fc.constantFrom(0n, 1n, -3n, 2n ** 63n - 1n);

const check = fc.oneof(
  fc.record({ key, is: fc.constantFrom("absent" as const, "present" as const) }),
  fc.record({ key, is: fc.constant("value" as const), value: content }),
  /** `version` counts from the version that the key has. */
  fc.record({ key, is: fc.constant("version" as const), version: fc.constantFrom(0, 0, 1, -1) }),
);
const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.record({ key, do: fc.constant("set" as const), value: content, ttlMs }),
  fc.record({ key, do: fc.constant("replace" as const), value: content }),
  fc.record({ key, do: fc.constant("delete" as const) }),
  fc.record({ key, do: fc.constant("add" as const), delta, initial: delta, ttlMs }),
  fc.record({ key, do: fc.constant("expire" as const), ttlMs: fc.constantFrom(1, 10, 25) }),
  fc.record({ key, do: fc.constant("persist" as const) }),
);
const commit: fc.Arbitrary<Commit> = fc
  .record({
    checks: fc.array(check, { maxLength: 2 }),
    mutations: fc.array(mutation, { maxLength: 4 }),
  })
  .filter(({ checks, mutations }) => checks.length + mutations.length > 0)
  .map((parts) => ({ ...parts, tells: parts.checks.length === 1 }));

const step = fc.oneof(
  fc.record({
    do: fc.constant("set" as const),
    namespace,
    writes: fc.array(fc.record({ key, value, ttlMs }), { minLength: 1, maxLength: 4 }),
  }),
  fc.record({ do: fc.constant("get" as const), namespace, keys }),
  fc.record({ do: fc.constant("delete" as const), namespace, keys }),
  fc.record({
    do: fc.constant("commit" as const),
    namespace,
    commits: fc.array(commit, { minLength: 1, maxLength: 4 }),
  }),
  fc.record({
    do: fc.constant("read" as const),
    namespace,
    keys,
    values: fc.boolean(),
    maxBytes: fc.constantFrom(0, 3, 1000),
  }),
  fc.record({
    do: fc.constant("scan" as const),
    namespace,
    prefix,
    start: bound,
    end: bound,
    reverse: fc.boolean(),
    maxEntries: fc.integer({ min: 1, max: 5 }),
  }),
  fc.record({ do: fc.constant("count" as const), namespace, prefix }),
  fc.record({
    do: fc.constant("push" as const),
    namespace,
    pushes: fc.array(fc.record({ key, end, value }), { minLength: 1, maxLength: 3 }),
  }),
  fc.record({
    do: fc.constant("pop" as const),
    namespace,
    pops: fc.array(fc.record({ key, end }), { minLength: 1, maxLength: 3 }),
  }),
  fc.record({ do: fc.constant("advance" as const), ms: fc.integer({ min: 1, max: 15 }) }),
);

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/**
 * Makes random steps on the store and on a model of it; both must answer alike. A failure prints
 * its seed and the shortest steps that show it. `PRISM_TEST_SEED` repeats a seed. `PRISM_TEST_RUNS`
 * sets the number of sequences; behind a wire, where each step is many calls, an eighth of it runs.
 */
export function describeModel(harness: Harness): void {
  describeFor(harness, ["entries", "commits", "scans", "lists"], "model", () => {
    const store = useOpenStore(harness);

    test("random steps: the store answers as the model does", { timeout: TIMEOUT_MS }, async () => {
      const open = store();
      const property = fc.asyncProperty(
        fc.array(step, { minLength: 1, maxLength: 60, size: "max" }),
        async (steps) => {
          const oracles = { a: new Oracle(), ab: new Oracle() };
          try {
            for (const random of steps) {
              const each = harness.atomic === "namespace" ? random : ofOneKey(random);
              if (harness.movesClock) {
                await take(each, open, oracles);
              } else if (each.do !== "advance") {
                await take(withoutExpiry(each), open, oracles);
              }
            }
          } finally {
            await empty(open, steps);
          }
        },
      );
      await fc.assert(property, {
        numRuns: harness.overWire !== true ? RUNS : Math.ceil(RUNS / 8),
        ...(SEED !== undefined && { seed: Number(SEED) }),
      });
    });
  });
}

function withoutExpiry(step: Step): Step {
  switch (step.do) {
    case "set":
      return { ...step, writes: step.writes.map((write) => ({ ...write, ttlMs: 0 })) };
    case "commit":
      return { ...step, commits: step.commits.map(lasting) };
    default:
      return step;
  }
}

/** A commit that makes nothing expire. */
function lasting(commit: Commit): Commit {
  const mutations = commit.mutations.map((each): Mutation => {
    if (each.do === "expire") {
      return { key: each.key, do: "persist" };
    }
    return "ttlMs" in each ? { ...each, ttlMs: 0 } : each;
  });
  return { ...commit, mutations };
}

/** The step with one key in each commit and read, for stores that do not keep all keys together. */
function ofOneKey(step: Step): Step {
  if (step.do === "read") {
    return { ...step, keys: step.keys.slice(0, 1) };
  }
  if (step.do !== "commit") {
    return step;
  }
  const commits = step.commits.map((commit) => {
    const [key = ""] = keysOfCommit(commit);
    const at = <Part extends { readonly key: string }>(part: Part): Part => ({ ...part, key });
    return { ...commit, checks: commit.checks.map(at), mutations: commit.mutations.map(at) };
  });
  return { ...step, commits };
}

type Oracles = Readonly<Record<"a" | "ab", Oracle>>;

async function take(
  step: Step,
  { entries, commits, scans, lists, advance }: OpenStore,
  oracles: Oracles,
): Promise<void> {
  if (step.do === "advance") {
    await advance(step.ms);
    for (const oracle of Object.values(oracles)) {
      oracle.nowMs += step.ms;
    }
    return;
  }
  const { namespace } = step;
  const oracle = oracles[namespace];
  switch (step.do) {
    case "set":
      await entries.set(
        namespace,
        step.writes.map((write) => ({ ...write, value: bytes(write.value) })),
        CALL,
      );
      await expectWritten(commits, namespace, step.writes, oracle);
      break;
    case "commit":
      await takeCommits(commits, namespace, step.commits, oracle);
      break;
    case "read": {
      const [answer] = await commits.read(namespace, [step], CALL);
      expect(toldOf(answer)).toEqual(toldOf(readHeld(step, oracle.look, oracle.nowMs)));
      break;
    }
    case "get": {
      const wanted = step.keys.map((key) => oracle.get(key));
      expect(texts(await entries.get(namespace, step.keys, CALL))).toEqual(wanted);
      expect(await entries.exists(namespace, step.keys, CALL)).toEqual(
        wanted.map((value) => value !== undefined),
      );
      break;
    }
    case "delete":
      expect(await entries.delete(namespace, step.keys, CALL)).toEqual(
        step.keys.map((key) => oracle.delete(key)),
      );
      break;
    case "scan": {
      const { prefix, start, end, reverse } = step;
      const range = { prefix, start, end, reverse };
      const pages: Page[] = await scanPages(scans, { ...range, maxEntries: step.maxEntries }, { namespace });
      const wanted = oracle.keys(range);
      expect(pages.flatMap((page) => page.keys)).toEqual(wanted);
      expect(texts(pages.flatMap(({ values }) => [...values]))).toEqual(wanted.map((key) => oracle.get(key)));
      break;
    }
    case "count":
      expect(await scans.count(namespace, step.prefix, CALL)).toBe(
        oracle.keys({ prefix: step.prefix }).length,
      );
      break;
    case "push": {
      const pushes = step.pushes.map((push) => ({ ...push, value: bytes(push.value) }));
      const wanted = step.pushes.map(({ key, end, value }) =>
        end === "left" ? oracle.list(key).unshift(value) : oracle.list(key).push(value),
      );
      expect(await lists.push(namespace, pushes, CALL)).toEqual(wanted);
      break;
    }
    case "pop": {
      const wanted = step.pops.map(({ key, end }) =>
        end === "left" ? oracle.list(key).shift() : oracle.list(key).pop(),
      );
      expect(texts(await lists.pop(namespace, step.pops, CALL))).toEqual(wanted);
      const keys = step.pops.map(({ key }) => key);
      expect(await lists.length(namespace, keys, CALL)).toEqual(keys.map((key) => oracle.list(key).length));
      break;
    }
  }
}

/** Removes what the steps may have left, so that the next sequence starts empty. */
async function empty({ entries, scans, lists }: OpenStore, steps: readonly Step[]): Promise<void> {
  for (const namespace of ["a", "ab"]) {
    const written = steps.flatMap((step) => {
      switch (step.do) {
        case "set":
          return step.writes.map(({ key }) => key);
        case "commit":
          return step.commits.flatMap(keysOfCommit);
        default:
          return [];
      }
    });
    await entries.delete(namespace, written, CALL);
    const pushed = steps.flatMap((step) => (step.do === "push" ? step.pushes : []));
    await lists.pop(namespace, pushed, CALL);
    expect(await scans.count(namespace, "", CALL)).toBe(0);
    expect(
      (
        await lists.length(
          namespace,
          pushed.map(({ key }) => key),
          CALL,
        )
      ).every((length) => length === 0),
    ).toBe(true);
  }
}
