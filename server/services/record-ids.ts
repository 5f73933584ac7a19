import type { RecordIdsService } from "../../gen/prism/keyvalue/v1/record_ids_pb.ts";
import type { Handlers } from "../calls/implement.ts";
import type { NamespaceRouter } from "../namespaces/registry.ts";
import { readNamePage } from "./name-pages.ts";

/** prism.keyvalue.v1.RecordIdsService: check, route, call, reply. */
export function createRecordIds(router: NamespaceRouter): Handlers<typeof RecordIdsService> {
  return {
    async readIds(request, call) {
      const route = () => {
        const { namespace, store } = router.route("recordIds", request.namespace, call);
        return { namespace, read: store.pageIds };
      };
      const { names, ...reply } = await readNamePage(request, route, call);
      return { ids: names, ...reply };
    },
  };
}
