import { Code } from "@connectrpc/connect";
import { KeyValueRangeInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_range_pb.ts";
import { CALL_OPTIONS, type CallOptions, type Invoker } from "../call.ts";
import { fromInt64, ownBytes, toFlag, toInt32, toText, toToken } from "../convert.ts";
import { PrismError } from "../errors.ts";
import { NAME_OPTIONS, type NameOptions, readPages, toPageRequest } from "../pages.ts";
import { type Group, resumed } from "../resumed.ts";

/** Which keys to read, and how. A range is what `start`, `end` and `prefix` have in common. */
export interface RangeOptions extends CallOptions {
  /** The least key of the range, whatever the direction. Absent or "": there is no least. */
  readonly start?: string | undefined;
  /** The range ends before this key, whatever the direction. Absent or "": there is no end. */
  readonly end?: string | undefined;
  /** The beginning of the keys. Absent or "": any. */
  readonly prefix?: string | undefined;
  /** True: the greatest key comes first. Absent or false: the least. */
  readonly reverse?: boolean | undefined;
  /** The most entries and common prefixes, the first in the order of the call. Absent or 0: all. */
  readonly limit?: number | undefined;
  /**
   * What ends the name of a folder, for example "/". All keys in which it occurs behind `prefix`
   * and that begin alike up to there are one {@link CommonPrefix}. Absent or "": there is none.
   */
  readonly delimiter?: string | undefined;
  /** Where an earlier range stopped, which had the same options but `limit`. */
  readonly pageToken?: Uint8Array | undefined;
}

/** {@link RangeOptions} without folders. */
export interface FlatRangeOptions extends RangeOptions {
  readonly delimiter?: undefined;
}

/** Where a later call can go on: the `pageToken` of its options. */
interface Position {
  /**
   * Goes on behind this one. Only some have it, always the last one before a `limit`. `undefined`
   * in the last one = the range is at its end.
   */
  readonly pageToken: Uint8Array<ArrayBuffer> | undefined;
}

/** A key of a range. */
export interface RangeKey extends Position {
  readonly key: string;
  readonly commonPrefix?: undefined;
}

/** An entry of a range. */
export interface RangeEntry extends RangeKey {
  readonly value: Uint8Array<ArrayBuffer>;
}

/** What stands for all keys of a range that begin alike up to a delimiter. */
export interface CommonPrefix extends Position {
  /** The beginning of the keys. It ends with the delimiter. */
  readonly commonPrefix: string;
  readonly key?: undefined;
  readonly value?: undefined;
}

/** Which entries come in pages. */
export type PageOptions = NameOptions;

/** An entry of a page. */
export interface PageEntry {
  readonly key: string;
  readonly value: Uint8Array<ArrayBuffer>;
  /** Milliseconds until it expires; `undefined` = never. */
  readonly ttlMs: number | undefined;
}

/** What the messages of both streams have. */
interface Message {
  readonly key: string;
  readonly commonPrefix: string;
  readonly pageToken: Uint8Array;
}

/** The most messages of which only the last one has a token. keyvalue_range.proto promises it. */
const MAX_GROUP_MESSAGES = 1024;

const NO_TOKEN = new Uint8Array(0);

const { method } = KeyValueRangeInterface;
const BOUNDS = { start: true, end: true, prefix: true } as const;
const RANGE_OPTIONS = {
  ...BOUNDS,
  reverse: true,
  limit: true,
  delimiter: true,
  pageToken: true,
  ...CALL_OPTIONS,
} satisfies Record<keyof RangeOptions, true>;

const READ_RANGE = { method: method.readRange, options: RANGE_OPTIONS };
const READ_KEYS = { method: method.readKeys, options: RANGE_OPTIONS };
const READ_PAGE = { method: method.readPage, options: NAME_OPTIONS };

/** The calls of KeyValueRangeInterface. */
export function rangeCalls(invoker: Invoker) {
  function range(options?: FlatRangeOptions): AsyncIterable<RangeEntry, void, undefined>;
  function range(options: RangeOptions): AsyncIterable<RangeEntry | CommonPrefix, void, undefined>;
  function range(options: RangeOptions = {}): AsyncIterable<RangeEntry | CommonPrefix, void, undefined> {
    return resumed(RANGE_OPTIONS, options, (rest, token) =>
      groupsOf(
        invoker.stream(READ_RANGE, rest, (namespace) => toRequest(namespace, rest, token), same),
        ({ key, value }, pageToken) => ({ key, value: ownBytes(value), pageToken }),
      ),
    );
  }

  function rangeKeys(options?: FlatRangeOptions): AsyncIterable<RangeKey, void, undefined>;
  function rangeKeys(options: RangeOptions): AsyncIterable<RangeKey | CommonPrefix, void, undefined>;
  function rangeKeys(options: RangeOptions = {}): AsyncIterable<RangeKey | CommonPrefix, void, undefined> {
    return resumed(RANGE_OPTIONS, options, (rest, token) =>
      groupsOf(
        invoker.stream(READ_KEYS, rest, (namespace) => toRequest(namespace, rest, token), same),
        ({ key }, pageToken) => ({ key, pageToken }),
      ),
    );
  }

  return {
    /**
     * The entries of a range with their times to live, in pages, by the order of the keys' UTF-8
     * bytes: for copies of many entries. A page has at most 1,024, and some hundred kilobytes or
     * one larger value; it may have none. The next one is asked for while the loop has this one.
     * The values of a page share their memory: copy one that is kept longer than the others. A
     * timeout limits the call for each page.
     *
     * ```ts
     * for await (const entries of client.keyvalue.pages({ prefix: "user:" })) {
     *   for (const { key, value, ttlMs } of entries) { ... }
     * }
     * ```
     */
    async *pages(options: PageOptions = {}): AsyncGenerator<readonly PageEntry[], void, undefined> {
      const read = (pageToken: Uint8Array) =>
        invoker.unary(READ_PAGE, options, (namespace) => toPageRequest(namespace, options, pageToken));
      for await (const { entries } of readPages(read)) {
        yield entries.map(({ key, value, remainingMs }) => ({
          key,
          // A view: copies would take most of the time that a page takes.
          value: viewOf(value),
          ttlMs: remainingMs === undefined ? undefined : fromInt64("remaining_ms", remainingMs),
        }));
      }
    },

    /**
     * The entries of a range of keys, in either direction, by the order of the keys' UTF-8 bytes.
     * If the connection breaks meanwhile, the range goes on where it was. Leaving the loop ends the
     * call. A timeout limits the whole range.
     *
     * ```ts
     * const { keyvalue } = client;
     * for await (const { key, value } of keyvalue.range({ start: "2026-01", end: "2026-07" })) {
     *   ...
     * }
     *
     * const page = await Array.fromAsync(keyvalue.range({ prefix: "log:", limit: 20 }));
     * const pageToken = page.at(-1)?.pageToken; // for the next page; undefined = there is none
     *
     * for await (const { key, commonPrefix } of keyvalue.rangeKeys({ delimiter: "/" })) {
     *   console.log(commonPrefix ?? key);
     * }
     * ```
     */
    range,

    /** The keys that `range` would return, without their values. */
    rangeKeys,
  };
}

/** Gathers messages until the one with the token that is behind all of them. */
async function* groupsOf<M extends Message, Item>(
  messages: AsyncIterable<M>,
  toItem: (message: M, pageToken: Position["pageToken"]) => Item,
): AsyncGenerator<Group<Item | CommonPrefix>, void, undefined> {
  let items: (Item | CommonPrefix)[] = [];
  for await (const message of messages) {
    const token = message.pageToken.length > 0 ? ownBytes(message.pageToken) : undefined;
    const { commonPrefix } = message;
    items.push(commonPrefix === "" ? toItem(message, token) : { commonPrefix, pageToken: token });
    if (token !== undefined) {
      yield { items, token };
      items = [];
    } else if (items.length > MAX_GROUP_MESSAGES) {
      throw tooFewTokens();
    }
  }
  yield { items, token: undefined };
}

function toRequest(namespace: string, options: RangeOptions, token: Uint8Array | undefined) {
  const { start = "", end = "", prefix = "", delimiter = "" } = options;
  const { reverse = false, limit = 0, pageToken = NO_TOKEN } = options;
  return {
    namespace,
    start: toText("start", start),
    end: toText("end", end),
    prefix: toText("prefix", prefix),
    delimiter: toText("delimiter", delimiter),
    reverse: toFlag("reverse", reverse),
    limit: toInt32("limit", limit),
    pageToken: token ?? toToken("pageToken", pageToken),
  };
}

function tooFewTokens(): PrismError {
  return new PrismError(`the gateway sent more than ${MAX_GROUP_MESSAGES} messages without a page token`, {
    reason: "internal",
    code: Code.Internal,
  });
}

/** The bytes where they are, and in Node no Buffer. A received message is in no shared memory. */
function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);
}

function same<T>(message: T): T {
  return message;
}
