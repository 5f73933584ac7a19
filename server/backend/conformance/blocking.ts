import { describe, expect, test } from "vitest";
import { waitFor } from "../../../tests/helpers/until.ts";
import { type Backend, createCall } from "../contract.ts";
import { eraseAll } from "../erase-all.ts";
import type { ListEnd } from "../lists.ts";
import { answersOf, bytes, CALL, NAMESPACE, present, texts } from "./harness.ts";
import { seeded } from "./seeded.ts";

/** Gateways that are open on one store, which is empty. */
export interface Gateways extends AsyncDisposable {
  /** At least one. Each is made by `createBackend`. */
  readonly backends: readonly Backend[];
}

/** Far longer than any test takes. */
const LONG_MS = 120_000;

/** Pops a value that is text; `undefined` = none came in time. */
export async function blockingPop(
  backend: Backend,
  key: string,
  end: ListEnd = "left",
  { waitMs = LONG_MS, signal }: { readonly waitMs?: number; readonly signal?: AbortSignal } = {},
): Promise<string | undefined> {
  const wait = { key, end, waitMs };
  const value = await present(backend.listBlocking).blockingPop(NAMESPACE, wait, createCall(signal));
  return value && Buffer.from(value).toString();
}

/** Adds values at the right end, in one call. */
export async function pushTexts(backend: Backend, key: string, values: readonly string[]): Promise<void> {
  const pushes = values.map((value) => ({ key, end: "right" as const, value: bytes(value) }));
  await answersOf(present(backend.lists).push(NAMESPACE, pushes, CALL));
}

async function lengthOf(backend: Backend, key: string): Promise<number | undefined> {
  const [length] = await answersOf(present(backend.lists).length(NAMESPACE, [key], CALL));
  return length;
}

/**
 * Pops that wait, on one store behind one gateway or several: who gets a value, and that none is
 * lost.
 */
export function describeBlocking(name: string, open: () => Promise<Gateways>): void {
  describe(`${name}: pops that wait`, () => {
    async function useGateways(run: (first: Backend, last: Backend) => Promise<void>): Promise<void> {
      await using gateways = await open();
      const { backends } = gateways;
      await run(present(backends[0]), present(backends.at(-1)));
    }

    test("who waits is not disturbed when the namespace is erased, and gets the next value", () =>
      useGateways(async (first, last) => {
        await pushTexts(last, "other", ["1", "2"]);
        const waits = blockingPop(first, "a");
        await eraseAll(present(last.erase), NAMESPACE, CALL);
        expect(await lengthOf(first, "other")).toBe(0);
        await pushTexts(last, "a", ["3"]);
        expect(await waits).toBe("3");
      }));

    test("a list that has values answers at once, and an empty one when the time is over", () =>
      useGateways(async (first, last) => {
        await pushTexts(last, "a", ["1", "2", "3"]);
        expect(await blockingPop(first, "a")).toBe("1");
        expect(await blockingPop(first, "a", "right")).toBe("3");
        expect(await blockingPop(first, "a", "left", { waitMs: 1 })).toBe("2");
        expect(await blockingPop(first, "a", "left", { waitMs: 1 })).toBeUndefined();
        expect(await blockingPop(first, "a", "right", { waitMs: 30 })).toBeUndefined();
      }));

    test("the longest waiting gets the value, whichever gateway pushes it", () =>
      useGateways(async (first, last) => {
        const waits = (["left", "right", "left", "left"] as const).map((end) => blockingPop(first, "a", end));
        const other = blockingPop(first, "b");
        await pushTexts(last, "a", ["1", "2"]);
        expect(await Promise.all(waits.slice(0, 2))).toEqual(["1", "2"]);
        await pushTexts(last, "a", ["3"]);
        expect(await waits[2]).toBe("3");
        await pushTexts(first, "a", ["4", "5"]);
        expect(await waits[3]).toBe("4");
        await pushTexts(last, "b", ["6"]);
        expect(await other).toBe("6");
        expect(await lengthOf(first, "a")).toBe(1);
      }));

    test("a value that moves to a list wakes up who waits there", () =>
      useGateways(async (first, last) => {
        await pushTexts(last, "{a}from", ["1"]);
        const waits = blockingPop(first, "{a}to");
        const moves = [{ key: "{a}from", end: "left", to: "{a}to", toEnd: "right" } as const];
        await answersOf(present(last.listMoves).move(NAMESPACE, moves, CALL));
        expect(await waits).toBe("1");
      }));

    test("a caller who leaves takes nothing, and its place is the next one's", () =>
      useGateways(async (first, last) => {
        const leaving = new AbortController();
        const left = blockingPop(first, "a", "left", { signal: leaving.signal });
        const stays = blockingPop(first, "a");
        leaving.abort();
        await expect(left).rejects.toMatchObject({ reason: "canceled" });
        await pushTexts(last, "a", ["1"]);
        expect(await stays).toBe("1");
      }));

    test("values come out once, whoever waits, leaves and pushes", () =>
      useGateways(async (first, last) => {
        const { random, seed } = seeded();
        const popped: (string | undefined)[] = [];
        const pushed: string[] = [];
        const popper = async (backend: Backend) => {
          for (let i = 0; i < 40; i++) {
            const leaving = new AbortController();
            const pop = blockingPop(backend, "a", random() < 0.5 ? "left" : "right", {
              signal: leaving.signal,
            });
            setTimeout(() => leaving.abort(), random() * 20);
            // It left.
            popped.push(await pop.catch(() => undefined));
          }
        };
        const pusher = async (backend: Backend, id: number) => {
          for (let i = 0; i < 40; i++) {
            pushed.push(`${id}:${i}`);
            await pushTexts(backend, "a", [`${id}:${i}`]);
          }
        };
        await Promise.all(
          [first, last, first, last].flatMap((backend, id) => [popper(backend), pusher(backend, id)]),
        );
        // A value on its way back arrives without a message.
        await waitFor(async () => {
          const rest = await answersOf(
            present(first.lists).pop(
              NAMESPACE,
              pushed.map(() => ({ key: "a", end: "left" as const })),
              CALL,
            ),
          );
          popped.push(...texts(rest));
          const found = popped.filter((value) => value !== undefined).sort();
          expect([seed, ...found]).toEqual([seed, ...[...pushed].sort()]);
        });
      }));

    test("closing ends those who wait", () =>
      useGateways(async (first) => {
        const waits = [blockingPop(first, "a"), blockingPop(first, "b", "right")].map((wait) =>
          expect(wait).rejects.toMatchObject({ reason: "shutting_down" }),
        );
        await first.close();
        await Promise.all(waits);
        await expect(blockingPop(first, "a")).rejects.toMatchObject({ reason: "store_unavailable" });
        await first.open();
      }));
  });
}
