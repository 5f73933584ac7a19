/** What callers are told where a store does not keep all keys together. */
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import {
  BatchDeleteRequestSchema,
  BatchSetRequestSchema,
} from "../../gen/prism/interfaces/keyvalue/keyvalue_batch_pb.ts";
import {
  CommitRequestSchema,
  ReadRequestSchema,
} from "../../gen/prism/interfaces/keyvalue/keyvalue_transaction_pb.ts";
import { routerOn } from "../../tests/helpers/router.ts";
import { CALL, NAMESPACE } from "../backend/conformance/harness.ts";
import { createManualClock } from "../backend/conformance/manual-clock.ts";
import { type Backend, keepsWhole, Refusal } from "../backend/contract.ts";
import { createGuardedBackend } from "../backend/layers/guarded.ts";
import { createShardedBackend, shardOf } from "../backend/layers/sharded.ts";
import { createMemoryBackend } from "../backend/memory/backend.ts";
import { createKeyValueBatch } from "./keyvalue-batch.ts";
import { createKeyValueTransaction } from "./keyvalue-transaction.ts";

const LIMITS = { maxValueBytes: 1024 };
const SHARDS = 2;
/** The first two are on one shard, the third is on the other. */
const KEYS = ["{a}1", "{a}2", "d"];

async function start(change: (backend: Backend) => Backend = (backend) => backend) {
  const clock = createManualClock();
  const shards = Array.from({ length: SHARDS }, () => createMemoryBackend({ type: "memory" }, { clock }));
  const backend = change(createGuardedBackend(createShardedBackend(shards)));
  await backend.open();
  const router = await routerOn(backend, [NAMESPACE]);
  return {
    batch: createKeyValueBatch(router, LIMITS),
    transaction: createKeyValueTransaction(router, LIMITS),
  };
}

const itemsOf = (keys: readonly string[]) =>
  create(BatchSetRequestSchema, { items: keys.map((key) => ({ key })) });

test("a batch is atomic if its keys lie together", async () => {
  expect(KEYS.map((key) => shardOf(key, SHARDS))).toEqual([1, 1, 0]);
  const { batch } = await start();
  for (const [keys, atomic] of [
    [KEYS.slice(0, 2), true],
    [KEYS, false],
    [["d", "d"], true],
  ] as const) {
    expect(await batch.batchSet(itemsOf(keys), CALL)).toMatchObject({ atomic });
    const request = create(BatchDeleteRequestSchema, { keys: [...keys] });
    expect(await batch.batchDelete(request, CALL)).toMatchObject({ atomic });
  }
  expect(keepsWhole({ atomic: "key" }, ["a", "a"])).toBe(true);
  expect(keepsWhole({ atomic: "key" }, ["a", "b"])).toBe(false);
  expect(keepsWhole({ atomic: "namespace" }, ["a", "b"])).toBe(true);
});

test("a transaction over keys that lie apart is refused, and writes nothing", async () => {
  const { transaction } = await start();
  const mutations = KEYS.map((key) => ({ key, kind: { case: "set", value: {} } }) as const);
  const apart = { reason: "not_atomic", message: expect.stringContaining('"{a}1" and "d"') };
  const commit = transaction.commit(create(CommitRequestSchema, { mutations }), CALL);
  await expect(commit).rejects.toMatchObject(apart);
  const read = transaction.read(create(ReadRequestSchema, { keys: KEYS }), CALL);
  await expect(read).rejects.toMatchObject(apart);
  const together = create(ReadRequestSchema, { keys: KEYS.slice(0, 2) });
  expect(await transaction.read(together, CALL)).toEqual({ results: [{}, {}] });
  const just = create(CommitRequestSchema, { mutations: mutations.slice(0, 2) });
  expect(await transaction.commit(just, CALL)).toMatchObject({ committed: true });
});

test("items that a store refuses have their error; if it refuses all, the call fails", async () => {
  const full = new Refusal("store_full", "the store is full", { field: "value" });
  const { batch } = await start((backend) => ({
    ...backend,
    entries: {
      ...(backend.entries as NonNullable<Backend["entries"]>),
      set: async (_namespace, items) => items.map(({ key }) => (key === "b" ? full : undefined)),
    },
  }));
  const { results } = await batch.batchSet(itemsOf(["a", "b"]), CALL);
  expect(results).toMatchObject([
    {},
    {
      error: {
        message: "the store is full",
        namespace: NAMESPACE,
        fieldViolations: [{ field: "items[1].value", description: "the store is full" }],
      },
    },
  ]);
  expect(results?.[0]).toEqual({});
  await expect(batch.batchSet(itemsOf(["b", "b"]), CALL)).rejects.toMatchObject({ reason: "store_full" });
});
