import { KeyValueRangeInterface } from "../../../gen/prism/interfaces/keyvalue/keyvalue_range_pb.ts";
import { KeyValueScanInterface } from "../../../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { MAX_KEY_BYTES, SCAN_PAGE_ENTRIES } from "../../limits.ts";
import type { Call, Page, PageQuery, ScanRange, ScanStore } from "../contract.ts";
import { OPERATIONS } from "../operations.ts";
import { compareUtf8 } from "../utf8.ts";
import { ArrayValues } from "../values.ts";
import { toPrismError } from "./errors.ts";
import type { Plugin } from "./plugin.ts";
import type { StoreOptions } from "./stores.ts";

const { scan, scanKeys, count } = KeyValueScanInterface.method;
const { readRange, readKeys } = KeyValueRangeInterface.method;

/**
 * The most scans that wait for their readers. Each holds a few hundred KiB that were read ahead,
 * and a place on a connection. There are 256 places, so some remain for scans that are read.
 */
export const MAX_WAITING_SCANS = 192;

/** How long a scan waits for its reader. A reader that comes later causes a new scan. */
const WAIT_MS = 60_000;

/** The scans of a plugin. Closing them ends them. */
export interface RemoteScans extends ScanStore {
  /** Ends the scans that wait for their readers. */
  close(): void;
}

/**
 * The wire streams a scan, while the contract asks for single pages. So a scan's stream stays open
 * and unread until the same call asks for its next page; flow control holds the plugin back. If the
 * stream is gone (too many streams, or a slow reader), the next page starts a new scan and skips
 * what came before.
 */
export function createScans({ plugin }: StoreOptions): RemoteScans {
  /** The waiting scans, the oldest first. A call has at most one. */
  const waiting = new Map<Call, RemoteScan>();

  function take(namespace: string, query: PageQuery, call: Call): RemoteScan | undefined {
    const found = waiting.get(call);
    waiting.delete(call);
    if (found?.continues(namespace, query) === true) {
      found.wake();
      return found;
    }
    found?.close();
    return undefined;
  }

  function keep(found: RemoteScan, call: Call): void {
    const [oldest] = waiting;
    if (waiting.size >= MAX_WAITING_SCANS && oldest !== undefined) {
      waiting.delete(oldest[0]);
      oldest[1].close();
    }
    waiting.set(call, found);
    found.wait(() => waiting.delete(call));
  }

  return {
    async scanPage(namespace, query, call) {
      if (Buffer.byteLength(query.prefix) > MAX_KEY_BYTES || isEmpty(query)) {
        return { keys: [], values: new ArrayValues([]), next: undefined };
      }
      const found = take(namespace, query, call) ?? new RemoteScan(plugin(), namespace, query, call);
      try {
        const page = await found.page(query);
        if (page.next !== undefined && query.maxEntries >= SCAN_PAGE_ENTRIES) {
          keep(found, call);
        } else {
          found.close();
        }
        return page;
      } catch (error) {
        found.close();
        throw toPrismError(error, { call, write: false });
      }
    },

    async count(namespace, prefix, call) {
      if (Buffer.byteLength(prefix) > MAX_KEY_BYTES) {
        return 0;
      }
      return Number(
        (await plugin().ask(count, { namespace, prefix }, call, OPERATIONS.scans.count.writes)).count,
      );
    },

    close() {
      for (const found of waiting.values()) {
        found.close();
      }
      waiting.clear();
    },
  };
}

/** A range, and the place in it behind which a page begins. */
type Rest = ScanRange & Pick<PageQuery, "after">;

/** Whether no key can be in what is left of a range. The wire refuses an end before the start. */
export function isEmpty(query: Rest): boolean {
  const { start, end } = boundsOf(query);
  return end !== undefined && compareUtf8(start, end) >= 0;
}

/**
 * The bounds of the keys that come after `after`. In ascending order `after` itself is within them,
 * because the least key behind it may be longer than the wire takes.
 */
export function boundsOf({ start = "", end, reverse = false, after }: Rest): {
  readonly start: string;
  readonly end: string | undefined;
} {
  if (after === undefined) {
    return { start, end };
  }
  if (reverse) {
    return { start, end: end !== undefined && compareUtf8(end, after) < 0 ? end : after };
  }
  return { start: compareUtf8(start, after) > 0 ? start : after, end };
}

/** One scan at the plugin and its position. */
class RemoteScan {
  readonly #namespace: string;
  readonly #range: ScanRange;
  readonly #keysOnly: boolean;
  readonly #leaving = new AbortController();
  readonly #signal: AbortSignal;
  readonly #items: Promise<AsyncIterator<{ readonly key: string; readonly value?: Uint8Array }>>;
  /** The last key that was read or is to be skipped. `undefined` = none. */
  #after: string | undefined;
  #skipping: boolean;
  #timer: NodeJS.Timeout | undefined = undefined;
  #forget: () => void = () => {};

  constructor(plugin: Plugin, namespace: string, query: PageQuery, call: Call) {
    const { prefix, reverse = false, after, maxEntries, keysOnly } = query;
    this.#namespace = namespace;
    this.#range = query;
    this.#keysOnly = keysOnly;
    this.#after = after;
    this.#skipping = after !== undefined && !reverse;
    this.#signal = AbortSignal.any([call.signal, this.#leaving.signal]);
    // A Scan begins with the first key of the prefix. A range begins where this page does.
    const isRange =
      reverse ||
      query.start !== undefined ||
      query.end !== undefined ||
      (after !== undefined && plugin.lacks?.has(KeyValueRangeInterface.typeName) === false);
    // Asks for less than a whole page if no more is wanted, and for one more if one is skipped.
    const isShort = maxEntries < SCAN_PAGE_ENTRIES && (isRange || !this.#skipping);
    const limit = isShort ? maxEntries + (this.#skipping ? 1 : 0) : 0;
    const { start, end = "" } = boundsOf(query);
    const part = { namespace, prefix, limit };
    const range = { ...part, start, end, reverse };
    const signal = this.#signal;
    if (isRange) {
      this.#items = keysOnly
        ? plugin.stream(readKeys, range, call, signal)
        : plugin.stream(readRange, range, call, signal);
    } else {
      this.#items = keysOnly
        ? plugin.stream(scanKeys, part, call, signal)
        : plugin.stream(scan, part, call, signal);
    }
  }

  /** Whether the next item is the first one of this query. */
  continues(namespace: string, { prefix, start, end, reverse, after, keysOnly }: PageQuery): boolean {
    const range = this.#range;
    return (
      namespace === this.#namespace &&
      prefix === range.prefix &&
      start === range.start &&
      end === range.end &&
      reverse === range.reverse &&
      keysOnly === this.#keysOnly &&
      after !== undefined &&
      after === this.#after
    );
  }

  async page({ maxEntries, maxBytes }: PageQuery): Promise<Page> {
    const items = await this.#items;
    const keys: string[] = [];
    const values: Uint8Array[] = [];
    let bytes = 0;
    let next: string | undefined;
    while (next === undefined) {
      const { done, value: item } = await items.next();
      if (done === true) {
        break;
      }
      if (this.#skipping && this.#after !== undefined && compareUtf8(item.key, this.#after) <= 0) {
        continue;
      }
      this.#skipping = false;
      keys.push(item.key);
      bytes += Buffer.byteLength(item.key);
      if (item.value !== undefined) {
        values.push(item.value);
        bytes += item.value.byteLength;
      }
      if (keys.length === maxEntries || bytes >= maxBytes) {
        next = item.key;
      }
    }
    this.#after = next;
    return { keys, values: new ArrayValues(values), next };
  }

  /** Starts waiting for the reader. `forget` is called if the wait ends by closing. */
  wait(forget: () => void): void {
    this.#forget = forget;
    this.#timer = setTimeout(this.#onEnd, WAIT_MS);
    this.#signal.addEventListener("abort", this.#onEnd);
  }

  /** Stops waiting: the reader is there. */
  wake(): void {
    this.#forget = () => {};
    clearTimeout(this.#timer);
    this.#signal.removeEventListener("abort", this.#onEnd);
  }

  /** Ends the scan at the plugin, unless it has ended. */
  close(): void {
    this.wake();
    this.#leaving.abort();
  }

  readonly #onEnd = (): void => {
    this.#forget();
    this.close();
  };
}
