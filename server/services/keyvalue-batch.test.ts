import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { BatchGetRequestSchema } from "../../gen/prism/interfaces/keyvalue/keyvalue_batch_pb.ts";
import { routerOn } from "../../tests/helpers/router.ts";
import { CALL, NAMESPACE } from "../backend/conformance/harness.ts";
import { createManualClock } from "../backend/conformance/manual-clock.ts";
import { createGuardedBackend } from "../backend/layers/guarded.ts";
import { createMemoryBackend } from "../backend/memory/backend.ts";
import { MIN_READ_SLICE_KEYS, READ_SLICE_KEYS } from "../limits.ts";
import { createKeyValueBatch } from "./keyvalue-batch.ts";

test("where values are large, BatchGet reads few keys before it refuses", async () => {
  const maxValueBytes = 4096;
  const memory = createMemoryBackend({ type: "memory" }, { clock: createManualClock() });
  const { entries } = memory;
  if (entries === undefined) {
    throw new Error("no entries");
  }
  const reads: number[] = [];
  const counted: typeof entries = {
    ...entries,
    get(namespace, keys, call) {
      reads.push(keys.length);
      return entries.get(namespace, keys, call);
    },
  };
  const backend = createGuardedBackend({ ...memory, entries: counted });
  await backend.open();
  const router = await routerOn(backend, [NAMESPACE]);
  const batch = createKeyValueBatch(router, { maxValueBytes });
  await entries.set(NAMESPACE, [{ key: "big", value: Buffer.alloc(maxValueBytes), ttlMs: 0 }], CALL);
  const get = (key: string) => {
    reads.length = 0;
    return batch.batchGet(create(BatchGetRequestSchema, { keys: Array(300).fill(key) }), CALL);
  };

  await expect(get("big")).rejects.toMatchObject({ reason: "value_too_large" });
  expect(reads).toEqual([READ_SLICE_KEYS]);
  await expect(get("big")).rejects.toMatchObject({ reason: "value_too_large" });
  expect(reads).toEqual([MIN_READ_SLICE_KEYS]);
  for (let i = 0; i < 100; i++) {
    await get("none");
  }
  expect(reads).toEqual([READ_SLICE_KEYS, READ_SLICE_KEYS, 300 - 2 * READ_SLICE_KEYS]);
});
