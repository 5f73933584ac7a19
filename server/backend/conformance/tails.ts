import { describe, expect, test } from "vitest";
import { waitFor } from "../../../tests/helpers/until.ts";
import { type Backend, createCall } from "../contract.ts";
import { eraseAll } from "../erase-all.ts";
import type { EventWait, HeldEvent, OffsetPage, Tags } from "../streams.ts";
import type { Gateways } from "./blocking.ts";
import { answersOf, bytes, CALL, NAMESPACE, present } from "./harness.ts";
import { seeded } from "./seeded.ts";

/** What a wait asks for besides the stream. Absent = from the first event on, all, for ever. */
export type Wanted = Partial<EventWait> & { readonly signal?: AbortSignal };

/** Waits for events of a stream. */
export function waitEvents(
  backend: Backend,
  stream: string,
  { signal, ...wanted }: Wanted = {},
): Promise<OffsetPage | undefined> {
  const all = { offset: 0, tags: {}, minTimestampMs: 0, maxEvents: 1024, maxBytes: 1024 * 1024, waitMs: 0 };
  const wait = { ...all, ...wanted, stream };
  return present(backend.streamTails).waitEvents(NAMESPACE, wait, createCall(signal));
}

/** Appends events whose payloads are text, in one call. They happen now, or at `timestampMs`. */
export async function appendTexts(
  backend: Backend,
  stream: string,
  payloads: readonly string[],
  { tags = {}, timestampMs = 0 }: { readonly tags?: Tags; readonly timestampMs?: number } = {},
): Promise<void> {
  const events = payloads.map((payload) => ({ timestampMs, payload: bytes(payload), tags }));
  const append = { stream, events, retentionMs: 0, refusesExpired: false };
  await answersOf(present(backend.streams).appendEvents(NAMESPACE, [append], CALL));
}

/** The payloads of a page. `undefined` = there is no such stream. */
export function payloadsOf(page: OffsetPage | undefined): readonly string[] | undefined {
  return page?.events.map(({ payload }) => Buffer.from(payload).toString());
}

/** Every event of a stream, as the store itself reads it. */
async function allOf(backend: Backend, stream: string): Promise<readonly HeldEvent[]> {
  const events: HeldEvent[] = [];
  const wanted = { stream, tags: {}, minTimestampMs: 0, maxEvents: 1024, maxBytes: 1024 * 1024 };
  for (let offset = 0; ; ) {
    const reads = [{ ...wanted, offset }];
    const [page] = await answersOf(present(backend.streams).readEvents(NAMESPACE, reads, CALL));
    const { events: found, next, ended } = present(page);
    events.push(...found);
    if (ended) {
      return events;
    }
    offset = next;
  }
}

async function remove(backend: Backend, stream: string): Promise<void> {
  await answersOf(present(backend.streams).deleteStream(NAMESPACE, [stream], CALL));
}

/** Resolves when a read that began before has found that nothing is there yet. */
async function untilEnd(backend: Backend, stream: string, offset: number): Promise<void> {
  expect(await waitEvents(backend, stream, { offset, waitMs: 1 })).toMatchObject({
    events: [],
    next: offset,
  });
}

/**
 * Reads of streams that wait, on one store behind one gateway or several: that each event comes
 * once and in order, and that nobody waits for what cannot come.
 */
export function describeTails(name: string, open: () => Promise<Gateways>): void {
  describe(`${name}: reads that wait for events`, () => {
    async function useGateways(run: (first: Backend, last: Backend) => Promise<void>): Promise<void> {
      await using gateways = await open();
      const { backends } = gateways;
      await run(present(backends[0]), present(backends.at(-1)));
    }

    test("events that are there come at once, from every offset on", () =>
      useGateways(async (first, last) => {
        await appendTexts(last, "a", ["0", "1", "2"]);
        expect(payloadsOf(await waitEvents(first, "a"))).toEqual(["0", "1", "2"]);
        const page = await waitEvents(first, "a", { offset: 1 });
        expect(page?.events.map(({ offset }) => offset)).toEqual([1, 2]);
        expect(page).toMatchObject({ next: 3, ended: true });
      }));

    test("who waits at the end gets what comes, whichever gateway appends it", () =>
      useGateways(async (first, last) => {
        await appendTexts(last, "a", ["0", "1"]);
        const waits = [2, 2, Infinity].map((offset) => waitEvents(first, "a", { offset }));
        await untilEnd(first, "a", 2);
        const end = await waitEvents(first, "a", { offset: Infinity, waitMs: 1 });
        expect(end).toEqual({ events: [], next: 2, ended: true });
        await appendTexts(last, "b", ["other"]);
        await appendTexts(last, "a", ["2", "3"]);
        for (const page of await Promise.all(waits)) {
          expect(payloadsOf(page)).toEqual(["2", "3"]);
        }
        const next = waitEvents(first, "a", { offset: 4 });
        await appendTexts(first, "a", ["4"]);
        expect(payloadsOf(await next)).toEqual(["4"]);
      }));

    test("bounds end a page, and the next one goes on there", () =>
      useGateways(async (first, last) => {
        await appendTexts(last, "a", ["0", "1", "2", "3", "4"]);
        const two = await waitEvents(first, "a", { maxEvents: 2 });
        expect([payloadsOf(two), two?.next]).toEqual([["0", "1"], 2]);
        const one = await waitEvents(first, "a", { offset: 2, maxBytes: 1 });
        expect([payloadsOf(one), one?.next]).toEqual([["2"], 3]);
        expect(payloadsOf(await waitEvents(first, "a", { offset: 3 }))).toEqual(["3", "4"]);
      }));

    test("a reader gets only events with its tags and of its time, and goes on behind the others", () =>
      useGateways(async (first, last) => {
        const nowMs = Date.now();
        await appendTexts(last, "a", ["0"], { tags: { kind: "x", from: "1" } });
        await appendTexts(last, "a", ["1"], { tags: { kind: "y" } });
        await appendTexts(last, "a", ["2"], { tags: { kind: "x" }, timestampMs: nowMs - 60_000 });
        const x = await waitEvents(first, "a", { tags: { kind: "x" } });
        expect([payloadsOf(x), x?.next]).toEqual([["0", "2"], 3]);
        const late = await waitEvents(first, "a", { tags: { kind: "x" }, minTimestampMs: nowMs - 1000 });
        expect([payloadsOf(late), late?.next]).toEqual([["0"], 3]);
        const none = await waitEvents(first, "a", { tags: { kind: "z" } });
        expect(none).toMatchObject({ events: [], next: 3 });
      }));

    test("a stream that is not there is told at once, and one that is deleted to all who wait", () =>
      useGateways(async (first, last) => {
        expect(await waitEvents(first, "none")).toBeUndefined();
        expect(await waitEvents(first, "none", { offset: Infinity })).toBeUndefined();
        await appendTexts(last, "a", ["0", "1"]);
        const waits = [2, 2, Infinity].map((offset) => waitEvents(first, "a", { offset }));
        await untilEnd(first, "a", 2);
        await remove(last, "a");
        expect(await Promise.all(waits)).toEqual([undefined, undefined, undefined]);
      }));

    test("who waits at a place that a stream made again has not is told so", () =>
      useGateways(async (first, last) => {
        await appendTexts(last, "a", ["0", "1", "2"]);
        const wait = waitEvents(first, "a", { offset: 3 });
        await untilEnd(first, "a", 3);
        await remove(last, "a");
        await appendTexts(last, "a", ["new"]);
        expect(await wait).toBeUndefined();
        expect(await waitEvents(first, "a", { offset: 3 })).toBeUndefined();
        expect(payloadsOf(await waitEvents(first, "a"))).toEqual(["new"]);
      }));

    test("who waits in an erased namespace is told that the stream is gone", () =>
      useGateways(async (first) => {
        await appendTexts(first, "a", ["0"]);
        const wait = waitEvents(first, "a", { offset: 1 });
        await untilEnd(first, "a", 1);
        await eraseAll(present(first.erase), NAMESPACE, CALL);
        expect(await wait).toBeUndefined();
      }));

    test("a caller who leaves does not disturb the others", () =>
      useGateways(async (first, last) => {
        await appendTexts(last, "a", ["0"]);
        const leaving = new AbortController();
        const left = waitEvents(first, "a", { offset: 1, signal: leaving.signal });
        const stays = waitEvents(first, "a", { offset: 1 });
        leaving.abort();
        await expect(left).rejects.toMatchObject({ reason: "canceled" });
        await appendTexts(last, "a", ["1"]);
        expect(payloadsOf(await stays)).toEqual(["1"]);
      }));

    test("each reader gets each event once and in order, whoever appends, reads slowly and leaves", () =>
      useGateways(async (first, last) => {
        const { random, seed } = seeded();
        const appends = 30;
        await appendTexts(first, "a", ["start"]);
        const writer = async (backend: Backend, id: number) => {
          for (let i = 0; i < appends; i++) {
            const payloads = Array.from(
              { length: 1 + Math.floor(random() * 4) },
              (_, n) => `${id}:${i}:${n}`,
            );
            await appendTexts(backend, "a", payloads, { tags: { by: String(id) } });
          }
        };
        const isOver = new AbortController();
        const readers = Array.from({ length: 12 }, (_, id) => ({
          backend: id % 2 === 0 ? first : last,
          tags: (id % 3 === 0 ? {} : { by: String(id % 2) }) as Tags,
          seen: [] as number[],
          offset: 0,
        }));
        const read = async (reader: (typeof readers)[number]) => {
          while (!isOver.signal.aborted) {
            const leaving = new AbortController();
            if (random() < 0.3) {
              setTimeout(() => leaving.abort(), random() * 5);
            }
            const page = await waitEvents(reader.backend, "a", {
              offset: reader.offset,
              tags: reader.tags,
              maxEvents: 1 + Math.floor(random() * 5),
              signal: AbortSignal.any([leaving.signal, isOver.signal]),
            }).catch((error: unknown) => {
              expect(error).toMatchObject({ reason: "canceled" });
              return undefined;
            });
            reader.seen.push(...(page?.events.map(({ offset }) => offset) ?? []));
            reader.offset = page?.next ?? reader.offset;
          }
        };
        const reading = Promise.all(readers.map(read));
        await Promise.all([first, last].map(writer));
        const events = await allOf(last, "a");
        expect(events.map(({ offset }) => offset)).toEqual(events.map((_, i) => i));
        await waitFor(() => {
          expect(readers.map(({ offset }) => offset)).toEqual(readers.map(() => events.length));
        }).finally(() => isOver.abort());
        await reading;
        for (const { seen, tags } of readers) {
          const wanted = events.filter((event) => tags.by === undefined || event.tags.by === tags.by);
          expect([seed, ...seen]).toEqual([seed, ...wanted.map(({ offset }) => offset)]);
        }
      }));

    test("closing ends those who wait", () =>
      useGateways(async (first) => {
        await appendTexts(first, "a", ["0"]);
        const waits = [1, Infinity].map((offset) =>
          expect(waitEvents(first, "a", { offset })).rejects.toMatchObject({ reason: "shutting_down" }),
        );
        await first.close();
        await Promise.all(waits);
        await expect(waitEvents(first, "a")).rejects.toMatchObject({ reason: "store_unavailable" });
        await first.open();
      }));
  });
}
