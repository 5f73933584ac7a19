import { abortError, asPrismError, PrismError } from "../../errors.ts";
import type { Clock } from "../clock.ts";
import { type Answers, type Call, isRefusal, type Refusal, type StreamStore } from "../contract.ts";
import { countExpired, refuseLate } from "../decide-stream.ts";
import { storeError } from "../store-errors.ts";
import { type EventAppend, type EventsAppended, expiredUntilMs, type NewEvent } from "../streams.ts";
import { isTopic } from "./cluster.ts";
import type { EventReader } from "./event-reader.ts";
import { StaleTopicError, untilAborted } from "./fetcher.ts";
import type { IndexKeeper } from "./index-keeper.ts";
import { refusalFor, wholeOrEach } from "./item-answers.ts";
import { refuseLongName, topicOf } from "./names.ts";
import type { Producer, Retimed, TopicAppended } from "./producer.ts";
import type { StreamAdmin } from "./streams-admin.ts";
import type { StreamTopic } from "./topic-lookup.ts";
import type { StreamTopics } from "./topics.ts";

/** How often a topic may turn out to be another one than what was known of it. */
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

/** An item of a call that appends. */
interface Item {
  readonly append: EventAppend;
  /** Its place in the call. */
  readonly place: number;
  /** How many events stand before its own in the batch. */
  readonly before: number;
}

/** What is appended to one topic, for all items that append to its stream. */
interface Batch {
  readonly name: string;
  readonly items: Item[];
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
    const refusal = refuseLate(append, expiredUntilMs({ retentionMs }, nowMs), nowMs);
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
  for (const [place, append] of appends.entries()) {
    const name = names[place];
    const topic = held.get(name ?? "");
    if (name !== undefined && refusals[place] === undefined && !(topic instanceof PrismError)) {
      const batch = batches.get(name) ?? { name, items: [], events: 0, topic };
      batch.items.push({ append, place, before: batch.events });
      batch.events += append.events.length;
      batches.set(name, batch);
    }
  }
  const results: (readonly [Batch, Result])[] = [
    ...(await appendAll(topics, producer, [...batches.values()], nowMs, call)),
  ];
  if (each) {
    const apart = results.map(([batch, result]) =>
      isTooLarge(result) ? appendApart(topics, producer, batch, nowMs, call) : [],
    );
    results.push(...(await Promise.all(apart)).flat());
  }
  // What was appended apart comes after its batch, and counts.
  const answers: (EventsAppended | Refusal | PrismError | undefined)[] = [...refusals];
  for (const [batch, result] of results) {
    for (const item of batch.items) {
      answers[item.place] = answerOf(item, batch, result, nowMs);
    }
    feed(indexes, batch, result, nowMs);
  }
  return wholeOrEach(
    answers.map((answer) => answer ?? storeError("internal")),
    each,
    () => true,
  );
}

function answerOf(
  { append, before }: Item,
  { topic }: Batch,
  result: Result,
  nowMs: number,
): EventsAppended | Refusal | PrismError {
  if (isRetimed(result)) {
    // Kafka's time is now, so no event is past its retention.
    return { offset: result.offset + before, nowMs: result.timeMs ?? nowMs, expired: 0 };
  }
  if (typeof result !== "number") {
    return result;
  }
  const untilMs = expiredUntilMs(topic ?? append, nowMs);
  return { offset: result + before, nowMs, expired: countExpired(append.events, untilMs, nowMs) };
}

/** Tells the stream's index what was appended. */
function feed(indexes: IndexKeeper, batch: Batch, result: Result, nowMs: number): void {
  const { topic, events } = batch;
  if (topic === undefined) {
    return;
  }
  if (typeof result === "number") {
    indexes.appended(topic, result, eventsOf(batch), nowMs);
  } else if (isRetimed(result)) {
    // The index hears only how far the log goes, and reads the times there.
    indexes.appended(topic, result.offset + events, [], nowMs);
  }
}

function eventsOf({ items }: Batch): readonly NewEvent[] {
  return items.flatMap(({ append }) => append.events);
}

function isRetimed(result: Result): result is Retimed {
  return typeof result === "object" && "timeMs" in result;
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
          events: eventsOf(batch),
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
  { name, items, topic }: Batch,
  nowMs: number,
  call: Call,
): Promise<readonly (readonly [Batch, Result])[]> {
  const results: (readonly [Batch, Result])[] = [];
  for (const item of items.length > 1 ? items : []) {
    const part = { name, items: [{ ...item, before: 0 }], events: item.append.events.length, topic };
    results.push(...(await appendAll(topics, producer, [part], nowMs, call)));
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
    missing.map(({ name, items: [first] }) => ({
      name,
      retentionMs: first?.append.retentionMs ?? 0,
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
