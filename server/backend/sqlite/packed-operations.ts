import type { Check, Mutation } from "../commit.ts";
import { type ItemOf, WRITE_NAMES, type WriteName } from "../operations.ts";
import type { ItemWrite } from "../records.ts";
import type { Operation, WriteOf } from "./operation.ts";

const NUMBER_BYTES = 8;
/** A unit of UTF-16 becomes this many bytes of UTF-8 at most. */
const MAX_UNIT_BYTES = 3;
/** Room for a group of small calls. */
const START_BYTES = 16 * 1024;

/** How an item goes into bytes and comes out again: its properties in one order. */
interface Form<Item> {
  pack(into: Packer, item: Item): void;
  unpack(from: Unpacker): Item;
}

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
 * Of each call's items. Properties are evaluated, and so read, in the order in which they stand.
 */
const FORMS: { readonly [W in WriteName]: Form<ItemOf<W>> } = {
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
};

/** The place of a type is its code. */
const TYPES = [...WRITE_NAMES, "sweep", "probe"] as const;

/**
 * Operations as bytes of their own, to be handed to another thread without a copy. Cloned as
 * objects, of which each value has a buffer for itself, they cost a quarter of all that is done for
 * a call.
 */
export function packOperations(operations: readonly Operation[]): Uint8Array<ArrayBuffer> {
  const packer = new Packer();
  for (const operation of operations) {
    packer.code(TYPES, operation.type);
    switch (operation.type) {
      case "sweep":
        packer.number(operation.maxEntries);
        break;
      case "probe":
        break;
      default:
        packWrite(packer, operation as WriteOf<WriteName>);
    }
  }
  return packer.packed();
}

function packWrite<W extends WriteName>(into: Packer, { type, namespace, items }: WriteOf<W>): void {
  const form: Form<ItemOf<W>> = FORMS[type];
  into.text(namespace);
  packAll(into, form, items);
}

function packAll<Item>(into: Packer, form: Form<Item>, items: readonly Item[]): void {
  into.number(items.length);
  for (const item of items) {
    form.pack(into, item);
  }
}

/** The operations again. Their values are views of `packed`. */
export function unpackOperations(packed: Uint8Array<ArrayBuffer>): Operation[] {
  const unpacker = new Unpacker(packed);
  const operations: Operation[] = [];
  while (!unpacker.done) {
    operations.push(unpackOne(unpacker));
  }
  return operations;
}

function unpackOne(from: Unpacker): Operation {
  const type = from.code(TYPES);
  switch (type) {
    case "sweep":
      return { type, maxEntries: from.number() };
    case "probe":
      return { type };
    default:
      return unpackWrite(from, type) as Operation;
  }
}

function unpackWrite<W extends WriteName>(from: Unpacker, type: W): WriteOf<W> {
  const form: Form<ItemOf<W>> = FORMS[type];
  const namespace = from.text();
  return { type, namespace, items: unpackAll(from, form) };
}

function unpackAll<Item>(from: Unpacker, form: Form<Item>): Item[] {
  const items: Item[] = [];
  for (let left = from.number(); left > 0; left--) {
    items.push(form.unpack(from));
  }
  return items;
}

class Packer {
  #bytes = Buffer.allocUnsafeSlow(START_BYTES);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  number(value: number): void {
    this.#reserve(NUMBER_BYTES);
    this.#view.setFloat64(this.#length, value);
    this.#length += NUMBER_BYTES;
  }

  /** Any whole number, also one that 64 bits do not hold. */
  bigint(value: bigint): void {
    this.text(String(value));
  }

  code<T>(all: readonly T[], one: T): void {
    this.number(all.indexOf(one));
  }

  text(text: string): void {
    this.#reserve(NUMBER_BYTES + text.length * MAX_UNIT_BYTES);
    const length = this.#bytes.write(text, this.#length + NUMBER_BYTES);
    this.number(length);
    this.#length += length;
  }

  blob(bytes: Uint8Array): void {
    this.number(bytes.length);
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  packed(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#bytes.length) {
      return;
    }
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#bytes.length));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }
}

class Unpacker {
  readonly #bytes: Buffer;
  readonly #view: DataView<ArrayBuffer>;
  #at = 0;

  constructor({ buffer, byteOffset, length }: Uint8Array<ArrayBuffer>) {
    this.#bytes = Buffer.from(buffer, byteOffset, length);
    this.#view = new DataView(buffer, byteOffset, length);
  }

  get done(): boolean {
    return this.#at === this.#bytes.length;
  }

  number(): number {
    this.#at += NUMBER_BYTES;
    return this.#view.getFloat64(this.#at - NUMBER_BYTES);
  }

  bigint(): bigint {
    return BigInt(this.text());
  }

  code<T>(all: readonly T[]): T {
    const one = all[this.number()];
    if (one === undefined) {
      throw new Error("packed operations hold an unknown code");
    }
    return one;
  }

  text(): string {
    const start = this.#take(this.number());
    return this.#bytes.toString("utf8", start, this.#at);
  }

  blob(): Uint8Array {
    const start = this.#take(this.number());
    return new Uint8Array(this.#view.buffer, this.#view.byteOffset + start, this.#at - start);
  }

  #take(length: number): number {
    const start = this.#at;
    this.#at += length;
    return start;
  }
}
