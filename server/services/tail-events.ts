import type { MessageInitShape } from "@bufbuild/protobuf";
import type { TailRequest, TailResponseSchema } from "../../gen/prism/timeseries/v1/timeseries_pb.ts";
import { answerOf, type Call } from "../backend/contract.ts";
import type { EventRead, OffsetPage } from "../backend/streams.ts";
import { SCAN_PAGE_BYTES, SCAN_PAGE_ENTRIES } from "../limits.ts";
import type { NamespaceRouter } from "../namespaces/registry.ts";
import { checkTail } from "./check-event.ts";
import { onlyOf } from "./commits.ts";
import { noSuchStream, toEvent } from "./event-messages.ts";

/**
 * The first page waits for next to nothing. It tells whether the stream is there, and the caller
 * gets the headers: from then on it misses no event.
 */
const FIRST_WAIT_MS = 1;

type Batch = MessageInitShape<typeof TailResponseSchema>[];

/**
 * Events of a stream in the order of their offsets: those that are there, and then those that come,
 * unless the caller wants no others. The next page is fetched when the reader wants it. Not a
 * generator: that would hold the last page as long as a slow reader takes.
 */
export function tailEvents(router: NamespaceRouter, request: TailRequest, call: Call): AsyncIterable<Batch> {
  const { offset: first, ...filter } = checkTail(request);
  const bounds = { maxEvents: SCAN_PAGE_ENTRIES, maxBytes: SCAN_PAGE_BYTES };
  const readPage = request.untilEnd ? reader(router, request, call) : waiter(router, request, call);
  let offset = first;
  let isOver = false;

  async function next(): Promise<IteratorResult<Batch, undefined>> {
    if (isOver) {
      return { done: true, value: undefined };
    }
    const page = await readPage({ ...filter, ...bounds, offset });
    // A stream that ends before the offset is not the one that had it.
    if (page === undefined || (offset !== Infinity && page.next < offset)) {
      throw noSuchStream();
    }
    offset = page.next;
    isOver = request.untilEnd && page.ended;
    return { done: false, value: page.events.map((event) => ({ event: toEvent(event) })) };
  }
  return { [Symbol.asyncIterator]: () => ({ next }) };
}

/** Reads a page; `undefined` = there is no such stream. */
type ReadPage = (read: EventRead) => Promise<OffsetPage | undefined>;

function reader(router: NamespaceRouter, request: TailRequest, call: Call): ReadPage {
  const { namespace, store } = router.route("streams", request.namespace, call);
  return async (read) => answerOf(onlyOf(await store.readEvents(namespace, [read], call)));
}

/** It waits where the stream ends. */
function waiter(router: NamespaceRouter, request: TailRequest, call: Call): ReadPage {
  const { namespace, store } = router.route("streamTails", request.namespace, call);
  let waitMs = FIRST_WAIT_MS;
  return (read) => {
    const page = store.waitEvents(namespace, { ...read, waitMs }, call);
    waitMs = 0;
    return page;
  };
}
