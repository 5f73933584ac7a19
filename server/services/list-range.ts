import type { GetRangeResponse, ListRangeInterface } from "../../gen/prism/interfaces/list/list_range_pb.ts";
import { answerOf, type Call, type ListRangeStore } from "../backend/contract.ts";
import type { ListPage, ListRange } from "../backend/lists.ts";
import { Columns } from "../calls/columns.ts";
import type { Handlers } from "../calls/implement.ts";
import { SCAN_PAGE_BYTES, SCAN_PAGE_ENTRIES } from "../limits.ts";
import type { Route } from "../namespaces/live-namespace.ts";
import type { NamespaceRouter } from "../namespaces/registry.ts";
import { checkKey } from "./check.ts";
import { toRange } from "./check-list.ts";

/** prism.interfaces.list.ListRangeInterface: check, route, call, reply. */
export function createListRange(router: NamespaceRouter): Handlers<typeof ListRangeInterface> {
  return {
    getRange(request, call) {
      checkKey("list_key", request.listKey);
      return pages(router.route("listRanges", request.namespace, call), toRange(request), call);
    },

    async trim(request, call) {
      checkKey("list_key", request.listKey);
      const { namespace, store } = router.route("listRanges", request.namespace, call);
      const [length = 0] = await store.trim(namespace, [toRange(request)], call);
      return { newLength: BigInt(answerOf(length)) };
    },
  };
}

/**
 * The pages of a range as responses. The next page is fetched when the reader wants it. Not a
 * generator: that would hold the last page as long as a slow reader takes.
 */
function pages(
  { namespace, store }: Route<ListRangeStore>,
  range: ListRange,
  call: Call,
): AsyncIterable<Columns<GetRangeResponse>> {
  const { key } = range;
  let rest: ListPage["next"] = range;

  async function next(): Promise<IteratorResult<Columns<GetRangeResponse>, undefined>> {
    if (rest === undefined) {
      return { done: true, value: undefined };
    }
    const slice = { key, ...rest, maxEntries: SCAN_PAGE_ENTRIES, maxBytes: SCAN_PAGE_BYTES };
    const [answer] = await store.slice(namespace, [slice], call);
    const page = answer && answerOf(answer);
    rest = page?.next;
    const values = page?.values ?? [];
    return { done: false, value: new Columns(values.length, { value: values }) };
  }
  return { [Symbol.asyncIterator]: () => ({ next }) };
}
