/** A driver for unstorage: `prism-client/unstorage`. */
import { requireKnown } from "../call.ts";
import { type EntriesOf, ownPrefix, secondsOf, setEntries, textOf, unlessAbsent } from "./entries.ts";

/** The options of a {@link StorageDriver}. */
export interface StorageDriverOptions {
  /** What the keys begin with, and a colon. Default: `unstorage`. Not empty. */
  readonly base?: string | undefined;
  /** Whole seconds until an item expires that is set without a `ttl`. Absent or 0: never. */
  readonly ttl?: number | undefined;
}

const OPTIONS = { base: true, ttl: true } satisfies Record<keyof StorageDriverOptions, true>;

/** The options of an item that is set. Others are for other drivers. */
export interface StorageItemOptions {
  /** Whole seconds until the item expires, instead of the driver's. 0: never. */
  readonly ttl?: number | undefined;
}

/** What unstorage calls: its interface of drivers. Keys and bases are below the driver's base. */
export interface StorageDriver {
  readonly name: string;
  readonly options: StorageDriverOptions;
  /** The client, or its namespace. */
  getInstance(): EntriesOf;
  /** Whether an item exists. */
  hasItem(key: string): Promise<boolean>;
  /** The text of an item; its bytes if they are no text. `null` = there is none. */
  getItem(key: string): Promise<string | Uint8Array<ArrayBuffer> | null>;
  /** As `getItem`, of many items in their order, by one call. */
  getItems(
    items: readonly { readonly key: string }[],
  ): Promise<{ key: string; value: string | Uint8Array<ArrayBuffer> | null }[]>;
  /** The bytes of an item. `null` = there is none. */
  getItemRaw(key: string): Promise<Uint8Array<ArrayBuffer> | null>;
  /** Writes an item. */
  setItem(key: string, value: string, options?: StorageItemOptions): Promise<void>;
  /** Writes many items: together, if they have one time to live. */
  setItems(
    items: readonly {
      readonly key: string;
      readonly value: string;
      readonly options?: StorageItemOptions;
    }[],
  ): Promise<void>;
  /** Writes bytes, or text, as they are. Throws `invalid_field` for anything else. */
  setItemRaw(key: string, value: unknown, options?: StorageItemOptions): Promise<void>;
  /** Deletes an item. */
  removeItem(key: string): Promise<void>;
  /** The seconds until an item expires, if it does. `null` = there is no such item. */
  getMeta(key: string): Promise<{ ttl?: number } | null>;
  /** All keys that begin with `base`. */
  getKeys(base?: string): Promise<string[]>;
  /** Deletes the items whose keys begin with `base`; without one, all of the driver. */
  clear(base?: string): Promise<void>;
}

/**
 * A driver with the entries of a client, or of a namespace of it, that begin with `base`. The
 * client stays open when the storage is disposed of: close it yourself. Throws `invalid_field` for
 * an option that does not exist or an empty base; every call fails with a `PrismError`.
 *
 * ```ts
 * const storage = createStorage({ driver: createStorageDriver(client, { base: "app" }) });
 * await storage.setItem("user:1", { name: "alice" }, { ttl: 60 });
 * ```
 */
export function createStorageDriver(client: EntriesOf, options: StorageDriverOptions = {}): StorageDriver {
  requireKnown(OPTIONS, options);
  const { keyvalue } = client;
  const prefix = `${ownPrefix("base", options.base ?? "unstorage").replace(/:$/, "")}:`;
  const ttlOf = (given: StorageItemOptions | undefined) => ({ ttlSeconds: given?.ttl ?? options.ttl });
  const toItem = (bytes: Uint8Array<ArrayBuffer> | undefined) =>
    bytes === undefined ? null : (textOf(bytes) ?? bytes);

  return {
    name: "prism",
    options,
    getInstance: () => client,

    async hasItem(key) {
      return await keyvalue.exists(prefix + key);
    },

    async getItem(key) {
      return toItem(await keyvalue.find(prefix + key));
    },

    async getItems(items) {
      const found = await keyvalue.getMany(items.map(({ key }) => prefix + key));
      return items.map(({ key }, index) => ({ key, value: toItem(found[index]) }));
    },

    async getItemRaw(key) {
      return (await keyvalue.find(prefix + key)) ?? null;
    },

    async setItem(key, value, given) {
      await keyvalue.set(prefix + key, value, ttlOf(given));
    },

    async setItems(items) {
      await setEntries(
        keyvalue,
        items.map(({ key, value, options: given }) => ({ key: prefix + key, value, ...ttlOf(given) })),
      );
    },

    async setItemRaw(key, value, given) {
      // The call refuses what has no bytes.
      await keyvalue.set(prefix + key, value as Uint8Array, ttlOf(given));
    },

    async removeItem(key) {
      await keyvalue.delete(prefix + key);
    },

    async getMeta(key) {
      const left = await unlessAbsent(keyvalue.ttl(prefix + key).then((ttlMs) => ({ ttlMs })));
      if (left === undefined) {
        return null;
      }
      return left.ttlMs === undefined ? {} : { ttl: secondsOf(left.ttlMs) };
    },

    async getKeys(base = "") {
      const keys: string[] = [];
      for await (const { key } of keyvalue.rangeKeys({ prefix: prefix + base })) {
        keys.push(key.slice(prefix.length));
      }
      return keys;
    },

    async clear(base = "") {
      await keyvalue.deletePrefix(prefix + base);
    },
  };
}
