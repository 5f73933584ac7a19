const NUMBER_BYTES = 8;
/** A unit of UTF-16 becomes this many bytes of UTF-8 at most. */
const MAX_UNIT_BYTES = 3;
/** Room for a group of small calls. */
const START_BYTES = 16 * 1024;

/** How an item goes into bytes and comes out again: its properties in one order. */
export interface Form<Item> {
  pack(into: Packer, item: Item): void;
  unpack(from: Unpacker): Item;
}

/** Packs a list: how many there are, and each. */
export function packAll<Item>(into: Packer, form: Form<Item>, items: readonly Item[]): void {
  into.number(items.length);
  for (const item of items) {
    form.pack(into, item);
  }
}

/** The list again. */
export function unpackAll<Item>(from: Unpacker, form: Form<Item>): Item[] {
  const items: Item[] = [];
  for (let left = from.number(); left > 0; left--) {
    items.push(form.unpack(from));
  }
  return items;
}

/** Writes numbers, texts and bytes one after the other. It grows as it needs. */
export class Packer {
  #bytes: Buffer<ArrayBuffer>;
  #view: DataView<ArrayBuffer>;
  #length = 0;

  /** @param expectedBytes About how much will be written: growing copies what is there. */
  constructor(expectedBytes = 0) {
    this.#bytes = Buffer.allocUnsafeSlow(START_BYTES + expectedBytes);
    this.#view = new DataView(this.#bytes.buffer);
  }

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

/** Reads them in the same order. What it reads as bytes is a view. */
export class Unpacker {
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
