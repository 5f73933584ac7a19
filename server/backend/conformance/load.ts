import { setTimeout as delay } from "node:timers/promises";
import { expect } from "vitest";
import { waitFor } from "../../../tests/helpers/until.ts";
import { asPrismError, type Reason } from "../../errors.ts";
import type { EntryStore, ListStore } from "../contract.ts";
import { answersOf, bytes, CALL, texts } from "./harness.ts";

const LANES = 16;

/** A caller's pause after a failure. */
const PAUSE_MS = 5;

/** Callers that go on calling, whatever happens to the store. */
export interface Load {
  /** The reasons of failed calls so far. */
  readonly reasons: ReadonlySet<Reason>;
  /** Resolves after `by` more writes are acknowledged. */
  grown(by: number): Promise<void>;
  /** Stops the load. Expects that no acknowledged write is lost and none was done twice. */
  verify(): Promise<void>;
}

/** Sets on new keys, and pushes and pops on a few lists. */
export function startLoad({
  entries,
  lists,
}: {
  readonly entries: EntryStore;
  readonly lists: ListStore;
}): Load {
  const acknowledged: string[] = [];
  const popped: (string | undefined)[] = [];
  const reasons = new Set<Reason>();
  let pushes = 0;
  let unknownPops = 0;
  let loading = true;
  const listOf = (lane: number) => `list:${lane % 4}`;

  async function attempt(work: () => Promise<void>): Promise<Reason | undefined> {
    try {
      await work();
      return undefined;
    } catch (error) {
      const { reason } = asPrismError(error);
      reasons.add(reason);
      await delay(PAUSE_MS);
      return reason;
    }
  }

  const lanes = Array.from({ length: LANES }, async (_, lane) => {
    for (let i = 0; loading; i++) {
      const key = `${lane}:${i}`;
      await attempt(async () => {
        await answersOf(entries.set("n", [{ key, value: bytes(key), ttlMs: 0 }], CALL));
        acknowledged.push(key);
      });
      await attempt(async () => {
        await answersOf(lists.push("n", [{ key: listOf(lane), end: "right", value: bytes(key) }], CALL));
        pushes++;
      });
      if (i % 3 !== 0) {
        continue;
      }
      const reason = await attempt(async () => {
        popped.push(...texts(await lists.pop("n", [{ key: listOf(lane), end: "left" }], CALL)));
      });
      if (reason === "outcome_unknown") {
        unknownPops++;
      }
    }
  });

  return {
    reasons,
    async grown(by) {
      const before = acknowledged.length;
      await waitFor(() => expect(acknowledged.length).toBeGreaterThan(before + by));
    },
    async verify() {
      loading = false;
      await Promise.all(lanes);
      for (let i = 0; i < acknowledged.length; i += 500) {
        const keys = acknowledged.slice(i, i + 500);
        expect(texts(await entries.get("n", keys, CALL))).toEqual(keys);
      }
      const left: string[] = [];
      for (let lane = 0; lane < 4; lane++) {
        const key = listOf(lane);
        const [length = 0] = await answersOf(lists.length("n", [key], CALL));
        const pops = Array.from({ length }, () => ({ key, end: "left" as const }));
        left.push(...texts(await lists.pop("n", pops, CALL)).map(String));
      }
      const seen = [...left, ...popped.filter((value) => value !== undefined)];
      expect(new Set(seen).size).toBe(seen.length);
      // A pop in doubt may have removed a value.
      expect(seen.length).toBeGreaterThanOrEqual(pushes - unknownPops);
    },
  };
}
