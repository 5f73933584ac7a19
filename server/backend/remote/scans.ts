import { KeyValueScanInterface } from "../../../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { MAX_KEY_BYTES, SCAN_PAGE_ENTRIES } from "../../limits.ts";
import type { Call, Page, PageQuery, ScanStore } from "../contract.ts";
import { OPERATIONS } from "../operations.ts";
import { compareUtf8 } from "../utf8.ts";
import { ArrayValues } from "../values.ts";
import { toPrismError } from "./errors.ts";
import type { Plugin } from "./plugin.ts";
import type { StoreOptions } from "./stores.ts";

const { scan, scanKeys, count } = KeyValueScanInterface.method;

/**
 * Scans that wait for their readers at the same time. Each holds what was read ahead, a few hundred KiB, and a place on a connection;
 * of those there are 256, so that some are left for scans that are read.
 */
export const MAX_WAITING_SCANS = 192;

/** How long a scan waits for its reader; one who comes later pays for a new one. */
const WAIT_MS = 60_000;

/** Scans of a plugin, which end when they are closed. */
export interface RemoteScans extends ScanStore {
  /** Ends the scans that wait for their readers. */
  close(): void;
}

/**
 * The wire streams a scan and the contract asks for pages, each on its own. So the stream of a scan stays open, unread, until the next
 * page of the same call is asked for; meanwhile flow control holds the plugin back. A page whose stream is gone (there are too many, or
 * the reader took too long) begins a new scan and skips what came before.
 */
export function createScans({ plugin }: StoreOptions): RemoteScans {
  /** Those that wait, the longest first. A call has one. */
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
      if (Buffer.byteLength(query.prefix) > MAX_KEY_BYTES) {
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

/** One scan at the plugin, and how far it was read. */
class RemoteScan {
  readonly #namespace: string;
  readonly #prefix: string;
  readonly #keysOnly: boolean;
  readonly #leaving = new AbortController();
  readonly #signal: AbortSignal;
  readonly #items: Promise<AsyncIterator<{ readonly key: string; readonly value?: Uint8Array }>>;
  /** The last key that was read, or to be skipped; `undefined` = none. */
  #after: string | undefined;
  #skipping: boolean;
  #timer: NodeJS.Timeout | undefined = undefined;
  #forget: () => void = () => {};

  constructor(
    plugin: Plugin,
    namespace: string,
    { prefix, after, maxEntries, keysOnly }: PageQuery,
    call: Call,
  ) {
    this.#namespace = namespace;
    this.#prefix = prefix;
    this.#keysOnly = keysOnly;
    this.#after = after;
    this.#skipping = after !== undefined;
    this.#signal = AbortSignal.any([call.signal, this.#leaving.signal]);
    // Less than a whole page is asked for where that is all that is wanted.
    const limit = after === undefined && maxEntries < SCAN_PAGE_ENTRIES ? maxEntries : 0;
    const request = { namespace, prefix, limit };
    this.#items = keysOnly
      ? plugin.stream(scanKeys, request, call, this.#signal)
      : plugin.stream(scan, request, call, this.#signal);
  }

  /** Whether the next item is the first of what the query asks for. */
  continues(namespace: string, { prefix, after, keysOnly }: PageQuery): boolean {
    return (
      namespace === this.#namespace &&
      prefix === this.#prefix &&
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

  /** Waits for its reader; `forget` is called when it waits no more because it was closed. */
  wait(forget: () => void): void {
    this.#forget = forget;
    this.#timer = setTimeout(this.#onEnd, WAIT_MS);
    this.#signal.addEventListener("abort", this.#onEnd);
  }

  /** Its reader is there. */
  wake(): void {
    this.#forget = () => {};
    clearTimeout(this.#timer);
    this.#signal.removeEventListener("abort", this.#onEnd);
  }

  /** Ends the scan at the plugin, where it has not ended. */
  close(): void {
    this.wake();
    this.#leaving.abort();
  }

  readonly #onEnd = (): void => {
    this.#forget();
    this.close();
  };
}
