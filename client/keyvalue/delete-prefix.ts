import { CALL_OPTIONS, type CallOptions, requireKnown } from "../call.ts";
import { describe, toText } from "../convert.ts";
import { invalidField } from "../errors.ts";
import { type batchCalls, MAX_BATCH_ITEMS } from "./batch.ts";
import type { rangeCalls } from "./range.ts";

/** The options of a deletion of many keys. */
export interface DeletePrefixOptions extends CallOptions {
  /** Called after each part, with the number of entries that were deleted so far. */
  readonly onProgress?: ((deleted: number) => void) | undefined;
}

const DELETE_PREFIX_OPTIONS = { onProgress: true, ...CALL_OPTIONS } satisfies Record<
  keyof DeletePrefixOptions,
  true
>;

/** Deletes what a range reads. */
export function deletePrefixCalls(
  calls: Pick<ReturnType<typeof rangeCalls> & ReturnType<typeof batchCalls>, "rangeKeys" | "deleteMany">,
) {
  return {
    /**
     * Deletes the entries whose keys begin with `prefix`, which must not be empty, 1,000 at a time.
     * Answers how many there were; a part that was sent twice because its answer was lost may be
     * missing. Entries that are written meanwhile may stay. If it fails, the same call goes on with
     * what is left. A timeout limits the whole deletion.
     */
    async deletePrefix(prefix: string, options: DeletePrefixOptions = {}): Promise<number> {
      requireKnown(DELETE_PREFIX_OPTIONS, options);
      const { onProgress, timeoutMs, ...rest } = options;
      const endMs = performance.now() + (timeoutMs ?? 0);
      // 0 and undefined mean what they mean for every call.
      const left = () => timeoutMs && Math.max(1, Math.ceil(endMs - performance.now()));
      if (toText("prefix", prefix) === "") {
        throw invalidField("prefix must not be empty: that would delete the whole namespace");
      }
      if (onProgress !== undefined && typeof onProgress !== "function") {
        throw invalidField(`onProgress must be a function, not ${describe(onProgress)}`);
      }
      let deleted = 0;
      let keys: string[] = [];
      const remove = async () => {
        const found = await calls.deleteMany(keys, { ...rest, timeoutMs: left() });
        deleted += found.filter(Boolean).length;
        keys = [];
        onProgress?.(deleted);
      };
      for await (const { key } of calls.rangeKeys({ prefix, ...rest, timeoutMs })) {
        keys.push(key);
        if (keys.length === MAX_BATCH_ITEMS) {
          await remove();
        }
      }
      if (keys.length > 0) {
        await remove();
      }
      return deleted;
    },
  };
}
