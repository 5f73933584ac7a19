import type { Backend, Call } from "../contract.ts";
import { wrapMethods } from "../layers/wrapped.ts";
import type { ArgumentOf, OperationName } from "../operations.ts";
import { bytes, NAMESPACE } from "./harness.ts";

const write = { key: "a", value: bytes("1") };
const item = { key: bytes("k"), value: bytes("1"), metadata: new Uint8Array(0), ttlMs: 0 };
const event = { timestampMs: 0, payload: bytes("1"), tags: {} };
const someEvents = { stream: "a", tags: {}, maxEvents: 1, maxBytes: 1000 };

/**
 * An argument for each method of the contract, for tests that need any. All are about the key "a".
 */
export const SAMPLES: { readonly [M in OperationName]: ArgumentOf<M> } = {
  get: ["a"],
  exists: ["a"],
  set: [{ ...write, ttlMs: 0 }],
  delete: ["a"],
  read: [{ keys: ["a"], values: true, maxBytes: 1000 }],
  commit: [{ checks: [], mutations: [{ ...write, do: "set", ttlMs: 0 }], tells: false }],
  scanPage: { prefix: "", after: undefined, maxEntries: 1, maxBytes: 1, keysOnly: true },
  count: "",
  push: [{ ...write, end: "left" }],
  pop: [{ key: "a", end: "left" }],
  length: ["a"],
  slice: [{ key: "a", start: 0, stop: -1, maxEntries: 1, maxBytes: 1 }],
  trim: [{ key: "a", start: 0, stop: -1 }],
  at: [{ key: "a", index: 0 }],
  put: [{ ...write, index: 0 }],
  insert: [{ ...write, side: "before", pivot: write.value }],
  remove: [{ ...write, count: 1 }],
  move: [{ key: "a", end: "left", to: "a", toEnd: "right" }],
  pageNames: { prefix: "a", after: undefined, maxNames: 1 },
  putItems: [{ id: "a", items: [item] }],
  getItems: [{ id: "a", keys: [item.key], maxBytes: 1000 }],
  pageItems: [{ id: "a", start: undefined, end: undefined, after: undefined, maxItems: 1, maxBytes: 1000 }],
  deleteItems: [{ id: "a", keys: undefined, maxItems: 10 }],
  swapItem: [{ id: "a", key: item.key, expected: undefined, value: item.value }],
  pageIds: { prefix: "a", after: undefined, maxNames: 1 },
  blockingPop: { key: "a", end: "left", waitMs: 1 },
  appendEvents: [{ stream: "a", events: [event], retentionMs: 0, refusesExpired: false }],
  queryEvents: [{ ...someEvents, startMs: 0, endMs: Infinity, after: undefined }],
  readEvents: [{ ...someEvents, offset: 0, minTimestampMs: 0 }],
  createStream: [{ stream: "a", retentionMs: 0, partitions: 0, replicationFactor: 0 }],
  describeStream: ["a"],
  deleteStream: ["a"],
  pageStreams: { prefix: "a", after: undefined, maxNames: 1 },
  waitEvents: { ...someEvents, offset: 0, minTimestampMs: 0, waitMs: 1 },
};

/** Calls every method that the store has once, all at the same time. */
export function callEvery(backend: Backend, call: Call): Promise<unknown>[] {
  const calls: Promise<unknown>[] = [];
  wrapMethods(backend, (method, name) => {
    calls.push(method(NAMESPACE, SAMPLES[name as OperationName] as never, call));
    return method;
  });
  return calls;
}
