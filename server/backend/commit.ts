/**
 * Conditional writes as data. A commit is a list of checks and a list of mutations. It takes effect
 * whole or not at all. Compare-and-swap, counters, times to live and transactions are commits.
 */

/** What an entry must be for the commit to take effect. An expired entry is absent. */
export type Check =
  | { readonly key: string; readonly is: "absent" | "present" }
  | { readonly key: string; readonly is: "value"; readonly value: Uint8Array }
  | { readonly key: string; readonly is: "version"; readonly version: number };

/** A change of one entry. A mutation sees what the earlier ones of its commit did. */
export type Mutation =
  /** Writes the value. `ttlMs`: milliseconds until it expires; 0 = never. */
  | { readonly key: string; readonly do: "set"; readonly value: Uint8Array; readonly ttlMs: number }
  /** Writes the value and keeps the expiry. A key that was absent never expires. */
  | { readonly key: string; readonly do: "replace"; readonly value: Uint8Array }
  | { readonly key: string; readonly do: "delete" }
  /**
   * Adds to a counter and keeps its expiry. An absent key is made with `initial + delta` and
   * `ttlMs` (0 = never). See {@link parseCounter} for what a counter is.
   */
  | {
      readonly key: string;
      readonly do: "add";
      readonly delta: bigint;
      readonly initial: bigint;
      readonly ttlMs: number;
    }
  /** Gives an entry a new expiry, `ttlMs` (1 or more) from now. Does nothing to an absent key. */
  | { readonly key: string; readonly do: "expire"; readonly ttlMs: number }
  /** Makes an entry never expire. */
  | { readonly key: string; readonly do: "persist" };

/** Checks and mutations. They name at least one key. */
export interface Commit {
  readonly checks: readonly Check[];
  /** They take effect in their order, if every check holds. */
  readonly mutations: readonly Mutation[];
  /**
   * True: the answer for a failed check tells what is held. Only with one check, so that an answer
   * has one value at most.
   */
  readonly tells: boolean;
}

/** What a mutation found: no entry, one that never expires, or one that does. */
export type Before = "absent" | "lasting" | "expiring";

/** What a mutation did. */
export interface MutationResult {
  readonly before: Before;
  /** The counter after an `add`. Absent for all others. */
  readonly counter?: bigint;
}

/** A check that did not hold. */
export interface FailedCheck {
  /** Its index in {@link Commit.checks}. */
  readonly index: number;
  /** What is held. `undefined` = there is no entry, or the commit did not ask. */
  readonly held: HeldEntry | undefined;
}

/** What became of a commit that was not refused. */
export type CommitAnswer =
  | {
      readonly committed: true;
      /** The version of every entry that it wrote; 0 = it wrote none. */
      readonly version: number;
      /** One for each mutation. */
      readonly results: readonly MutationResult[];
    }
  | {
      readonly committed: false;
      /** Every check that did not hold, in order. Nothing was written. */
      readonly failed: readonly FailedCheck[];
    };

/** An entry with everything that is known of it. */
export interface HeldEntry {
  readonly value: Uint8Array;
  /**
   * The store gives an entry a version at each write: a whole number above 0, of one key a larger
   * one each time, also over deletes and restarts. No key gets one twice, so a check of an earlier
   * version never holds again. On PostgreSQL a plain set that runs while others write the entry
   * and delete it may give a smaller one than theirs.
   */
  readonly version: number;
  /** Milliseconds until it expires; 0 = never. */
  readonly ttlMs: number;
}

/** Keys to read at one moment. */
export interface Read {
  /** At least one. */
  readonly keys: readonly string[];
  /** False leaves every value empty. */
  readonly values: boolean;
  /**
   * The read is refused as `value_too_large` if its values have more bytes than this. Without
   * values nothing counts.
   */
  readonly maxBytes: number;
}

/** The keys that a commit is about, in order. A key can come more than once. */
export function keysOfCommit({ checks, mutations }: Commit): readonly string[] {
  return [...checks, ...mutations].map(({ key }) => key);
}

const MIN_COUNTER = -(2n ** 63n);
const MAX_COUNTER = 2n ** 63n - 1n;
/** The longest text of a counter: a sign and 19 digits. */
export const MAX_COUNTER_BYTES = 20;

/** Whether a number is a counter: a signed integer of 64 bits. */
export function isCounter(value: bigint): boolean {
  return value >= MIN_COUNTER && value <= MAX_COUNTER;
}

/**
 * Reads a counter: the decimal text of a signed integer of 64 bits, as Redis writes it, so without
 * spaces, leading zeros or a plus sign. `undefined` = the value is no counter.
 */
export function parseCounter(value: Uint8Array): bigint | undefined {
  if (value.length > MAX_COUNTER_BYTES) {
    return undefined;
  }
  const text = Buffer.from(value.buffer, value.byteOffset, value.length).toString("latin1");
  if (!/^(?:0|-?[1-9]\d*)$/.test(text)) {
    return undefined;
  }
  const counter = BigInt(text);
  return isCounter(counter) ? counter : undefined;
}
