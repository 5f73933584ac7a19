import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  type CommitResponseSchema,
  type KeyValueTransactionInterface,
  Before as WireBefore,
} from "../../gen/prism/interfaces/keyvalue/keyvalue_transaction_pb.ts";
import type { Before, CommitAnswer } from "../backend/commit.ts";
import { answerOf } from "../backend/contract.ts";
import type { Handlers } from "../calls/implement.ts";
import type { NamespaceRouter } from "../namespaces/registry.ts";
import { checkKeys } from "./check.ts";
import { checkCommit } from "./check-commit.ts";
import { actualOf, onlyOf, toEntry } from "./commits.ts";

/** prism.interfaces.keyvalue.KeyValueTransactionInterface: check, route, call, reply. */
export function createKeyValueTransaction(
  router: NamespaceRouter,
  { maxValueBytes }: { readonly maxValueBytes: number },
): Handlers<typeof KeyValueTransactionInterface> {
  return {
    async read({ namespace: name, keys, omitValues }, call) {
      checkKeys(keys);
      const { namespace, store } = router.route("commits", name, call);
      const read = { keys, values: !omitValues, maxBytes: maxValueBytes };
      const entries = answerOf(onlyOf(await store.read(namespace, [read], call)));
      return { results: entries.map((entry) => (entry === undefined ? {} : { entry: toEntry(entry) })) };
    },

    async commit(request, call) {
      const commit = checkCommit(request, maxValueBytes);
      const { namespace, store } = router.route("commits", request.namespace, call);
      return toResponse(answerOf(onlyOf(await store.commit(namespace, [commit], call))));
    },
  };
}

const BEFORE: Readonly<Record<Before, WireBefore>> = {
  absent: WireBefore.ABSENT,
  lasting: WireBefore.LASTING,
  expiring: WireBefore.EXPIRING,
};

function toResponse(answer: CommitAnswer): MessageInitShape<typeof CommitResponseSchema> {
  return answer.committed
    ? {
        committed: true,
        version: BigInt(answer.version),
        results: answer.results.map(({ before, counter }) => ({
          before: BEFORE[before],
          ...(counter !== undefined && { counter }),
        })),
      }
    : { failedChecks: answer.failed.map(({ index, held }) => ({ index, ...actualOf({ actual: held }) })) };
}
