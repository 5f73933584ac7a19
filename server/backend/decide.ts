import type { RefusalReason } from "../reasons.ts";
import {
  type Before,
  type Check,
  type Commit,
  type CommitAnswer,
  type FailedCheck,
  type HeldEntry,
  isCounter,
  type Mutation,
  type MutationResult,
  parseCounter,
  type Read,
} from "./commit.ts";
import { Refusal } from "./contract.ts";

/** An entry as a store holds it. */
export interface Held {
  /** A store may read it only when somebody asks. */
  readonly value: Uint8Array;
  /** The size of the value, if it is known without reading it. */
  readonly bytes?: number;
  readonly version: number;
  /** Milliseconds on the store's clock; `undefined` = never. */
  readonly expiresAtMs: number | undefined;
}

/** An entry after a commit. */
export interface Left {
  /** `undefined` = the value that the store holds stays. */
  readonly value: Uint8Array | undefined;
  /** Milliseconds on the store's clock; `undefined` = never. */
  readonly expiresAtMs: number | undefined;
}

/** What a commit answers, and what it changes. */
export interface Decision {
  readonly answer: CommitAnswer;
  /** Each key that it changes, with what is left there; `undefined` = the entry is deleted. */
  readonly writes: ReadonlyMap<string, Left | undefined>;
}

/** The unexpired entry of a key. */
export type Look = (key: string) => Held | undefined;

/**
 * Decides what a commit does, without doing it. The answer is a refusal if a mutation is impossible
 * on what is held.
 *
 * @param nowMs The time on the store's clock.
 * @param version The version for the entries that it writes.
 */
export function decide(commit: Commit, look: Look, nowMs: number, version: number): Decision | Refusal {
  const failed = failedChecks(commit, look, nowMs);
  if (failed.length > 0) {
    return { answer: { committed: false, failed }, writes: new Map() };
  }
  const writes = new Map<string, Left | undefined>();
  const results: MutationResult[] = [];
  for (const mutation of commit.mutations) {
    const { key } = mutation;
    const held = look(key);
    const found = writes.has(key) ? writes.get(key) : held && kept(held);
    const step = mutate(mutation, found, held, nowMs);
    if (typeof step === "string") {
      return counterRefusal(step, results.length);
    }
    const { before, counter } = step;
    results.push(counter === undefined ? { before } : { before, counter });
    if ("left" in step) {
      writes.set(key, step.left);
    }
  }
  let wrote = false;
  for (const left of writes.values()) {
    wrote ||= left !== undefined;
  }
  return { answer: { committed: true, version: wrote ? version : 0, results }, writes };
}

const NO_BYTES = new Uint8Array(0);

/**
 * Answers a read of keys that a store looks up at one moment. Reads no value that is too much, if
 * the store knows its size.
 */
export function readHeld(
  read: Read,
  look: Look,
  nowMs: number,
): readonly (HeldEntry | undefined)[] | Refusal {
  const entries: (HeldEntry | undefined)[] = [];
  let bytes = 0;
  for (const key of read.keys) {
    const held = look(key);
    if (held === undefined) {
      entries.push(undefined);
      continue;
    }
    const { version, expiresAtMs } = held;
    bytes += read.values ? (held.bytes ?? held.value.length) : 0;
    if (bytes > read.maxBytes) {
      return readTooLarge(read);
    }
    const value = read.values ? held.value : NO_BYTES;
    entries.push(toHeldEntry({ value, version, expiresAtMs }, nowMs));
  }
  return entries;
}

/** The entry as a caller reads it. */
function toHeldEntry({ value, version, expiresAtMs }: Held, nowMs: number): HeldEntry {
  return { value, version, ttlMs: expiresAtMs === undefined ? 0 : expiresAtMs - nowMs };
}

function failedChecks({ checks, tells }: Commit, look: Look, nowMs: number): readonly FailedCheck[] {
  const failed: FailedCheck[] = [];
  checks.forEach((check, index) => {
    const held = look(check.key);
    if (!holds(check, held)) {
      failed.push({ index, held: tells && held !== undefined ? toHeldEntry(held, nowMs) : undefined });
    }
  });
  return failed;
}

function holds(check: Check, held: Held | undefined): boolean {
  switch (check.is) {
    case "absent":
      return held === undefined;
    case "present":
      return held !== undefined;
    case "value":
      return held !== undefined && Buffer.compare(held.value, check.value) === 0;
    case "version":
      return held?.version === check.version;
  }
}

/** Why a counter cannot be changed. */
export type CounterReason = Extract<RefusalReason, "not_a_counter" | "counter_overflow">;

const COUNTER_MESSAGES: Readonly<Record<CounterReason, string>> = {
  not_a_counter: "the value is no counter: it must be the decimal text of a signed integer of 64 bits",
  counter_overflow: "the counter would leave the range of a signed integer of 64 bits",
};

/** The refusal of a commit because of its `add` at an index of the mutations. */
export function counterRefusal(reason: CounterReason, index: number): Refusal {
  return new Refusal(reason, COUNTER_MESSAGES[reason], { field: `mutations[${index}].key` });
}

/** The refusal of a read whose values have more bytes together, such as {@link Read.maxBytes}. */
export function readTooLarge({ maxBytes }: Pick<Read, "maxBytes">): Refusal {
  const message = `the values have more than ${maxBytes} bytes together: read fewer keys`;
  return new Refusal("value_too_large", message, { field: "keys" });
}

function kept({ expiresAtMs }: Held): Left {
  return { value: undefined, expiresAtMs };
}

/** A mutation's result, with what it leaves. Without `left` it changes nothing. */
interface Step extends MutationResult {
  readonly left?: Left | undefined;
}

/**
 * @param found What the earlier mutations left.
 * @param held What was there before the commit.
 */
function mutate(
  mutation: Mutation,
  found: Left | undefined,
  held: Held | undefined,
  nowMs: number,
): Step | CounterReason {
  const before = beforeOf(found);
  switch (mutation.do) {
    case "set":
      return { before, left: { value: mutation.value, expiresAtMs: after(mutation.ttlMs, nowMs) } };
    case "replace":
      return { before, left: { value: mutation.value, expiresAtMs: found?.expiresAtMs } };
    case "delete":
      return found === undefined ? { before } : { before, left: undefined };
    case "expire":
      return found === undefined
        ? { before }
        : { before, left: { value: found.value, expiresAtMs: after(mutation.ttlMs, nowMs) } };
    case "persist":
      return before === "expiring"
        ? { before, left: { value: found?.value, expiresAtMs: undefined } }
        : { before };
    case "add": {
      const value = found && (found.value ?? held?.value);
      const start = value === undefined ? mutation.initial : parseCounter(value);
      if (start === undefined) {
        return "not_a_counter";
      }
      const counter = start + mutation.delta;
      if (!isCounter(counter)) {
        return "counter_overflow";
      }
      const left = {
        value: Buffer.from(String(counter)),
        expiresAtMs: found === undefined ? after(mutation.ttlMs, nowMs) : found.expiresAtMs,
      };
      return { before, counter, left };
    }
  }
}

/** When a time to live ends; `undefined` = never. */
function after(ttlMs: number, nowMs: number): number | undefined {
  return ttlMs === 0 ? undefined : nowMs + ttlMs;
}

function beforeOf(found: Left | undefined): Before {
  if (found === undefined) {
    return "absent";
  }
  return found.expiresAtMs === undefined ? "lasting" : "expiring";
}
