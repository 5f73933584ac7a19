import type {
  KeyValueRangeInterface,
  ReadKeysRequest,
  ReadRangeRequest,
} from "../../gen/prism/interfaces/keyvalue/keyvalue_range_pb.ts";
import type { Call, Page } from "../backend/contract.ts";
import { Columns } from "../calls/columns.ts";
import type { Handlers } from "../calls/implement.ts";
import { readPageToken, writePageToken } from "../calls/page-token.ts";
import { PrismError } from "../errors.ts";
import type { NamespaceRouter } from "../namespaces/registry.ts";
import { checkBound, checkLimit } from "./check.ts";
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
  const { start, end, prefix, reverse, delimiter, pageToken } = request;
  const limit = checkLimit(request.limit);
  const { namespace, store } = router.route("scans", request.namespace, call);
  const scope = [request.$typeName, namespace, start, end, prefix, reverse, delimiter];
  const position = pageToken.length === 0 ? undefined : readPageToken(scope, pageToken, "page_token");
  const scan = {
    range: { prefix, start: start || undefined, end: end || undefined, reverse },
    after: position && Buffer.from(position).toString(),
    limit,
    keysOnly,
  };
  const scans = delimiter === "" ? store : foldScan(store, delimiter);
  return scanPages({ namespace, store: scans }, scan, call, (page) => {
    const { keys, next } = page;
    const columns = delimiter === "" ? { key: keys } : divided(keys, prefix, delimiter);
    const last = next === undefined ? undefined : { pageToken: writePageToken(scope, Buffer.from(next)) };
    return toResponses(page, columns, last);
  });
}

/** The keys of folded pages in two columns: keys, and common prefixes. */
function divided(keys: readonly string[], prefix: string, delimiter: string): KeyColumns {
  const isCommon = keys.map((key) => commonPrefixOf(key, prefix, delimiter) !== undefined);
  return {
    key: keys.map((key, i) => (isCommon[i] === true ? "" : key)),
    commonPrefix: keys.map((key, i) => (isCommon[i] === true ? key : "")),
  };
}

function checkRange({ start, end, prefix, delimiter }: ReadRangeRequest | ReadKeysRequest): void {
  checkBound("start", start);
  checkBound("end", end);
  checkBound("prefix", prefix);
  checkBound("delimiter", delimiter);
  if (end !== "" && Buffer.compare(Buffer.from(start), Buffer.from(end)) > 0) {
    throw new PrismError("invalid_field", "start must not come after end", { field: "start" });
  }
}
