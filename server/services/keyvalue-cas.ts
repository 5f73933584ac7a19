import type { KeyValueCASInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_cas_pb.ts";
import type { Handlers } from "../calls/implement.ts";
import type { NamespaceRouter } from "../namespaces/registry.ts";
import { checkKey, checkTtlSeconds, checkValue } from "./check.ts";
import { checkExpectation, checkHeldExpectation } from "./check-commit.ts";
import { actualOf, commitOne } from "./commits.ts";

/** prism.interfaces.keyvalue.KeyValueCASInterface: check, route, call, reply. */
export function createKeyValueCas(
  router: NamespaceRouter,
  { maxValueBytes }: { readonly maxValueBytes: number },
): Handlers<typeof KeyValueCASInterface> {
  return {
    async compareAndSwap({ namespace, key, expected, value, ttlSeconds }, call) {
      checkKey("key", key);
      checkValue(value, maxValueBytes);
      const ttlMs = checkTtlSeconds(ttlSeconds);
      const check = checkExpectation(key, expected);
      const route = router.route("commits", namespace, call);
      const answer = await commitOne(route, { key, do: "set", value, ttlMs }, check, call);
      return answer.committed ? { swapped: true, version: answer.version } : actualOf(answer);
    },

    async compareAndDelete({ namespace, key, expected }, call) {
      checkKey("key", key);
      const check = checkHeldExpectation(key, expected);
      const route = router.route("commits", namespace, call);
      const answer = await commitOne(route, { key, do: "delete" }, check, call);
      return answer.committed ? { deleted: true } : actualOf(answer);
    },

    async setIfAbsent({ namespace, key, value, ttlSeconds }, call) {
      checkKey("key", key);
      checkValue(value, maxValueBytes);
      const ttlMs = checkTtlSeconds(ttlSeconds);
      const route = router.route("commits", namespace, call);
      const check = { key, is: "absent" } as const;
      const answer = await commitOne(route, { key, do: "set", value, ttlMs }, check, call);
      return answer.committed ? { created: true, version: answer.version } : actualOf(answer);
    },
  };
}
