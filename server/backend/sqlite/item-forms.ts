import type { Check, Mutation } from "../commit.ts";
import type { WriteName } from "../operations.ts";
import type { ItemWrite } from "../records.ts";
import type { WriteItems } from "./operation.ts";
import { type Form, packAll, unpackAll } from "./packer.ts";

/** The place of an end is its code. */
const ENDS = ["left", "right"] as const;
const SIDES = ["before", "after"] as const;

/** The place of each is its code. */
const FLAGS = [false, true] as const;
const CHECKS = ["absent", "present", "value", "version"] as const satisfies Check["is"][];
const MUTATIONS = [
  "set",
  "replace",
  "delete",
  "add",
  "expire",
  "persist",
] as const satisfies Mutation["do"][];

const CHECK: Form<Check> = {
  pack(into, check) {
    into.code(CHECKS, check.is);
    into.text(check.key);
    switch (check.is) {
      case "value":
        into.blob(check.value);
        break;
      case "version":
        into.number(check.version);
        break;
      case "absent":
      case "present":
        break;
    }
  },
  unpack(from) {
    const is = from.code(CHECKS);
    const key = from.text();
    switch (is) {
      case "value":
        return { key, is, value: from.blob() };
      case "version":
        return { key, is, version: from.number() };
      case "absent":
      case "present":
        return { key, is };
    }
  },
};

const MUTATION: Form<Mutation> = {
  pack(into, mutation) {
    into.code(MUTATIONS, mutation.do);
    into.text(mutation.key);
    switch (mutation.do) {
      case "set":
        into.blob(mutation.value);
        into.number(mutation.ttlMs);
        break;
      case "replace":
        into.blob(mutation.value);
        break;
      case "add":
        into.bigint(mutation.delta);
        into.bigint(mutation.initial);
        into.number(mutation.ttlMs);
        break;
      case "expire":
        into.number(mutation.ttlMs);
        break;
      case "delete":
      case "persist":
        break;
    }
  },
  unpack(from) {
    const does = from.code(MUTATIONS);
    const key = from.text();
    switch (does) {
      case "set":
        return { key, do: does, value: from.blob(), ttlMs: from.number() };
      case "replace":
        return { key, do: does, value: from.blob() };
      case "add":
        return { key, do: does, delta: from.bigint(), initial: from.bigint(), ttlMs: from.number() };
      case "expire":
        return { key, do: does, ttlMs: from.number() };
      case "delete":
      case "persist":
        return { key, do: does };
    }
  },
};

const ITEM: Form<ItemWrite> = {
  pack(into, { key, value, metadata, ttlMs }) {
    into.blob(key);
    into.blob(value);
    into.blob(metadata);
    into.number(ttlMs);
  },
  unpack: (from) => ({ key: from.blob(), value: from.blob(), metadata: from.blob(), ttlMs: from.number() }),
};

const BLOB: Form<Uint8Array> = {
  pack: (into, bytes) => into.blob(bytes),
  unpack: (from) => from.blob(),
};

/** What may be absent. */
function optional<Item>(form: Form<Item>): Form<Item | undefined> {
  return {
    pack(into, item) {
      into.code(FLAGS, item !== undefined);
      if (item !== undefined) {
        form.pack(into, item);
      }
    },
    unpack: (from) => (from.code(FLAGS) ? form.unpack(from) : undefined),
  };
}

const KEYS = optional<readonly Uint8Array[]>({
  pack: (into, keys) => packAll(into, BLOB, keys),
  unpack: (from) => unpackAll(from, BLOB),
});
const EXPECTED = optional(BLOB);

/**
 * How the items of each call are packed. An object's properties are read in the order in which
 * they stand.
 */
export const FORMS: { readonly [W in WriteName]: Form<WriteItems[W]> } = {
  set: {
    pack(into, { key, ttlMs, value }) {
      into.text(key);
      into.number(ttlMs);
      into.blob(value);
    },
    unpack: (from) => ({ key: from.text(), ttlMs: from.number(), value: from.blob() }),
  },
  delete: {
    pack: (into, key) => into.text(key),
    unpack: (from) => from.text(),
  },
  commit: {
    pack(into, { checks, mutations, tells }) {
      packAll(into, CHECK, checks);
      packAll(into, MUTATION, mutations);
      into.code(FLAGS, tells);
    },
    unpack: (from) => ({
      checks: unpackAll(from, CHECK),
      mutations: unpackAll(from, MUTATION),
      tells: from.code(FLAGS),
    }),
  },
  push: {
    pack(into, { key, end, value }) {
      into.text(key);
      into.code(ENDS, end);
      into.blob(value);
    },
    unpack: (from) => ({ key: from.text(), end: from.code(ENDS), value: from.blob() }),
  },
  pop: {
    pack(into, { key, end }) {
      into.text(key);
      into.code(ENDS, end);
    },
    unpack: (from) => ({ key: from.text(), end: from.code(ENDS) }),
  },
  trim: {
    pack(into, { key, start, stop }) {
      into.text(key);
      into.number(start);
      into.number(stop);
    },
    unpack: (from) => ({ key: from.text(), start: from.number(), stop: from.number() }),
  },
  put: {
    pack(into, { key, index, value }) {
      into.text(key);
      into.number(index);
      into.blob(value);
    },
    unpack: (from) => ({ key: from.text(), index: from.number(), value: from.blob() }),
  },
  insert: {
    pack(into, { key, side, pivot, value }) {
      into.text(key);
      into.code(SIDES, side);
      into.blob(pivot);
      into.blob(value);
    },
    unpack: (from) => ({
      key: from.text(),
      side: from.code(SIDES),
      pivot: from.blob(),
      value: from.blob(),
    }),
  },
  remove: {
    pack(into, { key, value, count }) {
      into.text(key);
      into.blob(value);
      into.number(count);
    },
    unpack: (from) => ({ key: from.text(), value: from.blob(), count: from.number() }),
  },
  move: {
    pack(into, { key, end, to, toEnd }) {
      into.text(key);
      into.code(ENDS, end);
      into.text(to);
      into.code(ENDS, toEnd);
    },
    unpack: (from) => ({
      key: from.text(),
      end: from.code(ENDS),
      to: from.text(),
      toEnd: from.code(ENDS),
    }),
  },
  putItems: {
    pack(into, { id, items }) {
      into.text(id);
      packAll(into, ITEM, items);
    },
    unpack: (from) => ({ id: from.text(), items: unpackAll(from, ITEM) }),
  },
  deleteItems: {
    pack(into, { id, keys, maxItems }) {
      into.text(id);
      KEYS.pack(into, keys);
      into.number(maxItems);
    },
    unpack: (from) => ({ id: from.text(), keys: KEYS.unpack(from), maxItems: from.number() }),
  },
  swapItem: {
    pack(into, { id, key, expected, value }) {
      into.text(id);
      into.blob(key);
      EXPECTED.pack(into, expected);
      into.blob(value);
    },
    unpack: (from) => ({
      id: from.text(),
      key: from.blob(),
      expected: EXPECTED.unpack(from),
      value: from.blob(),
    }),
  },
  appendEvents: {
    pack(into, { stream, retentionMs, refusesExpired, nowMs, chunks }) {
      into.text(stream);
      into.number(retentionMs);
      into.code(FLAGS, refusesExpired);
      into.number(nowMs);
      packAll(into, BLOB, chunks);
    },
    unpack: (from) => ({
      stream: from.text(),
      retentionMs: from.number(),
      refusesExpired: from.code(FLAGS),
      nowMs: from.number(),
      chunks: unpackAll(from, BLOB),
    }),
  },
  createStream: {
    pack(into, { stream, retentionMs, partitions, replicationFactor }) {
      into.text(stream);
      into.number(retentionMs);
      into.number(partitions);
      into.number(replicationFactor);
    },
    unpack: (from) => ({
      stream: from.text(),
      retentionMs: from.number(),
      partitions: from.number(),
      replicationFactor: from.number(),
    }),
  },
  deleteStream: {
    pack: (into, stream) => into.text(stream),
    unpack: (from) => from.text(),
  },
};
