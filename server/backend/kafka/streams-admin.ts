import { PrismError } from "../../errors.ts";
import type { Backend, Call, NamePage, NameQuery, StreamNameStore, StreamStore } from "../contract.ts";
import { isRefusal, Refusal } from "../contract.ts";
import { decideStream } from "../decide-stream.ts";
import { storeError } from "../store-errors.ts";
import type { StreamConfig, StreamCreate } from "../streams.ts";
import { compareUtf8 } from "../utf8.ts";
import { wholeOrEach } from "./item-answers.ts";
import { refuseLongName, topicOf } from "./names.ts";
import type { StreamTopic } from "./topic-lookup.ts";
import type { StreamTopics } from "./topics.ts";

/** How often a stream may be made or deleted by others while it is created. */
const MAX_ROUNDS = 5;

/** The most topics that a step of erasing deletes. */
const MAX_ERASED = 100;

/** The calls that concern topics only, and no events. */
export type StreamAdmin = Pick<StreamStore, "createStream" | "deleteStream"> &
  StreamNameStore & { readonly erase: NonNullable<Backend["erase"]> };

/** Creates, deletes and lists the streams whose topics begin with `prefix`. */
export function createStreamAdmin(topics: StreamTopics, prefix: string): StreamAdmin {
  return {
    async createStream(namespace, creates, call) {
      const wanted = creates.map((create) => ({ create, name: topicOf(prefix, namespace, create.stream) }));
      const results: Results = new Map();
      let refusals = await tryCreate(topics, wanted, results, call);
      for (let round = 1; round < MAX_ROUNDS && [...results.values()].includes("stale"); round++) {
        refusals = await tryCreate(topics, wanted, results, call);
      }
      const answers = wanted.map(({ name }, i) => {
        const result = refusals[i] ?? results.get(name ?? "");
        return result === "stale"
          ? storeError("overloaded", new Error("others change the stream all the time"))
          : result;
      });
      const each = call.each === true;
      const made = wholeOrEach(answers, each, (result) => result === "done");
      return made.map((result) => (isRefusal(result) ? result : undefined));
    },
    async deleteStream(namespace, streams, call) {
      const names = streams.map((stream) => topicOf(prefix, namespace, stream));
      const distinct = [...new Set(names)].filter((name) => name !== undefined);
      const found = await topics.delete(distinct, call);
      const results = new Map(distinct.map((name, i) => [name, found[i]]));
      const answers = names.map((name) => {
        const result = results.get(name ?? "") ?? false;
        if (name !== undefined && result === true) {
          // Only the first of two deletes finds it.
          results.set(name, false);
        }
        return result;
      });
      return wholeOrEach(answers, call.each === true, (wasThere) => wasThere);
    },
    async pageStreams(namespace, query) {
      return pageOf(await topics.streamsOf(namespace), query);
    },
    async erase(namespace, { after, maxItems }, call) {
      topics.forgetListing();
      const maxNames = Math.min(maxItems, MAX_ERASED);
      const { names, next } = pageOf(await topics.streamsOf(namespace), { prefix: "", after, maxNames });
      const deleted = await topics.delete(
        names.flatMap((stream) => topicOf(prefix, namespace, stream) ?? []),
        call,
      );
      const failed = deleted.find((answer) => answer instanceof PrismError);
      if (failed !== undefined) {
        throw failed;
      }
      return next;
    },
  };
}

/** A stream to make, and its topic; `undefined` = its name is too long for one. */
interface Wanted {
  readonly create: StreamCreate;
  readonly name: string | undefined;
}

/**
 * What became of topics, by their names: made or changed, or not, or made otherwise by somebody
 * else meanwhile ("stale"). None for one that was as wanted.
 */
type Results = Map<string, "done" | "stale" | Refusal | PrismError>;

/**
 * Makes and changes what is not as wanted, and notes it in `results`. Answers which items are
 * refused, or cannot be looked at; without `each` nothing is done then. Throws if none can.
 */
async function tryCreate(
  topics: StreamTopics,
  wanted: readonly Wanted[],
  results: Results,
  call: Call,
): Promise<readonly (Refusal | PrismError | undefined)[]> {
  const names = [...new Set(wanted.flatMap(({ name }) => name ?? []))];
  const found = await topics.findNow(names);
  const held = new Map<string, StreamTopic | undefined>();
  const failed = new Map<string, PrismError>();
  for (const [i, name] of names.entries()) {
    const topic = found[i];
    if (topic instanceof PrismError) {
      failed.set(name, topic);
    } else {
      held.set(name, topic);
    }
  }
  const [first] = failed.values();
  if (first !== undefined && held.size === 0 && results.size === 0) {
    throw first;
  }
  /** How each stream is to be. */
  const configs = new Map<string, StreamConfig>();
  const refusals = wanted.map(({ create, name }) => {
    if (name === undefined) {
      return refuseLongName();
    }
    if (failed.has(name)) {
      return results.get(name) === "done" ? undefined : failed.get(name);
    }
    const config = decide(configs.get(name) ?? configOf(held.get(name)), create, topics.defaultReplicas);
    if (isRefusal(config)) {
      return config;
    }
    configs.set(name, config);
    return undefined;
  });
  for (const [name, result] of results) {
    if (result !== "done") {
      results.delete(name);
    }
  }
  if (call.each === true || refusals.every((refusal) => refusal === undefined)) {
    await apply(topics, held, configs, results, call);
  }
  return refusals;
}

async function apply(
  topics: StreamTopics,
  held: ReadonlyMap<string, StreamTopic | undefined>,
  configs: ReadonlyMap<string, StreamConfig>,
  results: Results,
  call: Call,
): Promise<void> {
  const all = [...configs];
  const missing = all.filter(([name]) => held.get(name) === undefined);
  const changed = all.filter(([name, { retentionMs }]) => {
    const topic = held.get(name);
    return topic !== undefined && topic.retentionMs !== retentionMs;
  });
  if (missing.length > 0) {
    const made = await topics.create(
      missing.map(([name, { retentionMs, replicationFactor }]) => ({
        name,
        retentionMs,
        replicas: replicationFactor === topics.defaultReplicas ? undefined : replicationFactor,
      })),
      call,
      "maybe",
    );
    for (const [i, [name, config]] of missing.entries()) {
      const topic = made[i];
      if (isRefusal(topic) || topic instanceof PrismError) {
        results.set(name, topic);
      } else {
        results.set(name, topic !== undefined && isAs(topic, config) ? "done" : "stale");
      }
    }
  }
  if (changed.length > 0) {
    const changes = changed.map(([name, { retentionMs }]) => ({ name, retentionMs }));
    const done = await topics.setRetention(changes, call);
    for (const [i, { name }] of changes.entries()) {
      const answer = done[i];
      results.set(name, answer instanceof PrismError ? answer : answer === true ? "done" : "stale");
    }
  }
}

/** {@link decideStream}, and what Kafka's streams cannot be. */
function decide(
  held: StreamConfig | undefined,
  wanted: StreamCreate,
  defaultReplicas: number,
): StreamConfig | Refusal {
  if (held === undefined && wanted.partitions > 1) {
    const message = "config.partitions must be 0 or 1: a stream is one sequence, and so one partition";
    return new Refusal("invalid_field", message, { field: "config.partitions" });
  }
  const replicationFactor = wanted.replicationFactor || (held === undefined ? defaultReplicas : 0);
  return decideStream(held, { ...wanted, replicationFactor });
}

function configOf(topic: StreamTopic | undefined): StreamConfig | undefined {
  return (
    topic && {
      retentionMs: topic.retentionMs,
      partitions: topic.partitions,
      replicationFactor: topic.replicas,
    }
  );
}

function isAs(topic: StreamTopic, { retentionMs, partitions, replicationFactor }: StreamConfig): boolean {
  return (
    topic.retentionMs === retentionMs &&
    topic.partitions === partitions &&
    topic.replicas === replicationFactor
  );
}

/** `names` are in byte order. */
function pageOf(names: readonly string[], { prefix, start, end, after, maxNames }: NameQuery): NamePage {
  const page: string[] = [];
  for (const name of names) {
    const isBefore =
      (start !== undefined && compareUtf8(name, start) < 0) ||
      (after !== undefined && compareUtf8(name, after) <= 0);
    if (isBefore || !name.startsWith(prefix)) {
      continue;
    }
    if (end !== undefined && compareUtf8(name, end) >= 0) {
      break;
    }
    if (page.length === maxNames) {
      return { names: page, next: page.at(-1) };
    }
    page.push(name);
  }
  return { names: page, next: undefined };
}
