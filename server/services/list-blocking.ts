import type { ListBlockingInterface } from "../../gen/prism/interfaces/list/list_blocking_pb.ts";
import type { Call } from "../backend/contract.ts";
import type { ListEnd } from "../backend/lists.ts";
import type { Handlers } from "../calls/implement.ts";
import type { NamespaceRouter } from "../namespaces/registry.ts";
import { checkKey } from "./check.ts";
import { checkWaitMs } from "./check-list.ts";

/** prism.interfaces.list.ListBlockingInterface: check, route, call, reply. */
export function createListBlocking(router: NamespaceRouter): Handlers<typeof ListBlockingInterface> {
  async function pop(
    end: ListEnd,
    request: { namespace: string; listKey: string; waitMs: bigint },
    call: Call,
  ) {
    checkKey("list_key", request.listKey);
    const waitMs = checkWaitMs(request.waitMs);
    const { namespace, store } = router.route("listBlocking", request.namespace, call);
    const value = await store.blockingPop(namespace, { key: request.listKey, end, waitMs }, call);
    return value === undefined ? { found: false } : { found: true, value };
  }

  return {
    blockingPopLeft: (request, call) => pop("left", request, call),
    blockingPopRight: (request, call) => pop("right", request, call),
  };
}
