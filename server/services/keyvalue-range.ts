import type {
  KeyValueRangeInterface,
  ReadKeysRequest,
  ReadPageRequest,
  ReadRangeRequest,
} from "../../gen/prism/interfaces/keyvalue/keyvalue_range_pb.ts";
import { answerOf, type Call, isRefusal, type Page } from "../backend/contract.ts";
import { Columns } from "../calls/columns.ts";
import type { Handlers } from "../calls/implement.ts";
import { positionOf, tokenAt } from "../calls/page-token.ts";
import { SCAN_PAGE_BYTES, SCAN_PAGE_ENTRIES } from "../limits.ts";
import type { NamespaceRouter } from "../namespaces/registry.ts";
import { checkBound, checkLimit, checkRange } from "./check.ts";
import { onlyOf, toRemainingMs } from "./commits.ts";
import { commonPrefixOf, foldScan } from "./folded-scan.ts";
import { scanPages } from "./scan-pages.ts";

/** prism.interfaces.keyvalue.KeyValueRangeInterface: check, route, reply page by page. */
export function createKeyValueRange(router: NamespaceRouter): Handlers<typeof KeyValueRangeInterface> {
  return {
    readRange: (request, call) =>
      read(router, request, call, false, ({ keys, values }, columns, last) => {
        return new Columns(keys.length, { ...columns, value: values }, last);
      }),

    readKeys: (request, call) =>
      read(router, request, call, true, ({ keys }, columns, last) => new Columns(keys.length, columns, last)),

    readPage: (request, call) => readPage(router, request, call),
  };
}

/** The columns that both calls have. */
interface KeyColumns {
  readonly key: readonly string[];
  readonly commonPrefix?: readonly string[];
}

/** What only the last message of a batch has. */
interface Last {
  readonly pageToken: Uint8Array;
}

function read<B>(
  router: NamespaceRouter,
  request: ReadRangeRequest | ReadKeysRequest,
  call: Call,
  keysOnly: boolean,
  toResponses: (page: Page, columns: KeyColumns, last: Last | undefined) => B,
): AsyncIterable<B> {
  checkRange(request);
  checkBound("delimiter", request.delimiter);
  const { start, end, prefix, reverse, delimiter, pageToken } = request;
  const limit = checkLimit(request.limit);
  const { namespace, store } = router.route("scans", request.namespace, call);
  const scope = [request.$typeName, namespace, start, end, prefix, reverse, delimiter];
  const scan = {
    range: { prefix, start: start || undefined, end: end || undefined, reverse },
    after: positionOf(scope, pageToken),
    limit,
    keysOnly,
  };
  const scans = delimiter === "" ? store : foldScan(store, delimiter);
  return scanPages({ namespace, store: scans }, scan, call, (page) => {
    const { keys, next } = page;
    const columns = delimiter === "" ? { key: keys } : divided(keys, prefix, delimiter);
    const last = next === undefined ? undefined : { pageToken: tokenAt(scope, next) };
    return toResponses(page, columns, last);
  });
}

/** One value is bounded by what a Set takes. */
const ANY_VALUE = Number.MAX_SAFE_INTEGER;

/**
 * A page, of a store that tells times to live with it. Otherwise in two steps: its keys, then each
 * entry with its time to live, because both have to be of one moment.
 */
async function readPage(router: NamespaceRouter, request: ReadPageRequest, call: Call) {
  checkRange(request);
  const { start, end, prefix, pageToken } = request;
  const maxEntries = Math.min(checkLimit(request.limit), SCAN_PAGE_ENTRIES);
  const { namespace, store: scans } = router.route("scans", request.namespace, call);
  const { store: commits } = router.route("commits", request.namespace, call);
  const scope = [request.$typeName, namespace, start, end, prefix];
  const query = {
    prefix,
    start: start || undefined,
    end: end || undefined,
    after: positionOf(scope, pageToken),
    maxEntries,
    // In two steps the values come along only so that they bound the page.
    maxBytes: SCAN_PAGE_BYTES,
    keysOnly: false,
    withTtls: true,
  };
  const { keys, values, later, ttlsMs, next } = await scans.scanPage(namespace, query, call);
  if (keys.length === 0 || ttlsMs !== undefined) {
    return {
      entries: Array.from(values, (value, i) => toPageEntry(keys[i] ?? "", value, ttlsMs?.[i] ?? 0)),
      ...(next !== undefined && { nextPageToken: tokenAt(scope, next) }),
    };
  }
  // Values may have grown since, so each has a bound: what it was, and its share of a page.
  const shareBytes = Math.ceil(SCAN_PAGE_BYTES / keys.length);
  const reads = keys.map((key, i) => {
    const bytes = later?.get(i) ?? values.bytesOf(i);
    return { keys: [key], values: true, maxBytes: bytes + shareBytes };
  });
  const answers = await commits.read(namespace, reads, call);
  // The page ends before the first that has grown beyond its bound. As the first it is alone.
  const grown = answers.findIndex((answer) => isRefusal(answer) && answer.reason === "value_too_large");
  const kept =
    grown === 0
      ? await commits.read(namespace, [{ keys: keys.slice(0, 1), values: true, maxBytes: ANY_VALUE }], call)
      : answers.slice(0, grown < 0 ? keys.length : grown);
  const goOn = kept.length === keys.length ? next : keys[kept.length - 1];
  return {
    entries: kept.flatMap((answer, i) => {
      const held = onlyOf(answerOf(answer));
      return held === undefined ? [] : [toPageEntry(keys[i] ?? "", held.value, held.ttlMs)];
    }),
    ...(goOn !== undefined && { nextPageToken: tokenAt(scope, goOn) }),
  };
}

/** An entry on the wire. `ttlMs`: 0 = it never expires. */
function toPageEntry(key: string, value: Uint8Array, ttlMs: number) {
  const remainingMs = toRemainingMs(ttlMs);
  return remainingMs === undefined ? { key, value } : { key, value, remainingMs };
}

/** The keys of folded pages in two columns: keys, and common prefixes. */
function divided(keys: readonly string[], prefix: string, delimiter: string): KeyColumns {
  const isCommon = keys.map((key) => commonPrefixOf(key, prefix, delimiter) !== undefined);
  return {
    key: keys.map((key, i) => (isCommon[i] === true ? "" : key)),
    commonPrefix: keys.map((key, i) => (isCommon[i] === true ? key : "")),
  };
}
