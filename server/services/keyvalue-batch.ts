import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ErrorSchema } from "../../gen/prism/common/errors_pb.ts";
import type { KeyValueBatchInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_batch_pb.ts";
import { type Answers, answerOf, isRefusal } from "../backend/contract.ts";
import { readTooLarge } from "../backend/decide.ts";
import { FadingMaximum } from "../backend/fading-maximum.ts";
import type { Handlers } from "../calls/implement.ts";
import { toErrorMessage } from "../calls/status.ts";
import { MIN_READ_SLICE_KEYS, READ_SLICE_KEYS } from "../limits.ts";
import type { NamespaceRouter } from "../namespaces/registry.ts";
import { checkKeys } from "./check.ts";
import { checkItems } from "./check-commit.ts";

/** prism.interfaces.keyvalue.KeyValueBatchInterface: check, route, call, reply. */
export function createKeyValueBatch(
  router: NamespaceRouter,
  { maxValueBytes }: { readonly maxValueBytes: number },
): Handlers<typeof KeyValueBatchInterface> {
  // The largest value of late: where values are large, few of them are more than may be answered.
  const largest = new FadingMaximum(1);
  return {
    async batchGet({ namespace: name, keys }, call) {
      checkKeys(keys);
      const { namespace, store } = router.route("entries", name, call);
      const answers: Answers<Uint8Array | undefined>[number][] = [];
      let bytes = 0;
      largest.fade();
      while (answers.length < keys.length) {
        const few = Math.max(MIN_READ_SLICE_KEYS, Math.ceil(maxValueBytes / largest.value));
        const slice = keys.slice(answers.length, answers.length + Math.min(few, READ_SLICE_KEYS));
        for (const answer of await store.get(namespace, slice, call)) {
          const size = answer instanceof Uint8Array ? answer.length : 0;
          answers.push(answer);
          largest.see(size);
          bytes += size;
        }
        if (bytes > maxValueBytes) {
          answerOf(readTooLarge({ maxBytes: maxValueBytes }));
        }
      }
      const results = resultsOf(answers, namespace, "keys", (value) =>
        value === undefined ? { found: false } : { found: true, value },
      );
      return { results };
    },

    async batchSet({ namespace: name, items }, call) {
      const writes = checkItems(items, maxValueBytes);
      const { namespace, store, keepsWhole } = router.route("entries", name, call);
      const answers = (await store.set(namespace, writes, call)) ?? writes.map(() => undefined);
      return {
        results: resultsOf(answers, namespace, "items", () => ({})),
        atomic: keepsWhole(writes.map(({ key }) => key)),
      };
    },

    async batchDelete({ namespace: name, keys }, call) {
      checkKeys(keys);
      const { namespace, store, keepsWhole } = router.route("entries", name, call);
      const answers = await store.delete(namespace, keys, call);
      return {
        results: resultsOf(answers, namespace, "keys", (found) => ({ found })),
        atomic: keepsWhole(keys),
      };
    },
  };
}

/** One result for each answer. Throws the first refusal if every item was refused. */
function resultsOf<T, R extends object>(
  answers: Answers<T>,
  namespace: string,
  list: "keys" | "items",
  toResult: (answer: T) => R,
): (R | { readonly error: MessageInitShape<typeof ErrorSchema> })[] {
  const [first] = answers;
  if (isRefusal(first) && answers.every(isRefusal)) {
    answerOf(first);
  }
  return answers.map((answer, index) => {
    if (!isRefusal(answer)) {
      return toResult(answer);
    }
    const { reason, message, field } = answer;
    const path = `${list}[${index}]`;
    const own = field && (list === "keys" ? path : `${path}.${field}`);
    return { error: toErrorMessage({ reason, message, field: own }, { namespace, requestId: "" }) };
  });
}
