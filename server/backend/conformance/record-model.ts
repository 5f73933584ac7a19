import fc from "fast-check";
import { expect, test } from "vitest";
import { answerOf } from "../contract.ts";
import { answersOf, bytes, CALL, type Harness, type OpenStore } from "./harness.ts";
import { deleteAll, get, item, latin1, only, read } from "./record-values.ts";

const RUNS = Number(process.env.PRISM_TEST_RUNS ?? 40);
const SEED = process.env.PRISM_TEST_SEED;
const TIMEOUT_MS = 120_000 + RUNS * 1000;

/** Few, so that steps meet. */
const key = fc.constantFrom("\0", "a", "a\0", "b", "\x7f", "\x80", "\xff", "\xff\0");
const keys = fc.array(key, { minLength: 1, maxLength: 4 });
const id = fc.constantFrom("r", "r\0");
const bound = fc.option(key, { nil: undefined });
const value = fc.constantFrom("", "1", "2");
const items = fc.array(fc.record({ key, value, ttlMs: fc.constantFrom(0, 0, 1, 10, 25) }), {
  minLength: 1,
  maxLength: 4,
});

const step = fc.oneof(
  fc.record({
    do: fc.constant("put" as const),
    puts: fc.array(fc.record({ id, items }), { minLength: 1, maxLength: 3 }),
  }),
  fc.record({ do: fc.constant("get" as const), id, keys }),
  fc
    .record({
      do: fc.constant("read" as const),
      id,
      start: bound,
      end: bound,
      maxItems: fc.integer({ min: 1, max: 4 }),
    })
    .filter(({ start, end }) => start === undefined || end === undefined || start <= end),
  fc.record({ do: fc.constant("delete" as const), id, keys: fc.option(keys, { nil: undefined }) }),
  fc.record({
    do: fc.constant("swap" as const),
    id,
    key,
    expected: fc.option(value, { nil: undefined }),
    value,
  }),
  fc.record({ do: fc.constant("advance" as const), ms: fc.integer({ min: 1, max: 15 }) }),
);

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

interface ModelItem {
  readonly value: string;
  readonly ttlMs: number;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

/** The expected content of the store, kept in the simplest way. Its clock begins at 0. */
class Oracle {
  nowMs = 0;
  /** Id and key, in JSON, -> item. */
  readonly #items = new Map<string, ModelItem>();

  get(id: string, key: string): ModelItem | undefined {
    const found = this.#items.get(JSON.stringify([id, key]));
    return found !== undefined && (found.ttlMs === 0 || this.nowMs < found.updatedAtMs + found.ttlMs)
      ? found
      : undefined;
  }

  put(id: string, key: string, value: string, ttlMs: number): void {
    const { createdAtMs = this.nowMs } = this.get(id, key) ?? {};
    const { nowMs: updatedAtMs } = this;
    this.#items.set(JSON.stringify([id, key]), { value, ttlMs, createdAtMs, updatedAtMs });
  }

  delete(id: string, key: string): number {
    const was = this.get(id, key);
    this.#items.delete(JSON.stringify([id, key]));
    return was === undefined ? 0 : 1;
  }

  /** The keys of a record, in order. */
  keys(id: string): string[] {
    const keys = [...this.#items.keys()].map((name) => JSON.parse(name) as [string, string]);
    return keys
      .filter(([of, key]) => of === id && this.get(id, key) !== undefined)
      .map(([, key]) => key)
      .sort((a, b) => Buffer.compare(Buffer.from(a, "latin1"), Buffer.from(b, "latin1")));
  }
}

const NAMESPACE = "a";
const binary = (text: string) => Buffer.from(text, "latin1");

/**
 * Makes random steps on the store and on a model of it; both must answer alike. See the model of
 * entries and lists for the variables that repeat a failure.
 */
export function describeRecordModel(harness: Harness, store: () => OpenStore): void {
  test("random steps: the store answers as the model does", { timeout: TIMEOUT_MS }, async () => {
    const open = store();
    const property = fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 60, size: "max" }),
      async (steps) => {
        const oracle = new Oracle();
        try {
          for (const each of steps) {
            await take(each, open, oracle, harness);
          }
        } finally {
          await deleteAll(open.records, "r", { namespace: NAMESPACE });
          await deleteAll(open.records, "r\0", { namespace: NAMESPACE });
        }
      },
    );
    await fc.assert(property, {
      numRuns: harness.overWire !== true ? RUNS : Math.ceil(RUNS / 8),
      ...(SEED !== undefined && { seed: Number(SEED) }),
    });
  });
}

async function take(
  step: Step,
  { records, advance }: OpenStore,
  oracle: Oracle,
  { movesClock }: Harness,
): Promise<void> {
  switch (step.do) {
    case "advance":
      if (movesClock) {
        await advance(step.ms);
        oracle.nowMs += step.ms;
      }
      break;
    case "put": {
      const puts = step.puts.map(({ id, items }) => ({
        id,
        items: items.map(({ key, value, ttlMs }) =>
          item(binary(key), value, { ttlMs: movesClock ? ttlMs : 0 }),
        ),
      }));
      await answersOf(records.putItems(NAMESPACE, puts, CALL));
      for (const { id, items } of step.puts) {
        for (const { key, value, ttlMs } of items) {
          oracle.put(id, key, value, movesClock ? ttlMs : 0);
        }
      }
      break;
    }
    case "get": {
      const found = await get(records, step.id, step.keys.map(binary), NAMESPACE);
      const wanted = step.keys.map((key) => oracle.get(step.id, key)?.value);
      expect(found.map((held) => held && latin1(held.value))).toEqual(wanted);
      break;
    }
    case "read": {
      const { id, start, end, maxItems } = step;
      const range = { start: start && binary(start), end: end && binary(end), maxItems };
      // Only a scan of a plugin goes on from a page.
      const isWhole = start === undefined && end === undefined;
      const found = await read(records, id, isWhole ? range : { ...range, maxItems: 100 }, NAMESPACE);
      const wanted = oracle
        .keys(id)
        .filter((key) => (start === undefined || key >= start) && (end === undefined || key < end));
      expect(found.map(({ key }) => latin1(key))).toEqual(wanted);
      for (const [i, { value, ttlMs, createdAtMs, updatedAtMs }] of found.entries()) {
        const held = oracle.get(id, wanted[i] ?? "");
        expect([latin1(value), ttlMs]).toEqual([held?.value, held?.ttlMs]);
        if (movesClock) {
          const ageMs = (held?.updatedAtMs ?? 0) - (held?.createdAtMs ?? 0);
          expect(updatedAtMs - createdAtMs).toBe(ageMs);
        }
      }
      break;
    }
    case "delete": {
      const { id, keys } = step;
      const wanted = (keys ?? oracle.keys(id)).reduce((sum, key) => sum + oracle.delete(id, key), 0);
      if (keys === undefined) {
        expect(await deleteAll(records, id, { maxItems: 3, namespace: NAMESPACE })).toBe(wanted);
      } else {
        const deletes = [{ id, keys: keys.map(binary), maxItems: 9 }];
        const { deleted } = answerOf(only(await records.deleteItems(NAMESPACE, deletes, CALL)));
        expect(deleted).toBe(wanted);
      }
      break;
    }
    case "swap": {
      const { id, key, expected, value } = step;
      const swap = { id, key: binary(key), expected: expected === undefined ? undefined : bytes(expected) };
      const answer = answerOf(
        only(await records.swapItem(NAMESPACE, [{ ...swap, value: bytes(value) }], CALL)),
      );
      const held = oracle.get(id, key);
      const actual = answer.swapped || answer.actual === undefined ? undefined : latin1(answer.actual);
      expect([answer.swapped, actual]).toEqual(
        held?.value === expected ? [true, undefined] : [false, held?.value],
      );
      if (answer.swapped) {
        oracle.put(id, key, value, held?.ttlMs ?? 0);
      }
      break;
    }
  }
}
