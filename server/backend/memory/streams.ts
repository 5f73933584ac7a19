import type { Clock } from "../clock.ts";
import { type Call, type Interfaces, isRefusal, type Refusal } from "../contract.ts";
import { decideStream, refuseLate } from "../decide-stream.ts";
import {
  type EventAppend,
  type EventQuery,
  type EventRead,
  expiredUntilMs,
  type StreamConfig,
  streamOfAppend,
} from "../streams.ts";
import type { EventLog } from "./event-log.ts";
import type { Reclaimer } from "./reclaimer.ts";
import type { StreamTable } from "./stream-table.ts";

/** The part of a namespace that streams need. */
interface StreamSpace {
  readonly streams: StreamTable;
  readonly reclaimer: Reclaimer;
}

/** Streams in memory. Every call is answered at once. */
export function createStreams(
  space: (namespace: string) => StreamSpace,
  clock: Clock,
): Pick<Interfaces, "streams" | "streamNames"> {
  /** Makes a method that reads each item of its stream; `undefined` where there is none. */
  const read =
    <Item, Answer>(
      nameOf: (item: Item) => string,
      answer: (log: EventLog, item: Item, nowMs: number) => Answer,
    ) =>
    async (namespace: string, items: readonly Item[]): Promise<readonly (Answer | undefined)[]> => {
      const { streams } = space(namespace);
      const nowMs = clock.now();
      return items.map((item) => {
        const log = streams.get(nameOf(item));
        return log && answer(log, item, nowMs);
      });
    };
  const streamOf = ({ stream }: { readonly stream: string }) => stream;
  return {
    streams: {
      async appendEvents(namespace, appends, call) {
        const { streams, reclaimer } = space(namespace);
        const nowMs = clock.now();
        const refusals = refusalsOf(appends, call, refuseLateIn(streams, nowMs));
        return appends.map((append, i) => {
          const refusal = refusals[i];
          if (refusal !== undefined) {
            return refusal;
          }
          const { appended, dueAtMs } = streams.append(append, nowMs);
          awaitDue(reclaimer, dueAtMs);
          return appended;
        });
      },
      queryEvents: read(streamOf, (log, query: EventQuery, nowMs) => log.query(query, nowMs)),
      readEvents: read(streamOf, (log, events: EventRead, nowMs) => log.read(events, nowMs)),
      async createStream(namespace, creates, call) {
        const { streams, reclaimer } = space(namespace);
        const nowMs = clock.now();
        const configs = new Map<string, StreamConfig>();
        const refusals = refusalsOf(creates, call, ({ stream, ...wanted }) => {
          const config = decideStream(configs.get(stream) ?? streams.get(stream)?.config, wanted);
          if (isRefusal(config)) {
            return config;
          }
          configs.set(stream, config);
          return undefined;
        });
        if (call.each === true || refusals.every((refusal) => refusal === undefined)) {
          for (const [stream, config] of configs) {
            awaitDue(reclaimer, streams.create(stream, config, nowMs));
          }
        }
        return refusals;
      },
      describeStream: read(
        (name: string) => name,
        (log, _, nowMs) => log.describe(nowMs),
      ),
      async deleteStream(namespace, names) {
        const { streams } = space(namespace);
        return names.map((name) => streams.delete(name));
      },
    },
    streamNames: { pageStreams: async (namespace, query) => space(namespace).streams.page(query) },
  };
}

/**
 * What refuses each item. It is asked before the first write, because a batch is written whole or
 * not at all: unless the call has `each`, one refusal is that of every item.
 */
function refusalsOf<Item>(
  items: readonly Item[],
  { each }: Call,
  refuse: (item: Item) => Refusal | undefined,
): readonly (Refusal | undefined)[] {
  const refusals = items.map(refuse);
  const first = refusals.find((refusal) => refusal !== undefined);
  return first === undefined || each === true ? refusals : refusals.map(() => first);
}

/** Refuses appends with an event that is older than the retention, where it is to be refused. */
function refuseLateIn(streams: StreamTable, nowMs: number): (append: EventAppend) => Refusal | undefined {
  /** What holds for streams that this call makes. */
  const made = new Map<string, StreamConfig>();
  return (append) => {
    const { stream, retentionMs } = append;
    const config = streams.get(stream)?.config ?? made.get(stream) ?? streamOfAppend({ retentionMs });
    const refusal = refuseLate(append, expiredUntilMs(config, nowMs), nowMs);
    if (refusal === undefined) {
      made.set(stream, config);
    }
    return refusal;
  };
}

function awaitDue(reclaimer: Reclaimer, dueAtMs: number | undefined): void {
  if (dueAtMs !== undefined) {
    reclaimer.expect(dueAtMs);
  }
}
