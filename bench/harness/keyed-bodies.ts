import { create, type DescMethod, toBinary } from "@bufbuild/protobuf";
import { KeyValueBasicInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { KeyValueCounterInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_counter_pb.ts";
import { KeyValueScanInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { envelope, pathOf, VALUE_BYTES } from "./calls.ts";

const { get, set } = KeyValueBasicInterface.method;
const { scan } = KeyValueScanInterface.method;
const { increment } = KeyValueCounterInterface.method;

/**
 * The method to call. `Scan` reads a hundred consecutive entries. `Increment` has keys of its own.
 */
export type KeyedMethod = "Get" | "Set" | "Scan" | "Increment";

const METHODS = { Get: get, Set: set, Scan: scan, Increment: increment } satisfies Record<
  KeyedMethod,
  DescMethod
>;

/**
 * Keys are `key:` or `inc:` and a number. Keys that differ only in the last two digits are
 * consecutive.
 */
const DIGITS = 12;
const SCAN_DIGITS = DIGITS - 2;

/** The path of a method. */
export function keyedPath(method: KeyedMethod): string {
  return pathOf(METHODS[method]);
}

/** Bodies of gRPC calls. Each has a key of 16 bytes; each write has a new value. */
export class KeyedBodies {
  readonly #body: Buffer;
  readonly #digits: number;
  readonly #digitsAt: number;
  /** The offset of the value; -1 = none. */
  readonly #valueAt: number;
  readonly #keys: number;
  readonly #inOrder: boolean;
  /** The number of bodies made. */
  count = 0;

  /**
   * `keys`: the number of keys. In order: one after the other and again from the first; otherwise
   * random.
   */
  constructor(
    method: KeyedMethod,
    { keys, inOrder = false }: { readonly keys: number; readonly inOrder?: boolean },
  ) {
    this.#digits = method === "Scan" ? SCAN_DIGITS : DIGITS;
    const key = `${method === "Increment" ? "inc:" : "key:"}${"0".repeat(this.#digits)}`;
    const value = Buffer.alloc(VALUE_BYTES.small, "v");
    this.#body = envelope(messageOf(method, key, value));
    this.#digitsAt = this.#body.indexOf(key) + "key:".length;
    this.#valueAt = this.#body.indexOf(value);
    this.#keys = keys;
    this.#inOrder = inOrder;
  }

  /** The next body. The next call of this changes it. */
  next(): Buffer {
    let key = this.#inOrder ? this.count % this.#keys : Math.floor(Math.random() * this.#keys);
    this.count++;
    if (this.#digits === SCAN_DIGITS) {
      key = Math.floor(key / 100);
    }
    for (let at = this.#digitsAt + this.#digits - 1; at >= this.#digitsAt; at--) {
      this.#body[at] = 0x30 + (key % 10);
      key = Math.floor(key / 10);
    }
    // Different from every earlier value, including those of earlier runs.
    if (this.#valueAt >= 0) {
      this.#body.writeDoubleBE(performance.timeOrigin, this.#valueAt);
      this.#body.writeDoubleBE(this.count, this.#valueAt + Float64Array.BYTES_PER_ELEMENT);
    }
    return this.#body;
  }
}

function messageOf(method: KeyedMethod, key: string, value: Uint8Array): Uint8Array {
  switch (method) {
    case "Get":
      return toBinary(get.input, create(get.input, { key }));
    case "Set":
      return toBinary(set.input, create(set.input, { key, value }));
    case "Increment":
      return toBinary(increment.input, create(increment.input, { key, delta: 1n }));
    case "Scan":
      return toBinary(scan.input, create(scan.input, { prefix: key, limit: 100 }));
  }
}
