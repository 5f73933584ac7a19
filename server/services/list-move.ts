import type { ListMoveInterface } from "../../gen/prism/interfaces/list/list_move_pb.ts";
import { answerOf } from "../backend/contract.ts";
import type { Handlers } from "../calls/implement.ts";
import type { NamespaceRouter } from "../namespaces/registry.ts";
import { checkKey } from "./check.ts";
import { checkEnd } from "./check-list.ts";

/** prism.interfaces.list.ListMoveInterface: check, route, call, reply. */
export function createListMove(router: NamespaceRouter): Handlers<typeof ListMoveInterface> {
  return {
    async move(request, call) {
      checkKey("source_key", request.sourceKey);
      checkKey("destination_key", request.destinationKey);
      const end = checkEnd("source_end", request.sourceEnd);
      const toEnd = checkEnd("destination_end", request.destinationEnd);
      const { namespace, store } = router.route("listMoves", request.namespace, call);
      const moves = [{ key: request.sourceKey, end, to: request.destinationKey, toEnd }];
      const [answer] = await store.move(namespace, moves, call);
      const value = answerOf(answer);
      return value === undefined ? { found: false } : { found: true, value };
    },
  };
}
