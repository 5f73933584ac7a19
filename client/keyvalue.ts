import type { Client } from "@connectrpc/connect";
import { KeyValueBasicInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { KeyValueBatchInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_batch_pb.ts";
import { KeyValueCASInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_cas_pb.ts";
import { KeyValueCounterInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_counter_pb.ts";
import { KeyValueScanInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { KeyValueTransactionInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_transaction_pb.ts";
import { KeyValueTTLInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_ttl_pb.ts";
import { CALL_OPTIONS, type CallOptions, type Invoker } from "./call.ts";
import { fromInt64, ownBytes, toBytes, toInt32, toSignedInt64, toText, type Value } from "./convert.ts";
import { type Entry, type Expectation, fromEntry, toExpectation } from "./entry.ts";
import { checkAnswers, inSlices } from "./many.ts";
import { Transaction } from "./transaction.ts";
import {
  INCREMENT_OPTIONS,
  type IncrementOptions,
  SET_OPTIONS,
  type SetOptions,
  toInitial,
  toTtl,
} from "./write-options.ts";

/** What became of a write that was made if the entry was as expected. */
export type Swap =
  | { readonly swapped: true; readonly version: number }
  /** `actual`: what is there instead; `undefined` = nothing. */
  | { readonly swapped: false; readonly actual: Entry | undefined };

/** What became of a delete that was made if the entry was as expected. */
export type ConditionalDelete =
  | { readonly deleted: true }
  | { readonly deleted: false; readonly actual: Entry | undefined };

/** What became of a write that was made if there was no entry. */
export type Creation =
  | { readonly created: true; readonly version: number }
  | { readonly created: false; readonly actual: Entry };

/** The options of a scan. */
export interface ScanOptions extends CallOptions {
  /** The most entries to return, the first in key order. Absent or 0: all. */
  readonly limit?: number | undefined;
}

const basic = KeyValueBasicInterface.method;
const scans = KeyValueScanInterface.method;

const batch = KeyValueBatchInterface.method;
const ttl = KeyValueTTLInterface.method;
const cas = KeyValueCASInterface.method;
const SCAN_OPTIONS = { limit: true, ...CALL_OPTIONS } satisfies Record<keyof ScanOptions, true>;

const SET = { method: basic.set, options: SET_OPTIONS };
const GET = { method: basic.get, options: CALL_OPTIONS };
const DELETE = { method: basic.delete, options: CALL_OPTIONS };
const EXISTS = { method: basic.exists, options: CALL_OPTIONS };
const SCAN = { method: scans.scan, options: SCAN_OPTIONS };
const SCAN_KEYS = { method: scans.scanKeys, options: SCAN_OPTIONS };
const COUNT = { method: scans.count, options: CALL_OPTIONS };
const BATCH_GET = { method: batch.batchGet, options: CALL_OPTIONS };
const BATCH_SET = { method: batch.batchSet, options: SET_OPTIONS };
const BATCH_DELETE = { method: batch.batchDelete, options: CALL_OPTIONS };
const EXPIRE = { method: ttl.expire, options: CALL_OPTIONS };
const GET_TTL = { method: ttl.getTTL, options: CALL_OPTIONS };
const PERSIST = { method: ttl.persist, options: CALL_OPTIONS };
const COMPARE_AND_SWAP = { method: cas.compareAndSwap, options: SET_OPTIONS };
const COMPARE_AND_DELETE = { method: cas.compareAndDelete, options: CALL_OPTIONS };
const SET_IF_ABSENT = { method: cas.setIfAbsent, options: SET_OPTIONS };
const INCREMENT = { method: KeyValueCounterInterface.method.increment, options: INCREMENT_OPTIONS };
const READ = { method: KeyValueTransactionInterface.method.read, options: CALL_OPTIONS };

/**
 * Entries: one key, one value. Keys are 1 to 1,024 bytes of UTF-8. Every call fails with a
 * `PrismError`.
 *
 * ```ts
 * await client.keyvalue.set("user:1", "alice", { ttlSeconds: 60 });
 * const value = await client.keyvalue.get("user:1"); // Uint8Array
 * ```
 */
export class KeyValueApi {
  readonly #invoker: Invoker;
  readonly #basic: Client<typeof KeyValueBasicInterface>;
  readonly #scan: Client<typeof KeyValueScanInterface>;
  readonly #batch: Client<typeof KeyValueBatchInterface>;
  readonly #ttl: Client<typeof KeyValueTTLInterface>;
  readonly #cas: Client<typeof KeyValueCASInterface>;
  readonly #counter: Client<typeof KeyValueCounterInterface>;
  readonly #transaction: Client<typeof KeyValueTransactionInterface>;

  constructor(invoker: Invoker) {
    this.#invoker = invoker;
    this.#basic = invoker.service(KeyValueBasicInterface);
    this.#scan = invoker.service(KeyValueScanInterface);
    this.#batch = invoker.service(KeyValueBatchInterface);
    this.#ttl = invoker.service(KeyValueTTLInterface);
    this.#cas = invoker.service(KeyValueCASInterface);
    this.#counter = invoker.service(KeyValueCounterInterface);
    this.#transaction = invoker.service(KeyValueTransactionInterface);
  }

  /** Writes an entry, and replaces an older one with the same key. Text is stored as UTF-8. */
  async set(key: string, value: Value, options: SetOptions = {}): Promise<void> {
    await this.#invoker.unary(SET, options, (namespace, call) =>
      this.#basic.set({ namespace, ...entry(key, value), ...toTtl(options) }, call),
    );
  }

  /**
   * The value of an entry. Throws `KeyNotFoundError` if the key is absent or has expired, and
   * `NamespaceNotFoundError` if the namespace is unknown.
   *
   * ```ts
   * const text = new TextDecoder().decode(await client.keyvalue.get("greeting"));
   * ```
   */
  async get(key: string, options: CallOptions = {}): Promise<Uint8Array<ArrayBuffer>> {
    const response = await this.#invoker.unary({ ...GET, key }, options, (namespace, call) =>
      this.#basic.get({ namespace, key: toText("key", key) }, call),
    );
    return ownBytes(response.value);
  }

  /** Deletes an entry. True: it existed. */
  async delete(key: string, options: CallOptions = {}): Promise<boolean> {
    const response = await this.#invoker.unary(DELETE, options, (namespace, call) =>
      this.#basic.delete({ namespace, key: toText("key", key) }, call),
    );
    return response.found;
  }

  /** Whether a key exists. Its value may be empty. */
  async exists(key: string, options: CallOptions = {}): Promise<boolean> {
    const response = await this.#invoker.unary(EXISTS, options, (namespace, call) =>
      this.#basic.exists({ namespace, key: toText("key", key) }, call),
    );
    return response.exists;
  }

  /**
   * The entries whose keys begin with `prefix` ("" = all), in ascending order of the keys' UTF-8
   * bytes. The gateway waits for a slow reader. Leaving the loop ends the call. A timeout limits
   * the whole scan.
   *
   * ```ts
   * for await (const [key, value] of client.keyvalue.scan("user:", { limit: 10 })) { ... }
   * ```
   */
  scan(
    prefix = "",
    options: ScanOptions = {},
  ): AsyncIterable<[key: string, value: Uint8Array<ArrayBuffer>], void, undefined> {
    return this.#invoker.stream(
      SCAN,
      options,
      (namespace, call) => this.#scan.scan(scanRequest(namespace, prefix, options), call),
      ({ key, value }): [string, Uint8Array<ArrayBuffer>] => [key, ownBytes(value)],
    );
  }

  /** The keys that {@link KeyValueApi.scan} would return, without their values. */
  scanKeys(prefix = "", options: ScanOptions = {}): AsyncIterable<string, void, undefined> {
    return this.#invoker.stream(
      SCAN_KEYS,
      options,
      (namespace, call) => this.#scan.scanKeys(scanRequest(namespace, prefix, options), call),
      ({ key }) => key,
    );
  }

  /** The exact number of keys that begin with `prefix` ("" = all). */
  async count(prefix = "", options: CallOptions = {}): Promise<number> {
    const response = await this.#invoker.unary(COUNT, options, (namespace, call) =>
      this.#scan.count({ namespace, prefix: toText("prefix", prefix) }, call),
    );
    return fromInt64("count", response.count);
  }

  /**
   * The values of many keys, in their order; `undefined` = the key is absent or has expired. More
   * than 1,000 keys make several calls, one after another.
   *
   * ```ts
   * const [alice, bob] = await client.keyvalue.getMany(["user:1", "user:2"]);
   * ```
   */
  async getMany(
    keys: Iterable<string>,
    options: CallOptions = {},
  ): Promise<(Uint8Array<ArrayBuffer> | undefined)[]> {
    return await inSlices(texts(keys), async (slice) => {
      const { results } = await this.#invoker.unary(BATCH_GET, options, (namespace, call) =>
        this.#batch.batchGet({ namespace, keys: slice }, call),
      );
      checkAnswers(slice, results);
      return results.map(({ found, value }) => (found ? ownBytes(value) : undefined));
    });
  }

  /**
   * Writes many entries; of two with one key the later one wins. Up to 1,000 entries are written
   * together: all or none, if the namespace's store can do that over these keys. More make several
   * calls, one after another. Throws the first failure.
   *
   * ```ts
   * await client.keyvalue.setMany([["user:1", "alice"], ["user:2", "bob"]], { ttlSeconds: 60 });
   * ```
   */
  async setMany(
    entries: Iterable<readonly [key: string, value: Value]>,
    options: SetOptions = {},
  ): Promise<void> {
    const items = Array.from(entries, ([key, value]) => ({ ...entry(key, value), ...toTtl(options) }));
    await inSlices(items, async (slice) => {
      const { results } = await this.#invoker.unary(BATCH_SET, options, (namespace, call) =>
        this.#batch.batchSet({ namespace, items: slice }, call),
      );
      checkAnswers(slice, results);
      return [];
    });
  }

  /** Deletes many entries. Answers for each key whether it existed. Atomic as {@link setMany}. */
  async deleteMany(keys: Iterable<string>, options: CallOptions = {}): Promise<boolean[]> {
    return await inSlices(texts(keys), async (slice) => {
      const { results } = await this.#invoker.unary(BATCH_DELETE, options, (namespace, call) =>
        this.#batch.batchDelete({ namespace, keys: slice }, call),
      );
      checkAnswers(slice, results);
      return results.map(({ found }) => found);
    });
  }

  /**
   * Makes an entry expire after whole seconds from now, 1 or more. Throws `KeyNotFoundError` if the
   * key is absent.
   */
  async expire(key: string, ttlSeconds: number, options: CallOptions = {}): Promise<void> {
    await this.#invoker.unary({ ...EXPIRE, key }, options, (namespace, call) =>
      this.#ttl.expire({ namespace, key: toText("key", key), ...toTtl({ ttlSeconds }) }, call),
    );
  }

  /**
   * The milliseconds until an entry expires; `undefined` = never. Throws `KeyNotFoundError` if the
   * key is absent.
   */
  async ttl(key: string, options: CallOptions = {}): Promise<number | undefined> {
    const { remainingMs } = await this.#invoker.unary({ ...GET_TTL, key }, options, (namespace, call) =>
      this.#ttl.getTTL({ namespace, key: toText("key", key) }, call),
    );
    return remainingMs === undefined ? undefined : fromInt64("remaining_ms", remainingMs);
  }

  /**
   * Makes an entry never expire. True: it would have expired. Throws `KeyNotFoundError` if the key
   * is absent.
   */
  async persist(key: string, options: CallOptions = {}): Promise<boolean> {
    const { removed } = await this.#invoker.unary({ ...PERSIST, key }, options, (namespace, call) =>
      this.#ttl.persist({ namespace, key: toText("key", key) }, call),
    );
    return removed;
  }

  /**
   * Writes an entry if it is as expected. A mismatch is an answer, not an error. If the call fails
   * with a lost connection, it may have been made: read the entry before the next try.
   *
   * ```ts
   * const [before] = await client.keyvalue.getEntries(["plan"]);
   * const swap = await client.keyvalue.compareAndSwap(
   *   "plan", before === undefined ? { absent: true } : { version: before.version }, "new plan",
   * );
   * if (!swap.swapped) { ... swap.actual ... }
   * ```
   */
  async compareAndSwap(
    key: string,
    expected: Expectation,
    value: Value,
    options: SetOptions = {},
  ): Promise<Swap> {
    const { swapped, version, actual } = await this.#invoker.unary(
      COMPARE_AND_SWAP,
      options,
      (namespace, call) =>
        this.#cas.compareAndSwap(
          { namespace, ...entry(key, value), expected: { kind: toExpectation(expected) }, ...toTtl(options) },
          call,
        ),
    );
    return swapped
      ? { swapped, version: fromInt64("version", version) }
      : { swapped, actual: actual && fromEntry(actual) };
  }

  /** Deletes an entry if it has the expected value or version. */
  async compareAndDelete(
    key: string,
    expected: Exclude<Expectation, { readonly absent: true }>,
    options: CallOptions = {},
  ): Promise<ConditionalDelete> {
    const { deleted, actual } = await this.#invoker.unary(COMPARE_AND_DELETE, options, (namespace, call) =>
      this.#cas.compareAndDelete(
        { namespace, key: toText("key", key), expected: { kind: toExpectation(expected) } },
        call,
      ),
    );
    return deleted ? { deleted } : { deleted, actual: actual && fromEntry(actual) };
  }

  /** Writes an entry if there is none with this key. */
  async setIfAbsent(key: string, value: Value, options: SetOptions = {}): Promise<Creation> {
    const { created, version, actual } = await this.#invoker.unary(
      SET_IF_ABSENT,
      options,
      (namespace, call) =>
        this.#cas.setIfAbsent({ namespace, ...entry(key, value), ...toTtl(options) }, call),
    );
    return created || actual === undefined
      ? { created: true, version: fromInt64("version", version) }
      : { created, actual: fromEntry(actual) };
  }

  /**
   * Adds to a counter and answers the sum. An absent counter is made. `get` reads a counter as
   * decimal text. With a bigint the answer is one too: a sum beyond 2^53 needs it. Throws reason
   * `not_a_counter` if the entry holds something else, and `counter_overflow` if the sum has more
   * than 64 bits.
   *
   * ```ts
   * const visits = await client.keyvalue.increment("visits");
   * ```
   */
  increment(key: string, delta?: number, options?: IncrementOptions): Promise<number>;
  increment(key: string, delta: bigint, options?: IncrementOptions): Promise<bigint>;
  async increment(
    key: string,
    delta: number | bigint = 1,
    options: IncrementOptions = {},
  ): Promise<number | bigint> {
    const { value } = await this.#invoker.unary(INCREMENT, options, (namespace, call) => {
      const request = { namespace, key: toText("key", key), delta: toSignedInt64("delta", delta) };
      return this.#counter.increment({ ...request, ...toInitial(options), ...toTtl(options) }, call);
    });
    return typeof delta === "bigint" ? value : fromInt64("value", value);
  }

  /**
   * Entries with version and time to live, at most 1,000 keys, all as they were at one moment;
   * `undefined` = the key is absent or has expired.
   */
  async getEntries(keys: Iterable<string>, options: CallOptions = {}): Promise<(Entry | undefined)[]> {
    const { results } = await this.#invoker.unary(READ, options, (namespace, call) =>
      this.#transaction.read({ namespace, keys: texts(keys) }, call),
    );
    return results.map((result) => result.entry && fromEntry(result.entry));
  }

  /**
   * Changes of several keys that take effect together or not at all.
   *
   * ```ts
   * const outcome = await client.keyvalue
   *   .transaction()
   *   .check("from", { version: from.version })
   *   .set("from", "70")
   *   .set("to", "130")
   *   .commit();
   * if (!outcome.committed) { ... outcome.failedChecks ... }
   * ```
   */
  transaction(): Transaction {
    return new Transaction(this.#invoker, this.#transaction);
  }
}

function entry(key: string, value: Value) {
  return { key: toText("key", key), value: toBytes(value) };
}

function texts(keys: Iterable<string>): string[] {
  return Array.from(keys, (key) => toText("key", key));
}

function scanRequest(namespace: string, prefix: string, { limit = 0 }: ScanOptions) {
  return { namespace, prefix: toText("prefix", prefix), limit: toInt32("limit", limit) };
}
