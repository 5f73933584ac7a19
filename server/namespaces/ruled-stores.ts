import type { Commit, Mutation } from "../backend/commit.ts";
import { type Backend, type EntryWrite, type Interfaces, isRefusal, Refusal } from "../backend/contract.ts";
import { INTERFACE_NAMES, type ItemsMethod } from "../backend/operations.ts";
import type { ItemSwap, RecordPut } from "../backend/records.ts";
import type { EventAppend } from "../backend/streams.ts";
import { PrismError } from "../errors.ts";
import { DAY_MS } from "../limits.ts";
import { EntryLimit, limited } from "./entry-limit.ts";
import type { NamespaceRules, Pattern, TtlRules } from "./rules.ts";

/**
 * The stores of a namespace whose rules say how much it may hold, how large its values may be, or
 * how long entries live and events are kept. They hold for every call that writes, whichever
 * handler it comes from, because each goes through here. A call that breaks a rule is refused
 * whole, as `quota_exceeded`, `value_too_large` or `invalid_field`. Entries without a time to live
 * get the default, and streams without a retention too. Without such rules these are the stores
 * themselves.
 */
export function ruledStores(stores: Interfaces, namespace: string, rules: NamespaceRules): Interfaces {
  const { maxEntries } = rules.limits;
  const { entries, commits, scans } = stores;
  if (maxEntries === 0 || entries === undefined || scans === undefined) {
    return boundedStores(stores, namespace, rules);
  }
  const limit = new EntryLimit(namespace, maxEntries, { entries, scans });
  const counted = {
    ...stores,
    entries: { ...entries, set: limited(entries.set, ({ key }) => [key], limit) },
    ...(commits && { commits: { ...commits, commit: limited(commits.commit, madeBy, limit) } }),
  };
  return boundedStores(counted, namespace, rules);
}

/**
 * Throws {@link PrismError} `invalid_field` if a store cannot keep the rules of a namespace: only
 * one that counts cheaply knows how many entries there are, and a plugin has rules of its own for
 * streams.
 */
export function checkRules(
  namespace: string,
  { limits, timeseries }: NamespaceRules,
  { type, countsCheaply, ownsStreamRules }: Pick<Backend, "type" | "countsCheaply" | "ownsStreamRules">,
): void {
  if (limits.maxEntries > 0 && countsCheaply !== true) {
    throw new PrismError(
      "invalid_field",
      `limits.max_entries of namespace "${namespace}" cannot be kept on a ${type} backend, which cannot count its entries cheaply`,
      { field: "limits.max_entries" },
    );
  }
  const { retentionDays, lateEvents } = timeseries;
  if (ownsStreamRules === true && (retentionDays > 0 || lateEvents !== "accept")) {
    throw new PrismError(
      "invalid_field",
      `timeseries of namespace "${namespace}" cannot be kept on a ${type} backend: the plugin's own namespace says it`,
      { field: "timeseries" },
    );
  }
}

/**
 * Throws {@link PrismError} `invalid_field` if a store cannot serve what a namespace is for. Of a
 * plugin that is away nothing is known, so it is taken.
 */
export function checkPattern(namespace: string, pattern: Pattern | undefined, backend: Backend): void {
  if (pattern === "timeseries" && (backend.streams === undefined || backend.lacks?.().has("streams"))) {
    throw new PrismError(
      "invalid_field",
      `namespace "${namespace}" is for time series, and its ${backend.type} backend has no ${INTERFACE_NAMES.streams}`,
      { field: "pattern" },
    );
  }
  if (pattern === "keyvalue" && KEYS_AND_VALUES.every((name) => backend[name] === undefined)) {
    throw new PrismError(
      "invalid_field",
      `namespace "${namespace}" is for keys and values, and its ${backend.type} backend keeps none: give it another backend, or pattern: timeseries if it is for streams of events`,
      { field: "pattern" },
    );
  }
}

/** A store without all of them serves no namespace for keys and values. */
const KEYS_AND_VALUES = ["entries", "lists", "records"] as const;

/** Whether a mutation makes an entry where there is none. */
const MAKES: Readonly<Record<Mutation["do"], boolean>> = {
  set: true,
  replace: true,
  add: true,
  delete: false,
  expire: false,
  persist: false,
};

/** The keys of the entries that a commit may make. */
function madeBy({ mutations }: Commit): readonly string[] {
  return mutations.filter((mutation) => MAKES[mutation.do]).map(({ key }) => key);
}

/** The stores behind the rules for values, times to live and events. */
function boundedStores(stores: Interfaces, namespace: string, rules: NamespaceRules): Interfaces {
  const { maxValueBytes } = rules.limits;
  const { forbidden, defaultSeconds, minSeconds, maxSeconds } = rules.ttl;
  const { retentionDays, lateEvents } = rules.timeseries;
  const isFree = maxValueBytes + defaultSeconds + minSeconds + maxSeconds + retentionDays === 0;
  if (isFree && !forbidden && lateEvents === "accept") {
    return stores;
  }
  const rule = new Rule(namespace, rules);
  const value = (item: { readonly value: Uint8Array }) => rule.value(item.value, "value");
  const { entries, commits, records, lists, listIndexes, streams } = stores;
  return {
    ...stores,
    ...(entries && { entries: { ...entries, set: ruled(entries.set, (entry) => rule.entry(entry)) } }),
    ...(commits && {
      commits: { ...commits, commit: ruled(commits.commit, (commit) => rule.commit(commit)) },
    }),
    ...(records && {
      records: {
        ...records,
        putItems: ruled(records.putItems, (put) => rule.put(put)),
        swapItem: ruled(records.swapItem, (swap) => rule.swap(swap)),
      },
    }),
    ...(lists && { lists: { ...lists, push: ruled(lists.push, (push) => value(push) ?? push) } }),
    ...(listIndexes && {
      listIndexes: {
        ...listIndexes,
        put: ruled(listIndexes.put, (put) => value(put) ?? put),
        insert: ruled(listIndexes.insert, (insert) => value(insert) ?? insert),
      },
    }),
    ...(streams && {
      streams: {
        ...streams,
        appendEvents: ruled(streams.appendEvents, (append) => rule.append(append)),
        createStream: ruled(streams.createStream, (create) => rule.kept(create)),
      },
    }),
  };
}

/** The method behind a rule, which answers each item as it is to be written. */
function ruled<Item, Method extends ItemsMethod<Item, unknown>>(
  method: Method & ItemsMethod<Item, unknown>,
  rule: (item: Item) => Item | Refusal,
): Method {
  const run: ItemsMethod<Item, unknown> = async (namespace, items, call) => {
    const kept: Item[] = [];
    for (const item of items) {
      const answer = rule(item);
      if (isRefusal(answer)) {
        const refusal = items.length === 1 ? answer : inItem(answer, kept.length);
        return items.map(() => refusal);
      }
      kept.push(answer);
    }
    return method(namespace, kept, call);
  };
  return run as Method;
}

/** The refusal of a batch for one of its items. */
function inItem({ reason, message, field = "" }: Refusal, index: number): Refusal {
  return new Refusal(reason, message, { field: `items[${index}].${field}` });
}

/** The rules of one namespace. Each method answers what is to be written, or why it is not. */
class Rule {
  readonly #namespace: string;
  readonly #maxValueBytes: number;
  readonly #ttl: TtlRules;
  readonly #retentionMs: number;
  readonly #refusesExpired: boolean;

  constructor(namespace: string, { limits, ttl, timeseries }: NamespaceRules) {
    this.#namespace = `namespace "${namespace}"`;
    this.#maxValueBytes = limits.maxValueBytes;
    this.#ttl = ttl;
    this.#retentionMs = timeseries.retentionDays * DAY_MS;
    this.#refusesExpired = timeseries.lateEvents === "refuse";
  }

  /** `undefined` = the value is not too large. */
  value({ length }: Uint8Array, field: string): Refusal | undefined {
    const most = this.#maxValueBytes;
    if (most === 0 || length <= most) {
      return undefined;
    }
    const message = `the value has ${length} bytes; the limit of ${this.#namespace} is ${most}`;
    return new Refusal("value_too_large", message, { field });
  }

  entry(entry: EntryWrite): EntryWrite | Refusal {
    const ttlMs = this.#given(entry.ttlMs, "ttl_seconds");
    if (isRefusal(ttlMs)) {
      return ttlMs;
    }
    return this.value(entry.value, "value") ?? (ttlMs === entry.ttlMs ? entry : { ...entry, ttlMs });
  }

  commit(commit: Commit): Commit | Refusal {
    const mutations: Mutation[] = [];
    // The keys that have an entry when a mutation comes to them, as far as the commit says so.
    const there = new Set(commit.checks.filter(({ is }) => is !== "absent").map(({ key }) => key));
    for (const [i, mutation] of commit.mutations.entries()) {
      const answer = this.#mutation(mutation, there, `mutations[${i}].${mutation.do}`);
      if (isRefusal(answer)) {
        return answer;
      }
      mutations.push(answer);
    }
    return { ...commit, mutations };
  }

  put(put: RecordPut): RecordPut | Refusal {
    const items: RecordPut["items"][number][] = [];
    for (const [i, item] of put.items.entries()) {
      const large = this.value(item.value, `items[${i}].value`);
      const ttlMs = large ?? this.#given(item.ttlMs, `items[${i}].metadata.ttl_seconds`);
      if (isRefusal(ttlMs)) {
        return ttlMs;
      }
      items.push({ ...item, ttlMs });
    }
    return { ...put, items };
  }

  swap(swap: ItemSwap): ItemSwap | Refusal {
    if (swap.expected === undefined && this.#needsTtl) {
      const message = `a swap makes items that never expire, which ${this.#namespace} does not take: use Put`;
      return new Refusal("invalid_field", message, { field: "old_value" });
    }
    return this.value(swap.value, "new_value") ?? swap;
  }

  append(append: EventAppend): EventAppend | Refusal {
    for (const [i, { payload }] of append.events.entries()) {
      const large = this.value(payload, `events[${i}].payload`);
      if (large !== undefined) {
        return large;
      }
    }
    return { ...this.kept(append), refusesExpired: this.#refusesExpired };
  }

  /** With the retention of the namespace, if it states none. */
  kept<Item extends { readonly retentionMs: number }>(item: Item): Item {
    return item.retentionMs === 0 ? { ...item, retentionMs: this.#retentionMs } : item;
  }

  #mutation(mutation: Mutation, there: Set<string>, path: string): Mutation | Refusal {
    const { key } = mutation;
    switch (mutation.do) {
      case "set":
      case "add": {
        there.add(key);
        const large = mutation.do === "set" ? this.value(mutation.value, `${path}.value`) : undefined;
        const ttlMs = large ?? this.#given(mutation.ttlMs, `${path}.ttl_seconds`);
        return isRefusal(ttlMs) ? ttlMs : { ...mutation, ttlMs };
      }
      case "replace": {
        if (!there.has(key) && this.#needsTtl) {
          const message = `replace can make an entry that never expires, which ${this.#namespace} does not take: check in the same commit that the key is present, or use set`;
          return new Refusal("invalid_field", message, { field: path });
        }
        return this.value(mutation.value, `${path}.value`) ?? mutation;
      }
      case "expire":
        return this.#wrong(mutation.ttlMs, `${path}.ttl_seconds`) ?? mutation;
      case "persist": {
        const message = `${this.#namespace} takes no entries that never expire`;
        return this.#ttl.maxSeconds > 0 ? new Refusal("invalid_field", message, { field: path }) : mutation;
      }
      case "delete":
        there.delete(key);
        return mutation;
    }
  }

  /** Whether what is written without a time to live would be against the rules. */
  get #needsTtl(): boolean {
    return this.#ttl.defaultSeconds > 0 || this.#ttl.maxSeconds > 0;
  }

  /** The time to live of what is written with this one; 0 = none was given, or it has none. */
  #given(ttlMs: number, field: string): number | Refusal {
    const { defaultSeconds, maxSeconds } = this.#ttl;
    const chosenMs = ttlMs === 0 ? defaultSeconds * 1000 : ttlMs;
    return chosenMs === 0 && maxSeconds === 0 ? 0 : (this.#wrong(chosenMs, field) ?? chosenMs);
  }

  /** What is wrong with a time to live; `undefined` = nothing. */
  #wrong(ttlMs: number, field: string): Refusal | undefined {
    const { minSeconds, maxSeconds, forbidden } = this.#ttl;
    const seconds = ttlMs / 1000;
    if (!forbidden && ttlMs > 0 && seconds >= minSeconds && (maxSeconds === 0 || seconds <= maxSeconds)) {
      return undefined;
    }
    const message = forbidden
      ? `${this.#namespace} takes no time to live`
      : `the time to live must be ${rangeOf(this.#ttl)} seconds in ${this.#namespace}, and ${ttlMs === 0 ? "none" : seconds} came`;
    return new Refusal("invalid_field", message, { field });
  }
}

function rangeOf({ minSeconds, maxSeconds }: TtlRules): string {
  return maxSeconds === 0 ? `at least ${minSeconds}` : `${Math.max(minSeconds, 1)} to ${maxSeconds}`;
}
