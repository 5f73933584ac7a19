import { createSystemClock } from "../../server/backend/clock.ts";
import { answerOf, createCall, type StreamStore } from "../../server/backend/contract.ts";
import { createSqliteBackend, type SqliteBackend } from "../../server/backend/sqlite/backend.ts";
import type { EventAppend, HeldEvent, NewEvent } from "../../server/backend/streams.ts";

/** How many callers append at a time, each to a stream of its own and all to one together. */
export const LANES = 8;

/** The stream that all lanes share. */
export const SHARED = "shared";

const NAMESPACE = "default";
const CALL = createCall();

/** A call that was answered: the lane's `count`-th. */
export interface Appended {
  readonly lane: number;
  readonly count: number;
  /** Where its first event is in {@link SHARED}. */
  readonly sharedOffset: number;
}

/** The payloads of a lane's `count`-th call, which it appends to both streams. */
export function payloadsOf(lane: number, count: number): readonly string[] {
  const filler = String(count % 10).repeat(count % 7 === 0 ? 20_000 : 50);
  return Array.from({ length: 1 + (count % 5) }, (_, i) => `${lane}/${count}/${i}:${filler}`);
}

/** Opens the store of a file. Disposing closes it. */
export async function openStreamStore(
  path: string,
): Promise<SqliteBackend & { readonly streams: StreamStore } & AsyncDisposable> {
  const backend = createSqliteBackend({ type: "sqlite", path }, { clock: createSystemClock() });
  const { streams } = backend;
  if (streams === undefined) {
    throw new Error("the store has no streams");
  }
  await backend.open();
  return { ...backend, streams, [Symbol.asyncDispose]: () => backend.close() };
}

/** All events of a stream, in their order; none if it is not there. */
export async function readStream(streams: StreamStore, stream: string): Promise<readonly HeldEvent[]> {
  const all = { stream, tags: {}, minTimestampMs: 0, maxEvents: 1000, maxBytes: 1_000_000 };
  const events: HeldEvent[] = [];
  for (let offset = 0; ; ) {
    const [answer] = await streams.readEvents(NAMESPACE, [{ ...all, offset }], CALL);
    const page = answer && answerOf(answer);
    if (page === undefined) {
      return events;
    }
    events.push(...page.events);
    if (page.ended) {
      return events;
    }
    offset = page.next;
  }
}

/**
 * Appends on all lanes for as long as the process lives, each going on behind what its stream has.
 * Tells the parent process of each answer.
 */
export async function appendForever(path: string): Promise<never> {
  const { streams } = await openStreamStore(path);
  const ended = Array.from({ length: LANES }, async (_, lane) => {
    for (let count = callsIn(await readStream(streams, String(lane))) + 1; ; count++) {
      const events = payloadsOf(lane, count).map(eventOf);
      const appends = [appendOf(String(lane), events), appendOf(SHARED, events)];
      const [, shared] = await streams.appendEvents(NAMESPACE, appends, CALL);
      if (shared === undefined) {
        throw new Error("an append has no answer");
      }
      await tell({ lane, count, sharedOffset: answerOf(shared).offset });
    }
  });
  return Promise.race(ended);
}

/** How many calls of a lane its stream has; the last one as far as its name tells. */
function callsIn(events: readonly HeldEvent[]): number {
  return Number(textOf(events.at(-1)).split("/")[1] ?? 0);
}

function appendOf(stream: string, events: readonly NewEvent[]): EventAppend {
  return { stream, events, retentionMs: 0, refusesExpired: false };
}

function eventOf(payload: string): NewEvent {
  return { timestampMs: 0, payload: Buffer.from(payload), tags: {} };
}

/** The payload of an event as text. */
export function textOf(event: HeldEvent | undefined): string {
  return Buffer.from(event?.payload ?? []).toString();
}

/** Resolves when the parent's pipe has the message: a later append must not overtake it. */
function tell(appended: Appended): Promise<void> {
  return new Promise((resolve) => process.send?.(appended, () => resolve()));
}
