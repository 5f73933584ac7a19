import type { KeyValueCounterInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_counter_pb.ts";
import type { Handlers } from "../calls/implement.ts";
import type { NamespaceRouter } from "../namespaces/registry.ts";
import { checkKey, checkTtlSeconds } from "./check.ts";
import { mutateOne } from "./commits.ts";

/** prism.interfaces.keyvalue.KeyValueCounterInterface: check, route, call, reply. */
export function createKeyValueCounter(router: NamespaceRouter): Handlers<typeof KeyValueCounterInterface> {
  return {
    async increment({ namespace, key, delta, initial = 0n, ttlSeconds }, call) {
      checkKey("key", key);
      const ttlMs = checkTtlSeconds(ttlSeconds);
      const route = router.route("commits", namespace, call);
      const add = { key, do: "add", delta, initial, ttlMs } as const;
      const { version, result } = await mutateOne(route, add, call);
      if (result.counter === undefined) {
        throw new TypeError("the store added, and does not tell the sum");
      }
      return { value: result.counter, version };
    },
  };
}
