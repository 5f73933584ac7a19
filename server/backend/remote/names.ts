import { ListNamesInterface } from "../../../gen/prism/interfaces/list/list_names_pb.ts";
import { RecordIdsService } from "../../../gen/prism/keyvalue/v1/record_ids_pb.ts";
import { TimeSeriesService } from "../../../gen/prism/timeseries/v1/timeseries_pb.ts";
import { MAX_KEY_BYTES } from "../../limits.ts";
import type { Call, Interfaces, ListNameStore } from "../contract.ts";
import { boundsOf, isEmpty } from "./scans.ts";
import type { StoreOptions } from "./stores.ts";

const { readNames } = ListNamesInterface.method;
const { readIds } = RecordIdsService.method;
const { listStreams } = TimeSeriesService.method;

/** Asks the plugin for one page. */
type AskPage = (
  request: {
    readonly namespace: string;
    readonly start: string;
    readonly end: string;
    readonly prefix: string;
    readonly limit: number;
    readonly pageToken: Uint8Array;
  },
  call: Call,
) => Promise<{ readonly names: readonly string[]; readonly nextPageToken: Uint8Array }>;

/** Which lists, records and streams a plugin has. */
export function createNames({
  plugin,
}: Pick<StoreOptions, "plugin">): Required<Pick<Interfaces, "listNames" | "recordIds" | "streamNames">> {
  return {
    listNames: {
      pageNames: pagesOf(async (request, call) => {
        const { listKeys: names, nextPageToken } = await plugin().ask(readNames, request, call, false);
        return { names, nextPageToken };
      }),
    },
    recordIds: {
      pageIds: pagesOf(async (request, call) => {
        const { ids: names, nextPageToken } = await plugin().ask(readIds, request, call, false);
        return { names, nextPageToken };
      }),
    },
    streamNames: {
      pageStreams: pagesOf(async (request, call) => {
        const { streams: names, nextPageToken } = await plugin().ask(listStreams, request, call, false);
        return { names, nextPageToken };
      }),
    },
  };
}

/**
 * A page begins at the name that the one before ended with, and leaves it out. A plugin's page may
 * have no other name; then its token leads on.
 */
function pagesOf(ask: AskPage): ListNameStore["pageNames"] {
  return async (namespace, query, call) => {
    if (Buffer.byteLength(query.prefix) > MAX_KEY_BYTES || isEmpty(query)) {
      return { names: [], next: undefined };
    }
    const { prefix, after, maxNames } = query;
    const { start, end = "" } = boundsOf(query);
    const request = { namespace, prefix, start, end, limit: maxNames + 1 };
    for (let pageToken: Uint8Array = new Uint8Array(0); ; ) {
      const page = await ask({ ...request, pageToken }, call);
      const names = page.names[0] === after ? page.names.slice(1) : page.names;
      const isLast = page.nextPageToken.length === 0;
      if (names.length > maxNames) {
        return { names: names.slice(0, maxNames), next: names[maxNames - 1] };
      }
      if (names.length > 0 || isLast) {
        return { names, next: isLast ? undefined : names.at(-1) };
      }
      pageToken = page.nextPageToken;
    }
  };
}
