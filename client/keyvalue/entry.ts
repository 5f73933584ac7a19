import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ExpectationSchema } from "../../gen/prism/interfaces/keyvalue/keyvalue_cas_pb.ts";
import type { Entry as WireEntry } from "../../gen/prism/interfaces/keyvalue/keyvalue_types_pb.ts";
import { describe, fromInt64, ownBytes, toBytes, toInt64, type Value } from "../convert.ts";
import { invalidField } from "../errors.ts";

/** An entry with everything that is known of it. */
export interface Entry {
  readonly value: Uint8Array<ArrayBuffer>;
  /**
   * The store gives an entry a version at each write. Of one key a later version is a larger one,
   * also over deletes and restarts.
   */
  readonly version: number;
  /** Milliseconds until it expires; `undefined` = never. */
  readonly ttlMs: number | undefined;
}

/** What an entry must be for a write: absent, of this value, or of this version. */
export type Expectation =
  | { readonly absent: true }
  | { readonly value: Value }
  | { readonly version: number };

/** The `kind` of an expectation on the wire. */
type ExpectationKind = Exclude<
  NonNullable<MessageInitShape<typeof ExpectationSchema>["kind"]>,
  { readonly case: undefined }
>;

/** An entry of an answer. */
export function fromEntry({ value, version, remainingMs }: WireEntry): Entry {
  return {
    value: ownBytes(value),
    version: fromInt64("version", version),
    ttlMs: remainingMs === undefined ? undefined : fromInt64("remaining_ms", remainingMs),
  };
}

/** The field of a request. Throws `invalid_field` if it says nothing, or two things. */
export function toExpectation(expected: unknown): ExpectationKind {
  const names = typeof expected === "object" && expected !== null ? Object.keys(expected) : [];
  const given = expected as Readonly<Record<string, unknown>>;
  if (names.length === 1) {
    if (given.absent === true) {
      return { case: "absent", value: {} };
    }
    if ("value" in given) {
      return { case: "value", value: toBytes("value", given.value) };
    }
    if ("version" in given) {
      return { case: "version", value: toInt64("version", given.version) };
    }
  }
  throw invalidField(
    `expected must be { absent: true }, { value } or { version }, not ${describe(expected)}`,
  );
}
