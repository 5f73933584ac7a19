import { crc32 } from "node:zlib";
import { asPrismError, PrismError, ReadOnlyError } from "../../errors.ts";
import { type Answers, type Backend, type Call, type EraseStep, Refusal } from "../contract.ts";
import { sumFigures } from "../figures.ts";
import type { ItemsMethod, ItemsRow } from "../operations.ts";
import { mergeNames } from "./merged-names.ts";
import { mergeScans } from "./merged-scan.ts";
import { combineItems } from "./wrapped.ts";

/**
 * The shard that holds a key: the CRC-32 of its bytes (as in zlib and PNG) modulo the number of
 * shards. If a key has a tag, `{tag}`, only the tag counts, so callers can keep keys together. The
 * tag is what a Redis Cluster takes for it: the text from the first "{" to the next "}", unless it
 * is empty.
 */
export function shardOf(key: string, shards: number): number {
  return crc32(tagOf(key)) % shards;
}

function tagOf(key: string): string {
  const start = key.indexOf("{") + 1;
  const end = start === 0 ? -1 : key.indexOf("}", start);
  return end <= start ? key : key.slice(start, end);
}

/**
 * Makes one store of several; each key is in one of them. A batch is atomic within each shard only:
 * one that takes effect in some shards and fails in others rejects as `outcome_unknown`. Pages and
 * counts cover all shards. {@link shardOf} places a key by the number of shards and their order, so
 * both have to stay as they are.
 */
export function createShardedBackend(shards: readonly Backend[]): Backend {
  const [first] = shards;
  if (first === undefined) {
    throw new Error("no shards");
  }
  if (shards.length === 1) {
    return first;
  }
  const listWatches = ofAll(shards.map(({ watchFilled }) => watchFilled));
  const streamWatches = ofAll(shards.map(({ watchStreams }) => watchStreams));
  const erasers = ofAll(shards.map(({ erase }) => erase));
  const figures = sumFigures(shards);
  const scanned = ofAll(shards.map(({ entries, scans }) => entries && scans && { entries, scans }));
  const listNames = ofAll(shards.map((shard) => shard.listNames?.pageNames));
  const recordIds = ofAll(shards.map((shard) => shard.recordIds?.pageIds));
  const streamNames = ofAll(shards.map((shard) => shard.streamNames?.pageStreams));
  return {
    type: first.type,
    atomic: shards.some(({ atomic }) => atomic === "key") ? "key" : "shard",
    shardOf: (key) => shardOf(key, shards.length),
    ...combineItems(
      shards,
      (row, methods) => (namespace, items, call) => spread(methods, items, row, namespace, call),
    ),
    ...(shards.every(({ countsCheaply }) => countsCheaply === true) && { countsCheaply: true }),
    ...(scanned && { scans: mergeScans(scanned) }),
    ...(listNames && { listNames: { pageNames: mergeNames(listNames) } }),
    ...(recordIds && { recordIds: { pageIds: mergeNames(recordIds) } }),
    ...(streamNames && { streamNames: { pageStreams: mergeNames(streamNames) } }),
    ...(erasers && {
      erase: (namespace, step, call) => eraseEach(erasers, namespace, step, call),
    }),
    ...(figures && { figures }),
    ...(listWatches && { watchFilled: watchAll(listWatches) }),
    ...(streamWatches && { watchStreams: watchAll(streamWatches) }),
    async open() {
      const results = await Promise.allSettled(shards.map((shard) => shard.open()));
      const failure = results.find(isRejected);
      if (failure === undefined) {
        return;
      }
      const opened = shards.filter((_, i) => results[i]?.status === "fulfilled");
      await Promise.allSettled(opened.map((shard) => shard.close()));
      throw failure.reason;
    },
    async check() {
      const results = await Promise.allSettled(shards.map((shard) => shard.check()));
      const reasons = results.filter(isRejected).map(({ reason }) => reason);
      // A shard that cannot even be read outweighs one that is read-only.
      const worst = reasons.find((reason) => !(reason instanceof ReadOnlyError)) ?? reasons[0];
      if (worst !== undefined) {
        throw worst;
      }
    },
    async close() {
      await ofEach(shards, (shard) => shard.close());
    },
  };
}

/** One watch of several: it ends all of them. */
function watchAll<Listener>(
  watches: readonly ((listener: Listener) => () => void)[],
): (listener: Listener) => () => void {
  return (listener) => {
    const stops = watches.map((watch) => watch(listener));
    return () => {
      for (const stop of stops) {
        stop();
      }
    };
  };
}

/** Makes a step on each shard. A step's place is that of each shard, as JSON; null = it is done. */
async function eraseEach(
  erasers: readonly NonNullable<Backend["erase"]>[],
  namespace: string,
  { after, maxItems }: EraseStep,
  call: Call,
): Promise<string | undefined> {
  const places: readonly (string | null)[] = after === undefined ? [] : JSON.parse(after);
  const next = await ofEach(erasers, async (erase, shard) => {
    const place = places[shard];
    return place === null ? null : ((await erase(namespace, { after: place, maxItems }, call)) ?? null);
  });
  return next.every((place) => place === null) ? undefined : JSON.stringify(next);
}

/** Sends each shard its items, in order, and puts the answers in the places of the items. */
async function spread<Item, Answer>(
  shards: readonly ItemsMethod<Item, Answer>[],
  items: readonly Item[],
  { keyOf, keysOf, writes }: ItemsRow<Item, Answer>,
  namespace: string,
  call: Call,
): Promise<Answers<Answer>> {
  const parts = new Map<number, { readonly items: Item[]; readonly places: number[] }>();
  // Filled, because a shard that refuses nothing may answer nothing: `undefined` for each item.
  const answers = new Array<Answer | Refusal>(items.length).fill(undefined as Answer);
  items.forEach((item, place) => {
    const apart = keysOf && refuseApart(keysOf(item), shards.length);
    if (apart !== undefined) {
      answers[place] = apart;
      return;
    }
    const at = shardOf(keyOf(item), shards.length);
    const part = parts.get(at) ?? { items: [], places: [] };
    parts.set(at, part);
    part.items.push(item);
    part.places.push(place);
  });
  const outcomes = await Promise.allSettled(
    Array.from(parts, async ([at, part]) => {
      const run = shards[at];
      if (run === undefined) {
        throw new Error("no such shard");
      }
      return { ...part, results: await run(namespace, part.items, call) };
    }),
  );
  const failures = outcomes.filter(isRejected).map(({ reason }) => asPrismError(reason));
  if (failures.length > 0) {
    throw failureOf(failures, writes && failures.length < outcomes.length);
  }
  for (const outcome of outcomes) {
    if (outcome.status === "rejected") {
      continue;
    }
    const { places, results } = outcome.value;
    results?.forEach((result, i) => {
      const place = places[i];
      if (place !== undefined) {
        answers[place] = result;
      }
    });
  }
  return answers;
}

/** The refusal of an item whose keys are on several shards; `undefined` = they are on one. */
function refuseApart(keys: readonly string[], shards: number): Refusal | undefined {
  const [first, ...others] = keys;
  if (first === undefined) {
    return undefined;
  }
  const shard = shardOf(first, shards);
  const other = others.find((key) => shardOf(key, shards) !== shard);
  if (other === undefined) {
    return undefined;
  }
  const names = `${JSON.stringify(first)} and ${JSON.stringify(other)}`;
  return new Refusal(
    "not_atomic",
    `the keys ${names} are on different shards of the store: keys with the same {tag} are on one`,
  );
}

/** `isPart`: the same call took effect on another shard. */
function failureOf(failures: readonly PrismError[], isPart: boolean): PrismError | undefined {
  const unknown = failures.find(({ reason }) => reason === "outcome_unknown");
  if (unknown === undefined && isPart) {
    const message = "a part of the batch took effect, and a part did not";
    return new PrismError("outcome_unknown", message, { cause: failures[0] });
  }
  return unknown ?? failures[0];
}

/** The interface of every shard. `undefined` = some shard lacks it. */
function ofAll<T>(interfaces: readonly (T | undefined)[]): readonly T[] | undefined {
  const there = interfaces.filter((each) => each !== undefined);
  return there.length === interfaces.length ? there : undefined;
}

/** What each answers, once all have ended. Throws the first failure. */
async function ofEach<T, R>(all: readonly T[], ask: (each: T, index: number) => Promise<R>): Promise<R[]> {
  const results = await Promise.allSettled(all.map(ask));
  const failure = results.find(isRejected);
  if (failure !== undefined) {
    throw failure.reason;
  }
  return results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
}

function isRejected<T>(result: PromiseSettledResult<T>): result is PromiseRejectedResult {
  return result.status === "rejected";
}
