import type { Client } from "@connectrpc/connect";
import { KeyValueBasicInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { KeyValueScanInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { CALL_OPTIONS, type CallOptions, type Invoker } from "./call.ts";
import { fromInt64, ownBytes, toBytes, toInt32, toInt64, toText, type Value } from "./convert.ts";

/** The options of a write. */
export interface SetOptions extends CallOptions {
  /**
   * Whole seconds until the entry expires. Absent or 0: it never expires, even if it replaces an
   * entry that would.
   */
  readonly ttlSeconds?: number | undefined;
}

/** The options of a scan. */
export interface ScanOptions extends CallOptions {
  /** The most entries to return, the first in key order. Absent or 0: all. */
  readonly limit?: number | undefined;
}

const basic = KeyValueBasicInterface.method;
const scans = KeyValueScanInterface.method;

const SET_OPTIONS = { ttlSeconds: true, ...CALL_OPTIONS } satisfies Record<keyof SetOptions, true>;
const SCAN_OPTIONS = { limit: true, ...CALL_OPTIONS } satisfies Record<keyof ScanOptions, true>;

const SET = { method: basic.set, options: SET_OPTIONS };
const GET = { method: basic.get, options: CALL_OPTIONS };
const DELETE = { method: basic.delete, options: CALL_OPTIONS };
const EXISTS = { method: basic.exists, options: CALL_OPTIONS };
const SCAN = { method: scans.scan, options: SCAN_OPTIONS };
const SCAN_KEYS = { method: scans.scanKeys, options: SCAN_OPTIONS };
const COUNT = { method: scans.count, options: CALL_OPTIONS };

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

  constructor(invoker: Invoker) {
    this.#invoker = invoker;
    this.#basic = invoker.service(KeyValueBasicInterface);
    this.#scan = invoker.service(KeyValueScanInterface);
  }

  /** Writes an entry, and replaces an older one with the same key. Text is stored as UTF-8. */
  async set(key: string, value: Value, options: SetOptions = {}): Promise<void> {
    await this.#invoker.unary(SET, options, (namespace, call) => {
      const { ttlSeconds } = options;
      const request = { namespace, key: toText("key", key), value: toBytes(value) };
      return this.#basic.set(
        ttlSeconds === undefined ? request : { ...request, ttlSeconds: toInt64("ttlSeconds", ttlSeconds) },
        call,
      );
    });
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
}

function scanRequest(namespace: string, prefix: string, { limit = 0 }: ScanOptions) {
  return { namespace, prefix: toText("prefix", prefix), limit: toInt32("limit", limit) };
}
