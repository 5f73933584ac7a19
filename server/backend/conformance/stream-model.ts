import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isRefusal, type Refusal } from "../contract.ts";
import { decideStream, refuseExpired } from "../decide-stream.ts";
import {
  type EventAppend,
  type EventsAppended,
  expiredUntilMs,
  type HeldEvent,
  hasTags,
  type StreamConfig,
  type StreamState,
  streamOfAppend,
  type Tags,
} from "../streams.ts";
import { CALL, type Harness, type OpenStore, present } from "./harness.ts";
import {
  append,
  appendTo,
  comparable,
  DAY_MS,
  deleteOne,
  describeOne,
  event,
  inOrderOfTime,
  query,
  read,
} from "./stream-values.ts";

const RUNS = Number(process.env.PRISM_TEST_RUNS ?? 40);
const SEED = process.env.PRISM_TEST_SEED;
const TIMEOUT_MS = 120_000 + RUNS * 1000;

/** Few, so that steps meet. All are in one shard, so that a call takes effect whole. */
const STREAMS = ["{s}", "{s}\0", "{s}t"] as const;
const stream = fc.constantFrom(...STREAMS);
const tags: fc.Arbitrary<Tags> = fc.constantFrom<Tags[]>(
  {},
  {},
  { a: "1" },
  { a: "2" },
  { a: "1", "\0": "" },
);
/** From the clock's time at the first step. "now" = without a time. */
const time = fc.oneof(
  fc.constant("now" as const),
  fc.integer({ min: -30, max: 30 }),
  fc.constantFrom(-DAY_MS * 300, DAY_MS, DAY_MS * 400),
);
const retentionMs = fc.constantFrom(0, 0, 10, 25, 1000);
const events = fc.array(fc.record({ time, payload: fc.constantFrom("", "1", "22"), tags }), {
  minLength: 1,
  maxLength: 6,
});
const few = fc.integer({ min: 1, max: 5 });

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("append" as const),
      appends: fc.array(fc.record({ stream, events, retentionMs, refusesExpired: fc.boolean() }), {
        minLength: 1,
        maxLength: 3,
      }),
      each: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("query" as const),
      stream,
      start: fc.oneof(fc.constant(undefined), time),
      end: fc.oneof(fc.constant(undefined), time),
      tags,
      maxEvents: few,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("read" as const),
      stream,
      offset: fc.integer({ min: 0, max: 20 }),
      min: fc.oneof(fc.constant(undefined), time),
      tags,
      maxEvents: few,
    }),
  },
  fc.record({
    do: fc.constant("create" as const),
    stream,
    retentionMs,
    partitions: fc.constantFrom(0, 0, 1, 2),
  }),
  fc.record({ do: fc.constant("describe" as const), stream }),
  fc.record({ do: fc.constant("delete" as const), stream }),
  fc.record({ do: fc.constant("advance" as const), ms: fc.integer({ min: 1, max: 15 }) }),
);

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;
type Time = typeof time extends fc.Arbitrary<infer T> ? T : never;

interface ModelStream {
  config: StreamConfig;
  readonly events: HeldEvent[];
}

/** The expected content of the store, kept in the simplest way. */
class Oracle {
  readonly startMs: number;
  nowMs: number;
  readonly #streams = new Map<string, ModelStream>();

  constructor(nowMs: number) {
    this.startMs = nowMs;
    this.nowMs = nowMs;
  }

  append({ stream, events, ...rest }: EventAppend): EventsAppended | Refusal {
    const held = this.#streams.get(stream) ?? { config: streamOfAppend(rest), events: [] };
    const added = events.map((each, i) => ({
      ...each,
      timestampMs: each.timestampMs || this.nowMs,
      offset: held.events.length + i,
    }));
    const isExpired = ({ timestampMs }: HeldEvent) => timestampMs <= expiredUntilMs(held.config, this.nowMs);
    const late = added.findIndex(isExpired);
    if (rest.refusesExpired && late >= 0) {
      return refuseExpired(late);
    }
    const offset = held.events.length;
    held.events.push(...added);
    this.#streams.set(stream, held);
    return { offset, nowMs: this.nowMs, expired: added.filter(isExpired).length };
  }

  /** All appends take effect or none does. */
  appendAll(appends: readonly EventAppend[]): (EventsAppended | Refusal)[] {
    const before = Array.from(this.#streams, ([name, { config, events }]): [string, ModelStream] => [
      name,
      { config, events: [...events] },
    ]);
    const answers = appends.map((each) => this.append(each));
    const refusal = answers.find(isRefusal);
    if (refusal === undefined) {
      return answers;
    }
    this.#streams.clear();
    for (const [name, held] of before) {
      this.#streams.set(name, held);
    }
    return answers.map(() => refusal);
  }

  create(stream: string, wanted: StreamConfig): Refusal | undefined {
    const held = this.#streams.get(stream);
    const config = decideStream(held?.config, wanted);
    if (isRefusal(config)) {
      return config;
    }
    this.#streams.set(stream, { config, events: held?.events ?? [] });
    return undefined;
  }

  config(stream: string): StreamConfig | undefined {
    return this.#streams.get(stream)?.config;
  }

  delete(stream: string): boolean {
    return this.#streams.delete(stream);
  }

  /** In the order of offsets. `undefined` = there is no such stream. */
  visible(stream: string): HeldEvent[] | undefined {
    const held = this.#streams.get(stream);
    return held?.events.filter(({ timestampMs }) => timestampMs > expiredUntilMs(held.config, this.nowMs));
  }

  hasExpired(stream: string): boolean {
    return this.visible(stream)?.length !== this.#streams.get(stream)?.events.length;
  }

  describe(stream: string): Omit<StreamState, "createdAtMs" | "firstOffset"> | undefined {
    const held = this.#streams.get(stream);
    const times = this.visible(stream)?.map(({ timestampMs }) => timestampMs) ?? [];
    return (
      held && {
        ...held.config,
        nextOffset: held.events.length,
        firstTimestampMs: times.length === 0 ? undefined : Math.min(...times),
        lastTimestampMs: times.length === 0 ? undefined : Math.max(...times),
      }
    );
  }
}

const NAMESPACE = "a";

/**
 * Makes random steps on the store and on a model of it; both must answer alike. Only with a clock
 * that stands still between the steps. See the model of entries and lists for the variables that
 * repeat a failure.
 */
export function describeStreamModel(harness: Harness, store: () => OpenStore): void {
  if (!harness.movesClock || harness.overWire === true) {
    return;
  }
  describe("model", () => {
    test("random steps: the store answers as the model does", { timeout: TIMEOUT_MS }, async () => {
      const open = store();
      const property = fc.asyncProperty(
        fc.array(step, { minLength: 1, maxLength: 50, size: "max" }),
        async (steps) => {
          const { nowMs } = await appendTo(open.streams, "clock", [event(0)], { namespace: NAMESPACE });
          const oracle = new Oracle(nowMs);
          try {
            for (const each of steps) {
              await take(each, harness, open, oracle);
            }
          } finally {
            await open.streams.deleteStream(NAMESPACE, STREAMS, CALL);
          }
        },
      );
      await fc.assert(property, {
        numRuns: RUNS,
        ...(SEED !== undefined && { seed: Number(SEED) }),
      });
    });
  });
}

async function take(
  step: Step,
  { atomic, streamLimits }: Harness,
  { streams, advance }: OpenStore,
  oracle: Oracle,
): Promise<void> {
  const timeOf = (time: Time) => (time === "now" ? oracle.nowMs : oracle.startMs + time);
  switch (step.do) {
    case "advance":
      await advance(step.ms);
      oracle.nowMs += step.ms;
      break;
    case "append": {
      const appends = step.appends.map(({ stream, events, ...rest }) =>
        append(
          stream,
          events.map(({ time, payload, tags }) => event(time === "now" ? 0 : timeOf(time), payload, tags)),
          rest,
        ),
      );
      const each = step.each || atomic === "key";
      const call = each ? { ...CALL, each: true } : CALL;
      const wanted = each ? appends.map((each) => oracle.append(each)) : oracle.appendAll(appends);
      expect(await streams.appendEvents(NAMESPACE, appends, call)).toEqual(wanted);
      break;
    }
    case "query": {
      const { stream, start, end, tags, maxEvents } = step;
      const visible = oracle.visible(stream);
      if (visible === undefined) {
        expect(await describeOne(streams, stream, NAMESPACE)).toBeUndefined();
        break;
      }
      const startMs = start === undefined ? 0 : timeOf(start);
      const endMs = end === undefined ? Infinity : timeOf(end);
      const wanted = inOrderOfTime(visible).filter(
        (each) => each.timestampMs >= startMs && each.timestampMs < endMs && hasTags(each, tags),
      );
      const found = await query(
        streams,
        stream,
        { startMs, endMs, tags, maxEvents },
        { namespace: NAMESPACE },
      );
      expect(comparable(found)).toEqual(comparable(wanted));
      break;
    }
    case "read": {
      const { stream, offset, min, tags, maxEvents } = step;
      const visible = oracle.visible(stream);
      if (visible === undefined) {
        expect(await describeOne(streams, stream, NAMESPACE)).toBeUndefined();
        break;
      }
      const minTimestampMs = min === undefined ? 0 : timeOf(min);
      const wanted = visible.filter(
        (each) => each.offset >= offset && each.timestampMs >= minTimestampMs && hasTags(each, tags),
      );
      const from = { offset, minTimestampMs, tags, maxEvents };
      expect(comparable(await read(streams, stream, from, NAMESPACE))).toEqual(comparable(wanted));
      break;
    }
    case "create": {
      const { stream } = step;
      const isNew = oracle.config(stream) === undefined;
      const partitions = streamLimits !== undefined && isNew ? Math.min(1, step.partitions) : step.partitions;
      // What has expired may come back or not when it may stay longer.
      const { retentionMs: heldMs = 0 } = oracle.config(stream) ?? {};
      const retentionMs = oracle.hasExpired(stream) ? heldMs : step.retentionMs;
      const wanted = { retentionMs, partitions, replicationFactor: 0 };
      expect(await streams.createStream(NAMESPACE, [{ stream, ...wanted }], CALL)).toEqual([
        oracle.create(stream, wanted),
      ]);
      break;
    }
    case "describe": {
      const { stream } = step;
      const found = await describeOne(streams, stream, NAMESPACE);
      const wanted = oracle.describe(stream);
      expect(found).toEqual(
        wanted && {
          ...wanted,
          createdAtMs: streamLimits === undefined ? expect.any(Number) : undefined,
          firstOffset: expect.any(Number),
        },
      );
      const [first] = oracle.visible(stream) ?? [];
      if (wanted !== undefined) {
        const { firstOffset } = present(found);
        expect(firstOffset).toBeLessThanOrEqual(first?.offset ?? wanted.nextOffset);
        expect(first !== undefined || firstOffset === wanted.nextOffset).toBe(true);
      }
      break;
    }
    case "delete":
      expect(await deleteOne(streams, step.stream, NAMESPACE)).toBe(oracle.delete(step.stream));
      break;
  }
}
