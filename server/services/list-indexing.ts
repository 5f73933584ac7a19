import type { ListIndexingInterface } from "../../gen/prism/interfaces/list/list_indexing_pb.ts";
import { answerOf } from "../backend/contract.ts";
import type { ListPutAnswer } from "../backend/lists.ts";
import type { Handlers } from "../calls/implement.ts";
import { PrismError } from "../errors.ts";
import type { NamespaceRouter } from "../namespaces/registry.ts";
import { checkKey, checkValue } from "./check.ts";
import { checkSide, toPlace } from "./check-list.ts";

/** prism.interfaces.list.ListIndexingInterface: check, route, call, reply. */
export function createListIndexing(
  router: NamespaceRouter,
  limits: { readonly maxValueBytes: number },
): Handlers<typeof ListIndexingInterface> {
  return {
    async get(request, call) {
      checkKey("list_key", request.listKey);
      const { namespace, store } = router.route("listIndexes", request.namespace, call);
      const places = [{ key: request.listKey, index: toPlace(request.index) }];
      const [answer] = await store.at(namespace, places, call);
      const value = answerOf(answer);
      return value === undefined ? { found: false } : { found: true, value };
    },

    async set(request, call) {
      checkKey("list_key", request.listKey);
      checkValue(request.value, limits.maxValueBytes);
      const { namespace, store } = router.route("listIndexes", request.namespace, call);
      const puts = [{ key: request.listKey, index: toPlace(request.index), value: request.value }];
      const [answer = "absent"] = await store.put(namespace, puts, call);
      expectPut(answerOf(answer));
      return {};
    },

    async insert(request, call) {
      checkKey("list_key", request.listKey);
      checkValue(request.value, limits.maxValueBytes);
      const side = checkSide(request.side);
      const { namespace, store } = router.route("listIndexes", request.namespace, call);
      const inserts = [{ key: request.listKey, side, pivot: request.pivot, value: request.value }];
      const [answer = NOTHING] = await store.insert(namespace, inserts, call);
      const { inserted, length } = answerOf(answer);
      return { inserted, length: BigInt(length) };
    },

    async remove(request, call) {
      checkKey("list_key", request.listKey);
      const { namespace, store } = router.route("listIndexes", request.namespace, call);
      const removes = [{ key: request.listKey, value: request.value, count: toPlace(request.count) }];
      const [removed = 0] = await store.remove(namespace, removes, call);
      return { removed: BigInt(answerOf(removed)) };
    },
  };
}

const NOTHING = { inserted: false, length: 0 };

function expectPut(answer: ListPutAnswer): void {
  switch (answer) {
    case "put":
      return;
    case "absent":
      throw new PrismError("key_not_found", "list not found");
    case "outside":
      throw new PrismError("index_out_of_range", "index is beyond the ends of the list", { field: "index" });
  }
}
