import fc from "fast-check";
import { expect, test } from "vitest";
import { MAX_TTL_SECONDS } from "../../limits.ts";
import type { Check, Mutation } from "../commit.ts";
import { AWKWARD_KEYS } from "../conformance/harness.ts";
import type { Operation } from "./operation.ts";
import { packOperations, unpackOperations } from "./packed-operations.ts";

const namespace = fc.constantFrom("default", "a");
const key = fc.constantFrom(...AWKWARD_KEYS);
const value = fc.uint8Array({ maxLength: 300 });
const end = fc.constantFrom("left", "right");
const ttlMs = fc.constantFrom(0, 1, MAX_TTL_SECONDS * 1000);

const version = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
const counter = fc.bigInt();

const check: fc.Arbitrary<Check> = fc.oneof(
  fc.record({ key, is: fc.constantFrom("absent", "present") }),
  fc.record({ key, is: fc.constant("value"), value }),
  fc.record({ key, is: fc.constant("version"), version }),
);
const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.record({ key, do: fc.constant("set"), value, ttlMs }),
  fc.record({ key, do: fc.constant("replace"), value }),
  fc.record({ key, do: fc.constantFrom("delete", "persist") }),
  fc.record({ key, do: fc.constant("add"), delta: counter, initial: counter, ttlMs }),
  fc.record({ key, do: fc.constant("expire"), ttlMs }),
);
const commit = fc.record({ checks: fc.array(check), mutations: fc.array(mutation), tells: fc.boolean() });

const whole = fc.nat(Number.MAX_SAFE_INTEGER);
const append = fc.record({
  stream: key,
  retentionMs: ttlMs,
  refusesExpired: fc.boolean(),
  nowMs: whole,
  chunks: fc.array(value),
});
const create = fc.record({
  stream: key,
  retentionMs: ttlMs,
  partitions: fc.nat(),
  replicationFactor: fc.nat(),
});

const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({
    type: fc.constant("set" as const),
    namespace,
    items: fc.array(fc.record({ key, value, ttlMs })),
  }),
  fc.record({ type: fc.constant("delete" as const), namespace, items: fc.array(key) }),
  fc.record({ type: fc.constant("commit" as const), namespace, items: fc.array(commit) }),
  fc.record({
    type: fc.constant("push" as const),
    namespace,
    items: fc.array(fc.record({ key, end, value })),
  }),
  fc.record({ type: fc.constant("pop" as const), namespace, items: fc.array(fc.record({ key, end })) }),
  fc.record({ type: fc.constant("appendEvents" as const), namespace, items: fc.array(append) }),
  fc.record({ type: fc.constant("createStream" as const), namespace, items: fc.array(create) }),
  fc.record({ type: fc.constant("deleteStream" as const), namespace, items: fc.array(key) }),
  fc.record({ type: fc.constant("sweep" as const), maxEntries: fc.nat() }),
  fc.record({ type: fc.constant("erase" as const), namespace, maxItems: fc.nat() }),
);

test("operations are the same after they crossed to another thread", () => {
  fc.assert(
    fc.property(fc.array(operation), (operations) => {
      const packed = packOperations(operations);
      expect(unpackOperations(structuredClone(packed, { transfer: [packed.buffer] }))).toEqual(operations);
    }),
  );
});
