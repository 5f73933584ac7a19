import type { KeyValueBasicInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { answerOf } from "../backend/contract.ts";
import type { Handlers } from "../calls/implement.ts";
import type { NamespaceRouter } from "../namespaces/registry.ts";
import { checkKey, checkTtlSeconds, checkValue } from "./check.ts";
import { keyNotFound } from "./commits.ts";

/** prism.interfaces.keyvalue.KeyValueBasicInterface: check, route, call, reply. */
export function createKeyValueBasic(
  router: NamespaceRouter,
  limits: { readonly maxValueBytes: number },
): Handlers<typeof KeyValueBasicInterface> {
  return {
    async set(request, call) {
      checkKey("key", request.key);
      checkValue(request.value, limits.maxValueBytes);
      const ttlMs = checkTtlSeconds(request.ttlSeconds);
      const { namespace, store } = router.route("entries", request.namespace, call);
      const answers = await store.set(namespace, [{ key: request.key, value: request.value, ttlMs }], call);
      answerOf(answers?.[0]);
      return { success: true };
    },

    async get(request, call) {
      checkKey("key", request.key);
      const { namespace, store } = router.route("entries", request.namespace, call);
      const [answer] = await store.get(namespace, [request.key], call);
      const value = answerOf(answer);
      if (value === undefined) {
        throw keyNotFound();
      }
      return { value };
    },

    async delete(request, call) {
      checkKey("key", request.key);
      const { namespace, store } = router.route("entries", request.namespace, call);
      const [found] = await store.delete(namespace, [request.key], call);
      return { found: answerOf(found) === true };
    },

    async exists(request, call) {
      checkKey("key", request.key);
      const { namespace, store } = router.route("entries", request.namespace, call);
      const [exists] = await store.exists(namespace, [request.key], call);
      return { exists: answerOf(exists) === true };
    },
  };
}
