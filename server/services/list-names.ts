import type { ListNamesInterface } from "../../gen/prism/interfaces/list/list_names_pb.ts";
import type { Handlers } from "../calls/implement.ts";
import type { NamespaceRouter } from "../namespaces/registry.ts";
import { readNamePage } from "./name-pages.ts";

/** prism.interfaces.list.ListNamesInterface: check, route, call, reply. */
export function createListNames(router: NamespaceRouter): Handlers<typeof ListNamesInterface> {
  return {
    async readNames(request, call) {
      const route = () => {
        const { namespace, store } = router.route("listNames", request.namespace, call);
        return { namespace, read: store.pageNames };
      };
      const { names, ...reply } = await readNamePage(request, route, call);
      return { listKeys: names, ...reply };
    },
  };
}
