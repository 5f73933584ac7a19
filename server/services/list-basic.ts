import type { ListBasicInterface } from "../../gen/prism/interfaces/list/list_basic_pb.ts";
import { answerOf, type Call } from "../backend/contract.ts";
import type { ListEnd } from "../backend/lists.ts";
import type { Handlers } from "../calls/implement.ts";
import type { NamespaceRouter } from "../namespaces/registry.ts";
import { checkKey, checkValue } from "./check.ts";

/** prism.interfaces.list.ListBasicInterface: check, route, call, reply. */
export function createListBasic(
  router: NamespaceRouter,
  limits: { readonly maxValueBytes: number },
): Handlers<typeof ListBasicInterface> {
  async function push(
    end: ListEnd,
    request: { namespace: string; listKey: string; value: Uint8Array },
    call: Call,
  ) {
    checkKey("list_key", request.listKey);
    checkValue(request.value, limits.maxValueBytes);
    const { namespace, store } = router.route("lists", request.namespace, call);
    const pushes = [{ key: request.listKey, end, value: request.value }];
    const [length = 0] = await store.push(namespace, pushes, call);
    return { newLength: BigInt(answerOf(length)) };
  }

  async function pop(end: ListEnd, request: { namespace: string; listKey: string }, call: Call) {
    checkKey("list_key", request.listKey);
    const { namespace, store } = router.route("lists", request.namespace, call);
    const [answer] = await store.pop(namespace, [{ key: request.listKey, end }], call);
    const value = answerOf(answer);
    return value === undefined ? { found: false } : { found: true, value };
  }

  return {
    pushLeft: (request, call) => push("left", request, call),
    pushRight: (request, call) => push("right", request, call),
    popLeft: (request, call) => pop("left", request, call),
    popRight: (request, call) => pop("right", request, call),

    async length(request, call) {
      checkKey("list_key", request.listKey);
      const { namespace, store } = router.route("lists", request.namespace, call);
      const [length = 0] = await store.length(namespace, [request.listKey], call);
      return { length: BigInt(answerOf(length)) };
    },
  };
}
