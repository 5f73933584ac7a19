import { CALL_OPTIONS, type CallOptions } from "../call.ts";
import { toBytes, toInt64, toSignedInt64, toText, type Value } from "../convert.ts";

/** The options of a write. */
export interface SetOptions extends CallOptions {
  /**
   * Whole seconds until the entry expires. Absent or 0: it never expires, even if it replaces an
   * entry that would.
   */
  readonly ttlSeconds?: number | undefined;
}

/** The names of {@link SetOptions}. */
export const SET_OPTIONS = { ttlSeconds: true, ...CALL_OPTIONS } satisfies Record<keyof SetOptions, true>;

/** The options of a counter. */
export interface IncrementOptions extends SetOptions {
  /** Where an absent counter starts, before the addition. Default: 0. */
  readonly initial?: number | bigint | undefined;
}

/** The names of {@link IncrementOptions}. */
export const INCREMENT_OPTIONS = { initial: true, ...SET_OPTIONS } satisfies Record<
  keyof IncrementOptions,
  true
>;

/** The field of a request with the start of a counter; without one, none. */
export function toInitial({ initial }: Pick<IncrementOptions, "initial">): { initial?: bigint } {
  return initial === undefined ? {} : { initial: toSignedInt64("initial", initial) };
}

/** The field of a request with a time to live; without one, none. */
export function toTtl({ ttlSeconds }: Pick<SetOptions, "ttlSeconds">): { ttlSeconds?: bigint } {
  return ttlSeconds === undefined ? {} : { ttlSeconds: toInt64("ttlSeconds", ttlSeconds) };
}

/** The fields of a request with an entry to write. */
export function toItem(key: string, value: Value) {
  return { key: toText("key", key), value: toBytes("value", value) };
}
