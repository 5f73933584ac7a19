import fc from "fast-check";
import { expect, test } from "vitest";
import type { Page, ScanRange } from "../contract.ts";
import { bytes, CALL, describeFor, type Harness, type OpenStore, texts, useOpenStore } from "./harness.ts";
import { keysIn, scanPages } from "./scan.ts";

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

const step = fc.oneof(
  fc.record({
    do: fc.constant("set" as const),
    namespace,
    writes: fc.array(fc.record({ key, value, ttlMs }), { minLength: 1, maxLength: 4 }),
  }),
  fc.record({ do: fc.constant("get" as const), namespace, keys }),
  fc.record({ do: fc.constant("delete" as const), namespace, keys }),
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

/** The expected content of the store, kept in the simplest way. */
class Oracle {
  nowMs = 0;
  readonly #entries = new Map<string, { value: string; expiresAtMs: number }>();
  readonly #lists = new Map<string, string[]>();

  set(key: string, value: string, ttlMs: number): void {
    this.#entries.set(key, { value, expiresAtMs: ttlMs === 0 ? Infinity : this.nowMs + ttlMs });
  }

  get(key: string): string | undefined {
    const entry = this.#entries.get(key);
    return entry !== undefined && this.nowMs < entry.expiresAtMs ? entry.value : undefined;
  }

  delete(key: string): boolean {
    const held = this.get(key) !== undefined;
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

/**
 * Makes random steps on the store and on a model of it; both must answer alike. A failure prints
 * its seed and the shortest steps that show it. `PRISM_TEST_SEED` repeats a seed. `PRISM_TEST_RUNS`
 * sets the number of sequences; behind a wire, where each step is many calls, an eighth of it runs.
 */
export function describeModel(harness: Harness): void {
  describeFor(harness, ["entries", "scans", "lists"], "model", () => {
    const store = useOpenStore(harness);

    test("random steps: the store answers as the model does", { timeout: TIMEOUT_MS }, async () => {
      const open = store();
      const property = fc.asyncProperty(
        fc.array(step, { minLength: 1, maxLength: 60, size: "max" }),
        async (steps) => {
          const oracles = { a: new Oracle(), ab: new Oracle() };
          try {
            for (const each of steps) {
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
        numRuns: harness.atomic !== "key" ? RUNS : Math.ceil(RUNS / 8),
        ...(SEED !== undefined && { seed: Number(SEED) }),
      });
    });
  });
}

function withoutExpiry(step: Step): Step {
  return step.do === "set" ? { ...step, writes: step.writes.map((write) => ({ ...write, ttlMs: 0 })) } : step;
}

type Oracles = Readonly<Record<"a" | "ab", Oracle>>;

async function take(
  step: Step,
  { entries, scans, lists, advance }: OpenStore,
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
      for (const { key, value, ttlMs } of step.writes) {
        oracle.set(key, value, ttlMs);
      }
      break;
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
    const written = steps.flatMap((step) => (step.do === "set" ? step.writes.map(({ key }) => key) : []));
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
