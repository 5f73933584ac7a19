import { create, toBinary } from "@bufbuild/protobuf";
import { KeyValueBasicInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { envelope, pathOf, VALUE_BYTES } from "./calls.ts";

const { get, set } = KeyValueBasicInterface.method;

/** What is called. */
export type KeyedMethod = "Get" | "Set";

/** How many keys there are. */
export const KEYS = 10_000;

/** Where a method is called. */
export function keyedPath(method: KeyedMethod): string {
  return pathOf(method === "Get" ? get : set);
}

/** The bodies of gRPC calls, each with the next key. */
export class KeyedBodies {
  readonly #bodies: readonly Buffer[];
  /** Where the value is in each body, -1 = they have none. */
  readonly #valueAt: number;
  /** How many there were. */
  count = 0;

  constructor(method: KeyedMethod) {
    const value = Buffer.alloc(VALUE_BYTES.small, "v");
    this.#bodies = Array.from({ length: KEYS }, (_, i) => {
      // A step that shares no factor with the number of keys leads through all of them, out of order.
      const key = `key:${String((i * 7919) % KEYS).padStart(12, "0")}`;
      return envelope(
        method === "Get"
          ? toBinary(get.input, create(get.input, { key }))
          : toBinary(set.input, create(set.input, { key, value })),
      );
    });
    this.#valueAt = this.#bodies[0]?.indexOf(value) ?? -1;
  }

  /** The next body. A later call of this changes it. */
  next(): Buffer {
    const body = this.#bodies[this.count++ % KEYS];
    if (body === undefined) throw new Error("there are no keys");
    // Another value than any call before had, also those of an earlier run.
    if (this.#valueAt >= 0) body.writeDoubleBE(performance.timeOrigin + this.count, this.#valueAt);
    return body;
  }
}
