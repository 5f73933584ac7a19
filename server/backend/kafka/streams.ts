import { abortError, asPrismError, PrismError } from "../../errors.ts";
import type { Clock } from "../clock.ts";
import { type Answers, type Call, isRefusal, type Refusal, type StreamStore } from "../contract.ts";
import { refuseExpired } from "../decide-stream.ts";
import { storeError } from "../store-errors.ts";
import { type EventAppend, type EventsAppended, expiredUntilMs } from "../streams.ts";
import { isTopic } from "./cluster.ts";
import type { EventReader } from "./event-reader.ts";
import { StaleTopicError, untilAborted } from "./fetcher.ts";
import type { IndexKeeper } from "./index-keeper.ts";
import { refusalFor, wholeOrEach } from "./item-answers.ts";
import { refuseLongName, topicOf } from "./names.ts";
import type { Producer, Retimed, TopicAppended } from "./producer.ts";
import type { StreamAdmin } from "./streams-admin.ts";
import type { StreamTopic, StreamTopics } from "./topics.ts";

/** So often a topic may turn out to be another one than what was known of it. */
const MAX_ROUNDS = 5;

/** The pause before it is asked for again; each is twice as long as the one before. */
const FIRST_PAUSE_MS = 10;

/** What the calls on streams work with. */
export interface StreamParts {
  readonly topics: StreamTopics;
  readonly admin: Pick<StreamAdmin, "createStream" | "deleteStream">;
  readonly producer: Producer;
  readonly reader: EventReader;
  readonly indexes: IndexKeeper;
  /** The start of every topic's name. */
  readonly prefix: string;
  readonly clock: Clock;
}

/** What is appended to one topic, for all items that append to its stream. */
interface Batch {
  readonly name: string;
  readonly appends: EventAppend[];
  /** The place of each among the items of the call. */
  readonly places: number[];
  /** The number of events. */
  events: number;
  topic: StreamTopic | undefined;
}

/**
 * What became of a batch: the offset of its first event, maybe with the times, or why it failed.
 */
type Result = number | Retimed | Refusal | PrismError;

/** Streams in Kafka, each in a topic of its own. */
export function createStreams(parts: StreamParts): StreamStore {
  const { topics, admin, reader, prefix, clock } = parts;

  /** Reads of each item's topic; `undefined` where there is none. */
  async function readEach<Item, Answer>(
    namespace: string,
    items: readonly Item[],
    streamOf: (item: Item) => string,
    read: (topic: StreamTopic, item: Item) => Promise<Answer>,
    call: Call,
  ): Promise<Answers<Answer | undefined>> {
    const answers = await Promise.all(
      items.map((item) => {
        const name = topicOf(prefix, namespace, streamOf(item));
        return name === undefined ? undefined : withTopic(topics, name, (topic) => read(topic, item), call);
      }),
    );
    return answers.map((answer) => refusalFor(answer));
  }

  return {
    createStream: admin.createStream,
    deleteStream: admin.deleteStream,
    appendEvents: (namespace, appends, call) => appendEvents(parts, namespace, appends, call),
    queryEvents: (namespace, queries, call) =>
      readEach(
        namespace,
        queries,
        ({ stream }) => stream,
        (topic, query) => reader.query(topic, topic.retentionMs, query, clock.now(), call),
        call,
      ),
    readEvents: (namespace, reads, call) =>
      readEach(
        namespace,
        reads,
        ({ stream }) => stream,
        (topic, read) => reader.read(topic, topic.retentionMs, read, clock.now(), call),
        call,
      ),
    describeStream: (namespace, streams, call) =>
      readEach(
        namespace,
        streams,
        (stream) => stream,
        async (topic) => ({
          ...(await reader.bounds(topic, topic.retentionMs, clock.now(), call)),
          retentionMs: topic.retentionMs,
          partitions: topic.partitions,
          replicationFactor: topic.replicas,
          createdAtMs: undefined,
        }),
        call,
      ),
  };
}

/**
 * Uses a topic. Asks for it again when it is not as it was known. Answers the error of a use that
 * failed; `undefined` = there is no such topic. Throws if no broker can be asked.
 */
async function withTopic<Answer>(
  topics: StreamTopics,
  name: string,
  use: (topic: StreamTopic) => Promise<Answer>,
  call: Call,
): Promise<Answer | PrismError | undefined> {
  for (let round = 1, pauseMs = FIRST_PAUSE_MS; ; round++, pauseMs *= 2) {
    const [topic] = await untilAborted(topics.find([name]), call);
    if (!isTopic(topic)) {
      return topic;
    }
    try {
      return await use(topic);
    } catch (error) {
      if (!(error instanceof StaleTopicError) || round === MAX_ROUNDS) {
        return asPrismError(error);
      }
    }
    topics.forget(name);
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    if (call.aborted) {
      throw abortError(call.signal);
    }
  }
}

async function appendEvents(
  { topics, producer, indexes, prefix, clock }: StreamParts,
  namespace: string,
  appends: readonly EventAppend[],
  call: Call,
): Promise<Answers<EventsAppended>> {
  const each = call.each === true;
  const nowMs = clock.now();
  const names = appends.map(({ stream }) => topicOf(prefix, namespace, stream));
  const distinct = [...new Set(names)].filter((name) => name !== undefined);
  const found = await untilAborted(topics.find(distinct), call);
  const held = new Map(distinct.map((name, i) => [name, found[i]]));
  /** Of the streams that this call makes. */
  const retentions = new Map<string, number>();
  const refusals = appends.map((append, i) => {
    const name = names[i];
    if (name === undefined) {
      return refuseLongName();
    }
    const topic = held.get(name);
    if (topic instanceof PrismError) {
      return refusalFor<Refusal>(topic);
    }
    const retentionMs = topic?.retentionMs ?? retentions.get(name) ?? append.retentionMs;
    const refusal = append.refusesExpired ? refuseLate(append, retentionMs, nowMs) : undefined;
    if (refusal === undefined) {
      retentions.set(name, retentionMs);
    }
    return refusal;
  });
  const first = refusals.find((refusal) => refusal !== undefined);
  if (first !== undefined && !each) {
    return appends.map(() => first);
  }
  const batches = new Map<string, Batch>();
  /** The batch of each item. */
  const batchAt: Batch[] = [];
  /** How many events stand before those of the item in its batch. */
  const before: number[] = [];
  for (const [i, append] of appends.entries()) {
    const name = names[i];
    const topic = held.get(name ?? "");
    if (name !== undefined && refusals[i] === undefined && !(topic instanceof PrismError)) {
      const batch = batches.get(name) ?? { name, appends: [], places: [], events: 0, topic };
      batchAt[i] = batch;
      before[i] = batch.events;
      batch.appends.push(append);
      batch.places.push(i);
      batch.events += append.events.length;
      batches.set(name, batch);
    }
  }
  const results = await appendAll(topics, producer, [...batches.values()], nowMs, call);
  if (each) {
    const apart = await Promise.all(
      [...results].map(([batch, result]) =>
        isTooLarge(result) ? appendApart(topics, producer, batch, nowMs, call) : [],
      ),
    );
    for (const [part, result] of apart.flat()) {
      results.set(part, result);
      for (const place of part.places) {
        batchAt[place] = part;
        before[place] = 0;
      }
    }
  }
  const answers = appends.map((append, i): EventsAppended | Refusal | PrismError => {
    const batch = batchAt[i];
    const result = batch && results.get(batch);
    if (batch === undefined || result === undefined || refusals[i] !== undefined) {
      return refusals[i] ?? storeError("internal");
    }
    const eventsBefore = before[i] ?? 0;
    if (isRetimed(result)) {
      // Kafka's time is now, so no event is past its retention.
      return { offset: result.offset + eventsBefore, nowMs: result.timeMs ?? nowMs, expired: 0 };
    }
    return typeof result === "number"
      ? {
          offset: result + eventsBefore,
          nowMs,
          expired: countExpired(append, retentionOf(append, batch.topic), nowMs),
        }
      : result;
  });
  for (const [batch, result] of results) {
    if (batch.topic === undefined) {
      continue;
    }
    if (typeof result === "number") {
      const all = batch.appends.flatMap(({ events }) => events);
      indexes.appended(batch.topic, result, all, nowMs);
    } else if (isRetimed(result)) {
      // The index hears only how far the log goes, and reads the times there.
      indexes.appended(batch.topic, result.offset + batch.events, [], nowMs);
    }
  }
  return wholeOrEach(answers, each, () => true);
}

function isRetimed(result: Result): result is Retimed {
  return typeof result === "object" && "timeMs" in result;
}

function refuseLate({ events }: EventAppend, retentionMs: number, nowMs: number): Refusal | undefined {
  const untilMs = expiredUntilMs({ retentionMs }, nowMs);
  const late = events.findIndex(({ timestampMs }) => (timestampMs || nowMs) <= untilMs);
  return late < 0 ? undefined : refuseExpired(late);
}

function retentionOf({ retentionMs }: EventAppend, topic: StreamTopic | undefined): number {
  return topic?.retentionMs ?? retentionMs;
}

function countExpired({ events }: EventAppend, retentionMs: number, nowMs: number): number {
  const untilMs = expiredUntilMs({ retentionMs }, nowMs);
  return events.filter(({ timestampMs }) => (timestampMs || nowMs) <= untilMs).length;
}

/**
 * Appends the batches, and makes the topics that are not there. Answers the offset of each batch's
 * first event, or why it failed.
 */
async function appendAll(
  topics: StreamTopics,
  producer: Producer,
  batches: readonly Batch[],
  nowMs: number,
  call: Call,
): Promise<Map<Batch, Result>> {
  const results = new Map<Batch, Result>();
  let left = batches;
  for (let round = 1; left.length > 0; round++) {
    const missing = left.filter(({ topic }) => topic === undefined);
    await failing(missing, results, () => createMissing(topics, missing, results, call));
    const sent = left.flatMap((batch) => {
      const { topic } = batch;
      return topic === undefined || results.has(batch) ? [] : [{ batch, leader: topic.leader }];
    });
    const batchesSent = sent.map(({ batch }) => batch);
    const appended = await failing(batchesSent, results, () =>
      producer.append(
        sent.map(({ batch, leader }) => ({
          topic: batch.name,
          leader,
          events: batch.appends.flatMap(({ events }) => events),
        })),
        nowMs,
        call,
      ),
    );
    if (appended === undefined) {
      break;
    }
    left = [];
    const gone: Batch[] = [];
    for (const [i, { batch }] of sent.entries()) {
      const result: TopicAppended = appended[i];
      if (result !== undefined) {
        results.set(batch, result);
      } else if (round === MAX_ROUNDS) {
        results.set(batch, storeError("store_unavailable", new Error(`there is no topic ${batch.name}`)));
      } else {
        // Somebody deleted it. An append makes it again.
        topics.forget(batch.name);
        batch.topic = undefined;
        gone.push(batch);
      }
    }
    left = gone;
  }
  return results;
}

function isTooLarge(result: Result): boolean {
  return result instanceof PrismError && result.reason === "value_too_large";
}

/**
 * Appends each item of a batch as a batch of its own, one after the other. They were only together
 * too large for the topic. A batch of one item is left as it is.
 */
async function appendApart(
  topics: StreamTopics,
  producer: Producer,
  { name, appends, places, topic }: Batch,
  nowMs: number,
  call: Call,
): Promise<readonly (readonly [Batch, Result])[]> {
  const results: (readonly [Batch, Result])[] = [];
  if (appends.length > 1) {
    for (const [i, append] of appends.entries()) {
      const part = { name, appends: [append], places: [places[i] ?? 0], events: append.events.length, topic };
      results.push(...(await appendAll(topics, producer, [part], nowMs, call)));
    }
  }
  return results;
}

/** Does something with batches. If it fails, that is their result: others have theirs already. */
async function failing<Done>(
  batches: readonly Batch[],
  results: Map<Batch, Result>,
  act: () => Promise<Done>,
): Promise<Done | undefined> {
  try {
    return await act();
  } catch (error) {
    for (const batch of batches) {
      results.set(batch, asPrismError(error));
    }
    return undefined;
  }
}

/** Makes topics. What the brokers refuse becomes the batch's result. */
async function createMissing(
  topics: StreamTopics,
  missing: readonly Batch[],
  results: Map<Batch, Result>,
  call: Call,
): Promise<void> {
  if (missing.length === 0) {
    return;
  }
  const made = await topics.create(
    missing.map(({ name, appends: [first] }) => ({
      name,
      retentionMs: first?.retentionMs ?? 0,
      replicas: undefined,
    })),
    call,
  );
  for (const [i, batch] of missing.entries()) {
    const topic = made[i];
    if (isRefusal(topic) || topic instanceof PrismError) {
      results.set(batch, topic);
    } else {
      batch.topic = topic;
    }
  }
}
