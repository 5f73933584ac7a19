import type { CallOptions } from "../call.ts";
import type { Codec } from "../codec.ts";
import type { Value } from "../convert.ts";
import type { basicCalls } from "./basic.ts";
import type { batchCalls } from "./batch.ts";
import type { ScanOptions, scanCalls } from "./scan.ts";
import type { SetOptions } from "./write-options.ts";

/** The calls that a {@link TypedKeyValueApi} is made of. */
type Calls = ReturnType<typeof basicCalls> & ReturnType<typeof batchCalls> & ReturnType<typeof scanCalls>;

/** The calls of `client.keyvalue` that read and write values, with values of one type. */
export interface TypedKeyValueApi<T> {
  /** As `client.keyvalue.set`. */
  set(key: string, value: T, options?: SetOptions): Promise<void>;
  /** As `client.keyvalue.get`. Throws also what the codec throws for a value of another type. */
  get(key: string, options?: CallOptions): Promise<T>;
  /** As `client.keyvalue.find`. */
  find(key: string, options?: CallOptions): Promise<T | undefined>;
  /** As `client.keyvalue.getMany`. */
  getMany(keys: Iterable<string> & object, options?: CallOptions): Promise<(T | undefined)[]>;
  /** As `client.keyvalue.setMany`. */
  setMany(entries: Iterable<readonly [key: string, value: T]> & object, options?: SetOptions): Promise<void>;
  /** As `client.keyvalue.scan`. */
  scan(prefix?: string, options?: ScanOptions): AsyncIterable<[key: string, value: T], void, undefined>;
}

/** The way to typed values. */
export function typedCalls(calls: Calls) {
  return {
    /**
     * The calls that read and write values, with values of one type: `json()` or a codec of your
     * own says how they are stored.
     *
     * ```ts
     * const users = client.keyvalue.as(json<User>());
     * await users.set("user:1", { name: "alice" });
     * const user = await users.find("user:1"); // User | undefined
     * ```
     */
    as<T>(codec: Codec<T>): TypedKeyValueApi<T> {
      return withCodec(calls, codec);
    },
  };
}

function withCodec<T>(calls: Calls, codec: Codec<T>): TypedKeyValueApi<T> {
  type Stored = Uint8Array<ArrayBuffer> | undefined;
  const decode = async (bytes: Stored) => (bytes === undefined ? undefined : await codec.decode(bytes));
  return {
    async set(key, value, options) {
      await calls.set(key, codec.encode(value), options);
    },
    async get(key, options) {
      return await codec.decode(await calls.get(key, options));
    },
    async find(key, options) {
      return await decode(await calls.find(key, options));
    },
    async getMany(keys, options) {
      return await Promise.all((await calls.getMany(keys, options)).map(decode));
    },
    async setMany(entries, options) {
      const encoded = Array.from(entries, ([key, value]): [string, Value] => [key, codec.encode(value)]);
      await calls.setMany(encoded, options);
    },
    async *scan(prefix, options) {
      for await (const [key, bytes] of calls.scan(prefix, options)) {
        yield [key, await codec.decode(bytes)];
      }
    },
  };
}
