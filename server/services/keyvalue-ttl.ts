import type { KeyValueTTLInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_ttl_pb.ts";
import { answerOf } from "../backend/contract.ts";
import type { Handlers } from "../calls/implement.ts";
import type { NamespaceRouter } from "../namespaces/registry.ts";
import { checkKey, checkNewTtlSeconds } from "./check.ts";
import { keyNotFound, mutateOne, onlyOf, remainingOf } from "./commits.ts";

/** prism.interfaces.keyvalue.KeyValueTTLInterface: check, route, call, reply. */
export function createKeyValueTtl(router: NamespaceRouter): Handlers<typeof KeyValueTTLInterface> {
  return {
    async expire({ namespace, key, ttlSeconds }, call) {
      checkKey("key", key);
      const ttlMs = checkNewTtlSeconds(ttlSeconds);
      const route = router.route("commits", namespace, call);
      const { version, result } = await mutateOne(route, { key, do: "expire", ttlMs }, call);
      if (result.before === "absent") {
        throw keyNotFound();
      }
      return { version };
    },

    async getTTL({ namespace: name, key }, call) {
      checkKey("key", key);
      const { namespace, store } = router.route("commits", name, call);
      const answers = await store.read(namespace, [{ keys: [key], values: false, maxBytes: 0 }], call);
      const entry = onlyOf(answerOf(onlyOf(answers)));
      if (entry === undefined) {
        throw keyNotFound();
      }
      return remainingOf(entry);
    },

    async persist({ namespace, key }, call) {
      checkKey("key", key);
      const route = router.route("commits", namespace, call);
      const { version, result } = await mutateOne(route, { key, do: "persist" }, call);
      if (result.before === "absent") {
        throw keyNotFound();
      }
      return { removed: result.before === "expiring", version };
    },
  };
}
