import { PrismError, type Reason } from "../errors.ts";
import type { Values } from "./values.ts";

/**
 * What a store is to the rest of Prism. Rooms (`memory/`, `sqlite/`, ...) implement this and import nothing
 * else of the server; handlers call it and know no store.
 *
 * - Batch first: every call takes many keys or mutations and answers in their order. One key is a batch of one.
 * - A write of several items takes effect whole or not at all as far as the store's {@link Atomicity} reaches, but where its call says
 *   `each`. One that takes effect for some of its keys only and then fails rejects as `outcome_unknown`.
 * - Not found is `undefined` or `false`, never an error.
 * - A {@link Refusal} is an answer too: the item that it answers had no effect, and the fault is not the store's. Where one item of a
 *   write is refused that takes effect whole, all of them are, with its refusal.
 * - Errors are {@link PrismError}s of a closed set of reasons: the store failed, and the call with it as a whole.
 * - Keys are well-formed strings of 1 to MAX_KEY_BYTES bytes of UTF-8 and are ordered by those bytes.
 * - Entries and lists are separate key spaces of a namespace; namespaces never see each other's data.
 * - An expired entry is invisible to every call from that moment on.
 * - A store that keeps a value it was handed copies it: the bytes are a view of a request buffer.
 *   A value that a store hands out is the caller's to read, not to change.
 */

/** What every call to a store carries. */
export interface Call {
  /** The caller went away or the deadline passed: work not yet begun is dropped. */
  readonly aborted: boolean;
  /** Aborted at that moment. Reading it is what makes it: a store that answers at once asks for `aborted` only. */
  readonly signal: AbortSignal;
  /** When the call's deadline passes, by `performance.now()`; absent = it has none, or none is known. */
  readonly deadlineMs?: number | undefined;
  /** What `signal` tells, without making one, which costs as much as half a call to a plugin; absent = there is only `signal`. */
  readonly events?: AbortEvents | undefined;
  /** Begins `use`, and ends it when the call is over; nothing where it is over already. Absent = nobody counts this call. */
  hold?(use: CallUse): void;
  /** True: the items are calls of several callers, and each takes effect or is refused for itself. */
  readonly each?: boolean;
}

/** Counts the calls that use it. */
export interface CallUse {
  begin(): void;
  end(): void;
}

/** What is used of an AbortSignal. */
export interface AbortEvents {
  /** True: it aborts when the call's deadline passes, so that nobody else needs a timer. */
  readonly keepsDeadline?: boolean;
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(type: "abort", listener: { handleEvent(): void }): void;
  removeEventListener(type: "abort", listener: { handleEvent(): void }): void;
}

/** A call that ends when `signal` is aborted; without one, never. */
export function createCall(signal: AbortSignal = new AbortController().signal): Call {
  return {
    signal,
    get aborted() {
      return signal.aborted;
    },
  };
}

/** What one item can be refused for. */
export const REFUSAL_REASONS = [
  "invalid_field",
  "value_too_large",
  "store_full",
  "corrupt_data",
  "internal",
] as const satisfies readonly Reason[];

/** One of {@link REFUSAL_REASONS}. */
export type RefusalReason = (typeof REFUSAL_REASONS)[number];

/** Why one item had no effect, or cannot be read, as its answer. No Error: it is made where nobody needs a stack. */
export class Refusal {
  readonly reason: RefusalReason;
  /** For the caller of the API, as that of a {@link PrismError}. */
  readonly message: string;
  /** The request field that is at fault, in the proto's spelling. */
  readonly field: string | undefined;
  /** For the log only. */
  readonly cause: unknown;

  constructor(
    reason: RefusalReason,
    message: string,
    { field, cause }: { readonly field?: string | undefined; readonly cause?: unknown } = {},
  ) {
    this.reason = reason;
    this.message = message;
    this.field = field;
    this.cause = cause;
  }
}

/** What is answered for each item of a call, in their order; an absent answer is `undefined`. */
export type Answers<T> = readonly (T | Refusal)[];

/** Whether an item was refused. */
export function isRefusal(answer: unknown): answer is Refusal {
  return answer instanceof Refusal;
}

/** An item's answer, for whoever needs it. Throws what it was refused for as {@link PrismError}. */
export function answerOf<T>(answer: T | Refusal): T {
  if (isRefusal(answer)) {
    const { reason, message, field, cause } = answer;
    throw new PrismError(reason, message, { cause, ...(field !== undefined && { field }) });
  }
  return answer;
}

/** What the items of a call that failed so are refused for; `undefined` = the failure is the store's, or the call's as a whole. */
export function refusalOf(error: unknown): Refusal | undefined {
  if (!(error instanceof PrismError)) {
    return undefined;
  }
  const { message, field, cause } = error;
  const reason = REFUSAL_REASONS.find((each) => each === error.reason);
  return reason && new Refusal(reason, message, { field, cause });
}

/** One entry to write. */
export interface EntryWrite {
  readonly key: string;
  /** 0 bytes is a value like any other. */
  readonly value: Uint8Array;
  /** Milliseconds from now, by the store's own clock, until the entry expires; 0 = never. Replaces an older expiry. A store that counts in larger units lets it live up to one of them longer. */
  readonly ttlMs: number;
}

/** Flat key -> value. */
export interface EntryStore {
  /** The values, `undefined` where a key holds nothing. */
  get(namespace: string, keys: readonly string[], call: Call): Promise<Answers<Uint8Array | undefined>>;
  /** Whether each key holds a value (an empty one included). */
  exists(namespace: string, keys: readonly string[], call: Call): Promise<Answers<boolean>>;
  /** Writes; of two writes to one key the later wins. `undefined` = none is refused: no promise has to look at an answer then. */
  set(namespace: string, entries: readonly EntryWrite[], call: Call): Promise<Answers<undefined> | undefined>;
  /** Deletes; tells for each key whether it held a value. Of two deletes of one key the first finds it. */
  delete(namespace: string, keys: readonly string[], call: Call): Promise<Answers<boolean>>;
}

/** One step of a scan. */
export interface PageQuery {
  /** Keys that start with this; "" = all. */
  readonly prefix: string;
  /** Only keys after this one; `undefined` = from the start. */
  readonly after: string | undefined;
  /** Most entries wanted, 1 or more. */
  readonly maxEntries: number;
  /** The page ends with the entry that takes keys and values to this many bytes or more. */
  readonly maxBytes: number;
  /** True leaves `values` empty. */
  readonly keysOnly: boolean;
  /** A value of more bytes may be left out (see `later` of the page), which does not change what else is in the page; absent = none may. */
  readonly inlineBytes?: number;
}

/** One page of a scan, in ascending byte order of the keys. */
export interface Page {
  readonly keys: string[];
  /** As long as `keys`, or empty where only keys were asked for. */
  readonly values: Values;
  /** The values that were left out, by their places in `values`, where nothing stands for them: how many bytes each has. Absent = none. */
  readonly later?: ReadonlyMap<number, number>;
  /** Where the next page starts (its `after`); `undefined` = there is nothing more. A page may be empty and not the last. */
  readonly next: string | undefined;
}

/** Ordered reads over the entries. */
export interface ScanStore {
  /**
   * One page, for itself: no store of ours holds anything between pages, so a slow reader costs nothing, and a bounded number of a
   * plugin's scans stay open. An entry that is there during the whole scan is in exactly one page, one written or deleted meanwhile may
   * be in one or none.
   */
  scanPage(namespace: string, query: PageQuery, call: Call): Promise<Page>;
  /** How many entries have a key that starts with `prefix`, exactly, expired ones excluded. */
  count(namespace: string, prefix: string, call: Call): Promise<number>;
}

/** An end of a list: "left" is its head. */
export type ListEnd = "left" | "right";

/** One value to take off a list. */
export interface ListPop {
  readonly key: string;
  readonly end: ListEnd;
}

/** One value to add to a list. */
export interface ListPush extends ListPop {
  readonly value: Uint8Array;
}

/** Double-ended queues. Every operation is as fast on a list of a million as on one of ten; those of a plugin are as fast as it is. */
export interface ListStore {
  /** Adds values, to each list in their order; answers each list's length after that push. A list comes into being by its first push. */
  push(namespace: string, pushes: readonly ListPush[], call: Call): Promise<Answers<number>>;
  /** Takes values off; `undefined` where the list is empty or absent. A list that is emptied is gone. */
  pop(namespace: string, pops: readonly ListPop[], call: Call): Promise<Answers<Uint8Array | undefined>>;
  /** Lengths; 0 for an absent list. */
  length(namespace: string, keys: readonly string[], call: Call): Promise<Answers<number>>;
}

/** The interfaces of a store. One that it does not have is absent; its presence declares that capability. */
export interface Interfaces {
  readonly entries?: EntryStore;
  readonly scans?: ScanStore;
  readonly lists?: ListStore;
}

/**
 * What takes effect whole or not at all, and is seen so, of a write of several keys: "namespace" = all of it; "shard" = what is in one
 * shard of the store; "key" = what is about one key. The narrowest comes last.
 */
export const ATOMICITIES = ["namespace", "shard", "key"] as const;

/** One of {@link ATOMICITIES}. */
export type Atomicity = (typeof ATOMICITIES)[number];

/** A store and its life: `open` once, calls, `close` once. */
export interface Backend extends Interfaces {
  /** The room's name, as in the configuration's `type`. */
  readonly type: string;
  readonly atomic: Atomicity;
  /**
   * Makes the store ready. Throws {@link PrismError} `store_unavailable` or `corrupt_data`; a store that can be away for a while throws
   * StartError where that is not all.
   */
  open(): Promise<void>;
  /** Resolves if the store can answer now, else throws {@link PrismError}; ReadOnlyError = it takes no writes, and reads as ever. */
  check(): Promise<void>;
  /** Gives back everything that `open` took. What was acknowledged is durable (where the store is). */
  close(): Promise<void>;
}

/** Where a store tells the operator what no call does. A pino Logger is one. */
export interface StoreLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Tells nobody. */
export const SILENT: StoreLog = { info() {}, warn() {}, error() {} };
