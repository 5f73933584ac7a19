import { setTimeout as delay } from "node:timers/promises";
import type { Connection } from "@platformatic/kafka";
import { PrismError, ReadOnlyError } from "../../errors.ts";
import type { Call } from "../contract.ts";
import { createLane, type Lane } from "../lane.ts";
import { storeError } from "../store-errors.ts";
import type { NewEvent } from "../streams.ts";
import { encodeBatch, maxTimeOf, sealBatch } from "./batch-writer.ts";
import type { Cluster, Topic } from "./cluster.ts";
import { errorOfCode, nameOfCode, toPrismError } from "./errors.ts";
import { type ProduceAnswer, takeProducerId } from "./produce.ts";
import { type Outgoing, RequestPipe } from "./request-pipe.ts";
import { LATE, Limit } from "./time-limit.ts";

/** How long a batch that may be in the log is sent again. */
const MAX_APPEND_MS = 10_000;

/** How much later a broker can hear of a new topic, or of its leader, than the one that made it. */
const SETTLE_MS = 500;

/** The pause before a batch is sent again; each is twice as long as the one before. */
const FIRST_PAUSE_MS = 5;
const MAX_PAUSE_MS = 200;

/** How often a batch begins a new sequence before it is given up. */
const MAX_RESTARTS = 3;

/** Sequences count from 0 to 2^31 - 1, and then from 0 again. */
const SEQUENCES = 2 ** 31;

const MAX_EPOCH = 32_767;

/** The most topics whose sequences are kept, except for those in use or in doubt. */
const MAX_TOPICS = 10_000;

/** Events to append to one topic: all of them or none. */
export interface TopicAppend {
  readonly topic: string;
  /** The broker that is known to lead it. -1 = none is known. */
  readonly leader: number;
  /** At least one. */
  readonly events: readonly NewEvent[];
}

/** Events whose times Kafka made (`message.timestamp.type=LogAppendTime`), or may have made. */
export interface Retimed {
  /** The offset of the first event. */
  readonly offset: number;
  /** The time of all events. `undefined` = only the log tells. */
  readonly timeMs: number | undefined;
}

/**
 * What became of a {@link TopicAppend}: the offset of its first event, with the times if those are
 * not its own, or why it failed, or `undefined` = there is no such topic. A failed one had no
 * effect, except as `outcome_unknown`.
 */
export type TopicAppended = number | Retimed | PrismError | undefined;

/** The part of the {@link Cluster} that appends use. */
export type AppendCluster = Pick<Cluster, "connection"> & {
  topics(names: readonly string[]): Promise<readonly (Pick<Topic, "leader"> | PrismError | undefined)[]>;
};

/** How a producer's batches of one topic follow one another. */
interface Sequence {
  /** Lets one batch at a time in: the next may be sent only when it is known what became of it. */
  readonly lane: Lane;
  /** How many are in the lane or wait for it. */
  users: number;
  /** `undefined` = it has not begun. */
  producerId: bigint | undefined;
  epoch: number;
  /** The sequence of the next event. */
  next: number;
  /**
   * True: a batch of this producer may still get into the log. Only a later batch of the same
   * producer keeps it out.
   */
  isInDoubt: boolean;
}

/** A batch on its way. */
interface Send extends Outgoing {
  /** How many events it holds. */
  readonly count: number;
  readonly sequence: Sequence;
  leader: number;
  /** True: it has its sequence, and is the same each time that it is sent. */
  isSealed: boolean;
  restarts: number;
  /** The broker that could not be reached. `undefined` = the last one could be. */
  unreached: number | undefined;
  /** Why the last attempt failed. */
  error: PrismError | undefined;
  /** Tells what became of it; only the first call counts. */
  settle(answer: TopicAppended): void;
  isSettled: boolean;
}

/**
 * Appends batches to topics, each once: by the producer's number and a sequence, a broker knows a
 * batch that it already has (KIP-98). One for all calls to a store.
 *
 * It holds the batches of calls that are under way, and for each topic in use its place in the
 * sequence.
 */
export class Producer {
  readonly #cluster: AppendCluster;
  /**
   * By the names of topics, for a batch goes to whatever topic has the name. So a topic that is
   * made again goes on with the sequence of the one before it, which brokers allow.
   */
  readonly #sequences = new Map<string, Sequence>();
  #dropAt = MAX_TOPICS;
  /** By the numbers of brokers. */
  readonly #pipes = new Map<number, RequestPipe>();
  #producerId: bigint | undefined;
  #askingForId: Promise<bigint> | undefined;

  constructor(cluster: AppendCluster) {
    this.#cluster = cluster;
  }

  /**
   * Appends. No topic may come twice. `nowMs` is the time of events that have none. Answers in the
   * order of the appends, at the latest when the call's deadline or 10 s have passed. Rejects with
   * the call's error if the call ends before its turn.
   */
  async append(
    appends: readonly TopicAppend[],
    nowMs: number,
    call: Call,
  ): Promise<readonly TopicAppended[]> {
    const answers = new Array<TopicAppended>(appends.length);
    const batches = appends.map(({ events }) => encodeBatch(events, nowMs));
    const sequences = await this.#enter(appends, call);
    const sends = appends.map(({ topic, leader, events }, place): Send => {
      const sequence = sequences[place] as Sequence;
      return {
        topic,
        batch: batches[place] as Buffer,
        count: events.length,
        sequence,
        leader,
        isSealed: false,
        doubts: 0,
        restarts: 0,
        unreached: undefined,
        error: undefined,
        settle(answer) {
          if (!this.isSettled) {
            this.isSettled = true;
            answers[place] = answer;
            leave(sequence);
          }
        },
        isSettled: false,
      };
    });
    const limit = new Limit(Math.min(call.deadlineMs ?? Infinity, performance.now() + MAX_APPEND_MS));
    try {
      await this.#deliverAll(sends, 0, limit);
    } catch (error) {
      if (error !== LATE) {
        throw error;
      }
    } finally {
      limit.end();
      for (const send of sends) {
        this.#giveUp(send);
      }
    }
    return answers;
  }

  /** Waits for the turn of each topic; in one order for all, so that no two wait for each other. */
  async #enter(appends: readonly TopicAppend[], call: Call): Promise<readonly Sequence[]> {
    const sequences = appends.map(({ topic }) => this.#sequenceOf(topic));
    const inOrder = [...appends.keys()].sort((a, b) => compareNames(appends[a], appends[b]));
    let entered = 0;
    try {
      for (const place of inOrder) {
        const turn = sequences[place]?.lane.enter(call);
        if (turn !== undefined) {
          await turn;
        }
        entered++;
      }
    } catch (error) {
      for (const [i, place] of inOrder.entries()) {
        const sequence = sequences[place] as Sequence;
        if (i < entered) {
          leave(sequence);
        } else {
          sequence.users--;
        }
      }
      throw error;
    }
    return sequences;
  }

  /** The caller becomes one of its users. */
  #sequenceOf(topic: string): Sequence {
    let sequence = this.#sequences.get(topic);
    if (sequence === undefined) {
      if (this.#sequences.size >= this.#dropAt) {
        this.#drop();
      }
      sequence = {
        lane: createLane(1),
        users: 0,
        producerId: undefined,
        epoch: 0,
        next: 0,
        isInDoubt: false,
      };
      this.#sequences.set(topic, sequence);
    }
    sequence.users++;
    return sequence;
  }

  /** Forgets the topics that nobody uses, except for those in doubt. */
  #drop(): void {
    for (const [topic, { users, isInDoubt }] of this.#sequences) {
      if (users === 0 && !isInDoubt) {
        this.#sequences.delete(topic);
      }
    }
    // They begin at 0 when they come again, which brokers allow to a new producer only.
    this.#producerId = undefined;
    this.#dropAt = Math.max(MAX_TOPICS, 2 * this.#sequences.size);
  }

  /** Sends one request to each leader. */
  async #deliverAll(sends: readonly Send[], attempt: number, limit: Limit): Promise<void> {
    const groups = Map.groupBy(sends, ({ leader }) => leader);
    await Promise.all([...groups].map(([leader, group]) => this.#deliver(leader, group, attempt, limit)));
  }

  /** Sends until all are settled. Throws {@link LATE}. */
  async #deliver(leader: number, sends: readonly Send[], attempt: number, limit: Limit): Promise<void> {
    if (leader >= 0) {
      await this.#try(leader, sends, limit);
    }
    const left = unsettled(sends);
    if (left.length > 0) {
      await limit.before(delay(Math.min(FIRST_PAUSE_MS * 2 ** attempt, MAX_PAUSE_MS)));
      await this.#findLeaders(left, limit);
      await this.#deliverAll(unsettled(left), attempt + 1, limit);
    }
  }

  /** Sends once, and settles what then is certain. */
  async #try(leader: number, sends: readonly Send[], limit: Limit): Promise<void> {
    for (const send of sends) {
      send.unreached = leader;
    }
    try {
      const connection = await limit.before(this.#cluster.connection("append", leader));
      if (sends.some(({ isSealed }) => !isSealed)) {
        this.#seal(sends, this.#producerId ?? (await limit.before(this.#takeId(connection))));
      }
      for (const send of sends) {
        send.unreached = undefined;
      }
      const answers = await limit.before(this.#pipeTo(leader).send(connection, sends, limit.leftMs));
      for (const send of sends) {
        const answer = answers.get(send.topic);
        if (answer !== undefined) {
          this.#hear(send, answer);
        }
      }
    } catch (error) {
      fail(sends, error);
    }
  }

  #pipeTo(leader: number): RequestPipe {
    let pipe = this.#pipes.get(leader);
    if (pipe === undefined) {
      pipe = new RequestPipe();
      this.#pipes.set(leader, pipe);
    }
    return pipe;
  }

  /** Gives those that have none their sequence. */
  #seal(sends: readonly Send[], producerId: bigint): void {
    for (const send of sends) {
      if (!send.isSealed) {
        const { sequence, batch } = send;
        const own = sequence.isInDoubt ? (sequence.producerId ?? producerId) : producerId;
        if (sequence.producerId !== own) {
          Object.assign(sequence, { producerId: own, epoch: 0, next: 0, isInDoubt: false });
        }
        sealBatch(batch, { producerId: own, epoch: sequence.epoch, sequence: sequence.next });
        send.isSealed = true;
      }
    }
  }

  /** Takes a number for a new producer; one for all that ask. */
  #takeId(connection: Connection): Promise<bigint> {
    this.#askingForId ??= takeProducerId(connection)
      .then((id) => {
        this.#producerId = id;
        return id;
      })
      .finally(() => {
        this.#askingForId = undefined;
      });
    return this.#askingForId;
  }

  /** Settles a batch, if what the broker answers is certain. */
  #hear(send: Send, { code, offset, logAppendTimeMs, message: said }: ProduceAnswer): void {
    const { sequence } = send;
    const name = nameOfCode(code);
    if (name === "") {
      sequence.next = (sequence.next + send.count) % SEQUENCES;
      sequence.isInDoubt = false;
      // Of one that was sent before, a broker tells the greatest time, whoever made it.
      const isOwn = logAppendTimeMs === -1 || (send.doubts > 1 && logAppendTimeMs === maxTimeOf(send.batch));
      const timeMs = send.doubts > 1 ? undefined : logAppendTimeMs;
      send.settle(isOwn ? offset : { offset, timeMs });
      return;
    }
    send.error = errorOfCode(code, "maybe");
    if (MAYBE_WRITTEN.has(name)) {
      return;
    }
    if (name === "DUPLICATE_SEQUENCE_NUMBER") {
      // It is there, but the broker no longer knows where.
      this.#giveUp(send);
      return;
    }
    // This attempt has not put it in the log, but an earlier one may have.
    send.doubts--;
    if (name === "UNKNOWN_TOPIC_OR_PARTITION") {
      return;
    }
    if (send.doubts > 0) {
      if (name !== "NOT_ENOUGH_REPLICAS") {
        this.#giveUp(send);
      }
    } else if (LOST_SEQUENCE.has(name) && send.restarts < MAX_RESTARTS) {
      // The broker knows less, or more, of the sequence than this producer.
      send.restarts++;
      send.isSealed = false;
      this.#restart(sequence, name === "INVALID_PRODUCER_EPOCH");
    } else if (name === "INVALID_TIMESTAMP") {
      const message = "the topic does not take events of such a time";
      send.settle(new PrismError("invalid_field", message, { field: "timestamp_millis" }));
    } else if (name === "INVALID_RECORD") {
      const message =
        "the stream's topic in Kafka takes no events: it wants keys (cleanup.policy=compact), and events have none";
      send.settle(new ReadOnlyError(message, new Error(`${send.topic}: ${said || name}`)));
    } else {
      send.settle(send.error);
    }
  }

  /**
   * Lets the sequence of a topic begin again. From the next batch on, brokers refuse those that
   * were sent before, so none of them comes late.
   */
  #restart(sequence: Sequence, isFenced = false): void {
    if (isFenced || sequence.epoch === MAX_EPOCH) {
      sequence.producerId = undefined;
      this.#producerId = undefined;
    } else {
      sequence.epoch++;
      sequence.next = 0;
    }
  }

  /** Looks where those that are left can be sent, and settles those that cannot be. */
  async #findLeaders(sends: readonly Send[], limit: Limit): Promise<void> {
    let topics: Awaited<ReturnType<AppendCluster["topics"]>>;
    try {
      topics = await limit.before(this.#cluster.topics(sends.map(({ topic }) => topic)));
    } catch (error) {
      fail(sends, error);
      for (const send of sends) {
        if (send.doubts === 0) {
          this.#giveUp(send);
        }
      }
      return;
    }
    for (const [i, send] of sends.entries()) {
      const topic = topics[i];
      if (topic instanceof PrismError) {
        send.error = topic;
        if (send.doubts === 0) {
          this.#giveUp(send);
        }
        continue;
      }
      if (topic !== undefined) {
        send.leader = topic.leader;
      }
      if (send.doubts > 0) {
        continue;
      }
      if (topic === undefined) {
        if (limit.spentMs > SETTLE_MS) {
          send.settle(undefined);
        }
      } else if (topic.leader === send.unreached || (topic.leader < 0 && limit.spentMs > SETTLE_MS)) {
        this.#giveUp(send);
      }
    }
  }

  /** Settles a batch as failed, if it is not settled. */
  #giveUp(send: Send): void {
    if (send.isSettled) {
      return;
    }
    if (send.doubts > 0) {
      send.sequence.isInDoubt = true;
      this.#restart(send.sequence);
      send.settle(storeError("outcome_unknown", send.error));
    } else {
      send.settle(storeError("store_unavailable", send.error));
    }
  }
}

/** Answers after which a batch may be in the log, or get there. */
const MAYBE_WRITTEN: ReadonlySet<string> = new Set([
  "UNKNOWN_SERVER_ERROR",
  "LEADER_NOT_AVAILABLE",
  // The broker may have led when it wrote the batch.
  "NOT_LEADER_OR_FOLLOWER",
  "FENCED_LEADER_EPOCH",
  "REQUEST_TIMED_OUT",
  "NETWORK_EXCEPTION",
  "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
  "KAFKA_STORAGE_ERROR",
]);

/** Answers to a batch that does not follow the one before it. */
const LOST_SEQUENCE: ReadonlySet<string> = new Set([
  "OUT_OF_ORDER_SEQUENCE_NUMBER",
  "INVALID_PRODUCER_EPOCH",
  "UNKNOWN_PRODUCER_ID",
]);

function unsettled(sends: readonly Send[]): readonly Send[] {
  return sends.filter(({ isSettled }) => !isSettled);
}

/** Remembers why they are not settled. Throws {@link LATE} on. */
function fail(sends: readonly Send[], error: unknown): void {
  if (error === LATE) {
    throw error;
  }
  for (const send of sends) {
    send.error = toPrismError(error);
  }
}

function leave(sequence: Sequence): void {
  sequence.users--;
  sequence.lane.leave();
}

function compareNames(a: TopicAppend | undefined, b: TopicAppend | undefined): number {
  return (a?.topic ?? "") < (b?.topic ?? "") ? -1 : 1;
}
