import type { Operation } from "./write-batch.ts";

/** The place of a type, and of an end, is its code. */
const TYPES = [
  "set",
  "delete",
  "push",
  "pop",
  "sweep",
  "probe",
] as const satisfies readonly Operation["type"][];
const ENDS = ["left", "right"] as const;

const NUMBER_BYTES = 8;
/** A unit of UTF-16 becomes this many bytes of UTF-8 at most. */
const MAX_UNIT_BYTES = 3;
/** Room for a group of small calls. */
const START_BYTES = 16 * 1024;

/**
 * Operations as bytes of their own, to be handed to another thread without a copy. Cloned as objects, of which each value has a buffer
 * for itself, they cost a quarter of all that is done for a call.
 */
export function packOperations(operations: readonly Operation[]): Uint8Array<ArrayBuffer> {
  const packer = new Packer();
  for (const operation of operations) {
    packer.code(TYPES, operation.type);
    switch (operation.type) {
      case "set":
        packer.text(operation.namespace);
        packer.items(operation.entries, ({ key, value, ttlMs }) => {
          packer.text(key);
          packer.number(ttlMs);
          packer.blob(value);
        });
        break;
      case "delete":
        packer.text(operation.namespace);
        packer.items(operation.keys, (key) => packer.text(key));
        break;
      case "push":
        packer.text(operation.namespace);
        packer.items(operation.pushes, ({ key, end, value }) => {
          packer.text(key);
          packer.code(ENDS, end);
          packer.blob(value);
        });
        break;
      case "pop":
        packer.text(operation.namespace);
        packer.items(operation.pops, ({ key, end }) => {
          packer.text(key);
          packer.code(ENDS, end);
        });
        break;
      case "sweep":
        packer.number(operation.maxEntries);
        break;
      case "probe":
    }
  }
  return packer.packed();
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

/** Properties are evaluated, and so read, in the order in which they were packed. */
function unpackOne(from: Unpacker): Operation {
  const type = from.code(TYPES);
  if (type === "sweep") {
    return { type, maxEntries: from.number() };
  }
  if (type === "probe") {
    return { type };
  }
  const namespace = from.text();
  switch (type) {
    case "set": {
      const entries = from.items(() => ({ key: from.text(), ttlMs: from.number(), value: from.blob() }));
      return { type, namespace, entries };
    }
    case "delete":
      return { type, namespace, keys: from.items(() => from.text()) };
    case "push": {
      const pushes = from.items(() => ({ key: from.text(), end: from.code(ENDS), value: from.blob() }));
      return { type, namespace, pushes };
    }
    case "pop":
      return { type, namespace, pops: from.items(() => ({ key: from.text(), end: from.code(ENDS) })) };
  }
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

  items<T>(items: readonly T[], write: (item: T) => void): void {
    this.number(items.length);
    for (const item of items) {
      write(item);
    }
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

  items<T>(read: () => T): T[] {
    const items: T[] = [];
    for (let left = this.number(); left > 0; left--) {
      items.push(read());
    }
    return items;
  }

  #take(length: number): number {
    const start = this.#at;
    this.#at += length;
    return start;
  }
}
