import { ListNamesInterface } from "../../gen/prism/interfaces/list/list_names_pb.ts";
import type { Invoker } from "../call.ts";
import { NAME_OPTIONS, type NameOptions, readPages, toPageRequest } from "../pages.ts";

const READ_NAMES = { method: ListNamesInterface.method.readNames, options: NAME_OPTIONS };

/** The calls of ListNamesInterface. */
export function nameCalls(invoker: Invoker) {
  /**
   * The keys of lists in pages of at most 1,024; a page may have none. The next one is asked for
   * while the loop has this one. A timeout limits the call for each page.
   */
  async function* namePages(options: NameOptions = {}): AsyncGenerator<readonly string[], void, undefined> {
    const read = (pageToken: Uint8Array) =>
      invoker.unary(READ_NAMES, options, (namespace) => toPageRequest(namespace, options, pageToken));
    for await (const { listKeys } of readPages(read)) {
      yield listKeys;
    }
  }

  return {
    namePages,

    /**
     * The keys of the lists that there are, by the order of their UTF-8 bytes. A list is there
     * while it holds a value. A timeout limits the call for each page.
     *
     * ```ts
     * for await (const listKey of client.list.names({ prefix: "queue/" })) { ... }
     * ```
     */
    async *names(options: NameOptions = {}): AsyncGenerator<string, void, undefined> {
      for await (const page of namePages(options)) {
        yield* page;
      }
    },
  };
}
