import { RecordIdsService } from "../../gen/prism/keyvalue/v1/record_ids_pb.ts";
import type { Invoker } from "../call.ts";
import { NAME_OPTIONS, type NameOptions, readPages, toPageRequest } from "../pages.ts";

const READ_IDS = { method: RecordIdsService.method.readIds, options: NAME_OPTIONS };

/** The calls of RecordIdsService. */
export function idCalls(invoker: Invoker) {
  /**
   * The ids of records in pages of at most 1,024; a page may have none. The next one is asked for
   * while the loop has this one. A timeout limits the call for each page.
   */
  async function* idPages(options: NameOptions = {}): AsyncGenerator<readonly string[], void, undefined> {
    const read = (pageToken: Uint8Array) =>
      invoker.unary(READ_IDS, options, (namespace) => toPageRequest(namespace, options, pageToken));
    for await (const { ids } of readPages(read)) {
      yield ids;
    }
  }

  return {
    idPages,

    /**
     * The ids of the records that there are, by the order of their UTF-8 bytes. A record is there
     * while it has an item that has not expired. A timeout limits the call for each page.
     *
     * ```ts
     * for await (const id of client.records.ids({ prefix: "user:" })) { ... }
     * ```
     */
    async *ids(options: NameOptions = {}): AsyncGenerator<string, void, undefined> {
      for await (const page of idPages(options)) {
        yield* page;
      }
    },
  };
}
