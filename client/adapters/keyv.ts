/** A store for Keyv: `prism-client/keyv`. */
import { Code } from "@connectrpc/connect";
import { describe } from "../convert.ts";
import { invalidField, PrismError } from "../errors.ts";
import { type EntriesOf, secondsOf, setEntries, textOf } from "./entries.ts";

/**
 * What Keyv calls: the interface of stores of Keyv 5, which Keyv 6 takes too. Times to live are in
 * milliseconds.
 */
export interface KeyvStore {
  /** Keyv 5 goes through the entries of a store only if it knows its `dialect`. */
  readonly opts: { readonly dialect: string };
  /** What the keys begin with, and a colon. Keyv sets it. Absent or "": `keyv`. */
  namespace: string | undefined;
  /** The text of an entry. Throws `corrupt_data` if it is no text. */
  get(key: string): Promise<string | undefined>;
  /** As `get`, of many keys in their order. */
  getMany(keys: string[]): Promise<(string | undefined)[]>;
  /** Writes an entry. Throws `invalid_field` for a value that Keyv has not made text of. */
  set(key: string, value: unknown, ttl?: number): Promise<boolean>;
  /** Writes many entries: together, if they have one time to live. */
  setMany(entries: readonly KeyvEntry[]): Promise<boolean[]>;
  /** True: the entry existed. */
  delete(key: string): Promise<boolean>;
  /** True: every entry existed. */
  deleteMany(keys: string[]): Promise<boolean>;
  /** Deletes the entries of the namespace. */
  clear(): Promise<void>;
  /** Whether an entry exists. */
  has(key: string): Promise<boolean>;
  /** As `has`, of many keys in their order. */
  hasMany(keys: string[]): Promise<boolean[]>;
  /** The entries of the namespace, by the order of their keys. */
  iterator(): AsyncGenerator<[key: string, value: string], void, undefined>;
}

/** An entry of {@link KeyvStore}'s `setMany`. */
export interface KeyvEntry {
  readonly key: string;
  readonly value: unknown;
  readonly ttl?: number | undefined;
}

/** Keyv 5 gives this namespace to a store whose user names none. */
const DEFAULT_NAMESPACE = "keyv";

/**
 * A store for one Keyv, with the entries of a client or of a namespace of it. The client stays
 * open when Keyv disconnects: close it yourself. Every call fails with a `PrismError`, which Keyv 6
 * tells by its event `error`, and Keyv 5 throws if it is made with `throwOnErrors`.
 *
 * A time to live is rounded up to whole seconds; Keyv itself stops reading the entry in time.
 *
 * ```ts
 * const cache = new Keyv({ store: createKeyvStore(client), namespace: "cache" });
 * await cache.set("user:1", { name: "alice" }, 60_000);
 * ```
 */
export function createKeyvStore({ keyvalue }: EntriesOf): KeyvStore {
  const prefix = () => `${store.namespace || DEFAULT_NAMESPACE}:`;
  const toKey = (key: string) => prefix() + key;

  const store: KeyvStore = {
    // Of those that Keyv knows the one that is most like this: ordered, and over gRPC.
    opts: { dialect: "etcd" },
    namespace: undefined,

    async get(key) {
      const bytes = await keyvalue.find(toKey(key));
      return bytes && toValue(toKey(key), bytes);
    },

    async getMany(keys) {
      const stored = keys.map(toKey);
      const found = await keyvalue.getMany(stored);
      return found.map((bytes, index) => bytes && toValue(stored[index], bytes));
    },

    async set(key, value, ttl) {
      await keyvalue.set(toKey(key), toStored(value), { ttlSeconds: toTtlSeconds(ttl) });
      return true;
    },

    async setMany(entries) {
      await setEntries(
        keyvalue,
        entries.map(({ key, value, ttl }) => ({
          key: toKey(key),
          value: toStored(value),
          ttlSeconds: toTtlSeconds(ttl),
        })),
      );
      return entries.map(() => true);
    },

    async delete(key) {
      return await keyvalue.delete(toKey(key));
    },

    async deleteMany(keys) {
      const existed = await keyvalue.deleteMany(keys.map(toKey));
      return existed.every(Boolean);
    },

    async clear() {
      await keyvalue.deletePrefix(prefix());
    },

    async has(key) {
      return await keyvalue.exists(toKey(key));
    },

    async hasMany(keys) {
      const found = await keyvalue.getMany(keys.map(toKey));
      return found.map((bytes) => bytes !== undefined);
    },

    async *iterator() {
      const begin = prefix();
      for await (const { key, value } of keyvalue.range({ prefix: begin })) {
        yield [key.slice(begin.length), toValue(key, value)];
      }
    },
  };
  return store;
}

function toValue(key: string | undefined, bytes: Uint8Array): string {
  const text = textOf(bytes);
  if (text === undefined) {
    throw new PrismError(`the value of key ${JSON.stringify(key)} is no text; another program wrote it`, {
      reason: "corrupt_data",
      code: Code.DataLoss,
    });
  }
  return text;
}

function toStored(value: unknown): string {
  if (typeof value !== "string") {
    throw invalidField(`value must be text, not ${describe(value)}: let Keyv serialize values`);
  }
  return value;
}

/** A time that has passed is one second: Keyv does not read the entry any more. */
function toTtlSeconds(ttlMs: number | undefined): number | undefined {
  return ttlMs === undefined ? undefined : Math.max(1, secondsOf(ttlMs));
}
