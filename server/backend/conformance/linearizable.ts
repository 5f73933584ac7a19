import { setImmediate as nextTurn } from "node:timers/promises";
import { expect } from "vitest";
import {
  COUNTERS,
  type CountersInput,
  type CountersOutput,
  ENTRY,
  History,
  isLinearizable,
  type KeyInput,
  type KeyOutput,
  LIST,
  type ListInput,
  type ListOutput,
} from "../../../tests/helpers/linearizable.ts";
import { PrismError } from "../../errors.ts";
import type { Backend } from "../contract.ts";
import { add, change, changeIf, holds, set } from "./commit-steps.ts";
import { answersOf, bytes, CALL, NAMESPACE, present, texts } from "./harness.ts";

/** Small: every key and list has its own history of a few hundred operations. */
const KEYS = 6;
const LISTS = 3;
const PAIRS = 2;
const LANES = 8;

/** Whether a call that failed with this error may have taken effect. */
function isMaybe(error: unknown): boolean {
  return error instanceof PrismError && error.reason === "outcome_unknown";
}

/**
 * Lets several gateways on the same data use the same keys, counters and lists at once, `calls`
 * each. Expects that some single order explains everything they saw. `random` answers numbers from
 * 0 (included) to 1 (excluded). `meanwhile` runs at the same time.
 */
export async function expectLinearizable(
  gateways: readonly Backend[],
  calls: number,
  random: () => number,
  meanwhile: () => Promise<void> = async () => {},
): Promise<void> {
  const entries = Array.from({ length: KEYS }, () => new History<KeyInput, KeyOutput>());
  const lists = Array.from({ length: LISTS }, () => new History<ListInput, ListOutput>());
  const pairs = Array.from({ length: PAIRS }, () => new History<CountersInput, CountersOutput>());
  /** What was written to each key last, for swaps that have a chance. */
  const latest: (string | undefined)[] = [];
  const below = (n: number) => Math.floor(random() * n);
  let value = 0;

  async function onEntry(gateway: Backend): Promise<void> {
    const store = present(gateway.entries);
    const at = below(KEYS);
    const key = `linear:${at}`;
    const note = (input: KeyInput, work: () => Promise<KeyOutput>) =>
      present(entries[at]).note(input, work, isMaybe);
    const written = String(++value);
    switch (below(4)) {
      case 0:
        latest[at] = written;
        return await note({ kind: "set", value: written }, async () => {
          await answersOf(store.set(NAMESPACE, [{ key, value: bytes(written), ttlMs: 0 }], CALL));
          return undefined;
        });
      case 1:
        return await note({ kind: "get" }, async () => texts(await store.get(NAMESPACE, [key], CALL))[0]);
      case 2: {
        const from = latest[at];
        latest[at] = written;
        const check = from === undefined ? ({ key, is: "absent" } as const) : holds(key, from);
        return await note({ kind: "swap", from, to: written }, async () => {
          const commits = [changeIf(check, set(key, written))];
          const [answer] = await answersOf(present(gateway.commits).commit(NAMESPACE, commits, CALL));
          return answer?.committed;
        });
      }
      default:
        latest[at] = undefined;
        return await note(
          { kind: "delete" },
          async () => (await answersOf(store.delete(NAMESPACE, [key], CALL)))[0],
        );
    }
  }

  async function onCounters(gateway: Backend): Promise<void> {
    const store = present(gateway.commits);
    const at = below(PAIRS);
    const pair = present(pairs[at]);
    // A tag keeps them together.
    const [first, second] = [`{linear:${at}}a`, `{linear:${at}}b`] as const;
    if (below(2) === 0) {
      const read = { keys: [first, second], values: true, maxBytes: 1000 };
      const get = async () => {
        const [found] = await answersOf(store.read(NAMESPACE, [read], CALL));
        return texts(present(found).map((entry) => entry?.value ?? bytes("0"))).join();
      };
      return await pair.note({ kind: "get" }, get, isMaybe);
    }
    // So large that each set of increments has a sum of its own.
    const delta = below(1e9);
    const move = change(add(first, BigInt(delta)), add(second, BigInt(-delta)));
    const commit = async () => {
      const [answer] = await answersOf(store.commit(NAMESPACE, [move], CALL));
      return answer?.committed === true ? answer.results.map(({ counter }) => counter).join() : "failed";
    };
    await pair.note({ kind: "add", delta }, commit, isMaybe);
  }

  async function onList(gateway: Backend): Promise<void> {
    const store = present(gateway.lists);
    const at = below(LISTS);
    const key = `linear:${at}`;
    const written = String(++value);
    if (below(2) === 0) {
      const push = async () =>
        (await answersOf(store.push(NAMESPACE, [{ key, end: "right", value: bytes(written) }], CALL)))[0];
      await present(lists[at]).note({ kind: "push", value: written }, push, isMaybe);
    } else {
      const pop = async () => texts(await store.pop(NAMESPACE, [{ key, end: "left" }], CALL))[0];
      await present(lists[at]).note({ kind: "pop" }, pop, isMaybe);
    }
  }

  let busy = true;
  await Promise.all([
    meanwhile().finally(() => {
      busy = false;
    }),
    ...gateways.flatMap((gateway) =>
      Array.from({ length: LANES }, async () => {
        for (let i = 0; busy || i < calls / LANES; i++) {
          const kind = below(7);
          await (kind < 4 ? onEntry : kind < 6 ? onList : onCounters)(gateway);
          // Without this pause a store that is away, or answers at once, would be called without
          // end.
          await nextTurn();
        }
      }),
    ),
  ]);
  for (const { operations } of entries) {
    expect(isLinearizable(operations, ENTRY)).toBe(true);
  }
  for (const { operations } of pairs) {
    expect(isLinearizable(operations, COUNTERS)).toBe(true);
  }
  for (const { operations } of lists) {
    expect(isLinearizable(operations, LIST)).toBe(true);
  }
}
