import type { ReadNamesRequest } from "../../gen/prism/interfaces/list/list_names_pb.ts";
import type { ReadIdsRequest } from "../../gen/prism/keyvalue/v1/record_ids_pb.ts";
import type { ListStreamsRequest } from "../../gen/prism/timeseries/v1/timeseries_pb.ts";
import type { Call, ListNameStore } from "../backend/contract.ts";
import { positionOf, tokenAt } from "../calls/page-token.ts";
import { SCAN_PAGE_ENTRIES } from "../limits.ts";
import { checkLimit, checkRange } from "./check.ts";

/** What a reply says of a page. */
interface Reply {
  readonly names: string[];
  readonly nextPageToken?: Uint8Array;
}

/** A store and the namespace in it whose names are read. */
interface Place {
  readonly namespace: string;
  readonly read: ListNameStore["pageNames"];
}

/** One page of names. `route` finds the store, once the request is checked. */
export async function readNamePage(
  request: ReadNamesRequest | ReadIdsRequest | ListStreamsRequest,
  route: () => Place,
  call: Call,
): Promise<Reply> {
  checkRange(request);
  const maxNames = Math.min(checkLimit(request.limit), SCAN_PAGE_ENTRIES);
  const { namespace, read } = route();
  const { start, end, prefix, pageToken } = request;
  const scope = [request.$typeName, namespace, start, end, prefix];
  const after = positionOf(scope, pageToken);
  const query = { prefix, start: start || undefined, end: end || undefined, after, maxNames };
  const { names, next } = await read(namespace, query, call);
  return { names: [...names], ...(next !== undefined && { nextPageToken: tokenAt(scope, next) }) };
}
