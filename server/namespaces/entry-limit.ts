import {
  answerOf,
  type Call,
  createCall,
  type EntryStore,
  Refusal,
  type ScanStore,
} from "../backend/contract.ts";
import type { ItemsMethod } from "../backend/operations.ts";

/** A count is not used for longer, because other gateways write too. */
const MAX_AGE_MS = 1_000;

/** Where a namespace is full, it is counted again after this time at the soonest. */
const MIN_AGE_MS = 50;

const COUNT_CALL = createCall();

/** A method that writes, behind a limit. `keysOf` answers the keys that an item may make. */
export function limited<Item, Method extends ItemsMethod<Item, unknown>>(
  method: Method & ItemsMethod<Item, unknown>,
  keysOf: (item: Item) => readonly string[],
  limit: EntryLimit,
): Method {
  const run: ItemsMethod<Item, unknown> = async (namespace, items, call) => {
    const keys = items.flatMap(keysOf);
    if (keys.length > 0 && !limit.takes(keys.length)) {
      const refusal = await limit.refusalOf(keys, call);
      if (refusal !== undefined) {
        return items.map(() => refusal);
      }
    }
    return method(namespace, items, call);
  };
  return run as Method;
}

/**
 * The most entries of a namespace, for a store that counts cheaply. Between two counts every key
 * that is written counts as a new one, so the limit holds but for what is under way while a count
 * is made, and for what other gateways write within a second. When there seems to be no room, it
 * counts again and looks which keys are there: those can always be overwritten.
 */
export class EntryLimit {
  readonly #namespace: string;
  readonly #maxEntries: number;
  readonly #entries: EntryStore;
  readonly #scans: ScanStore;
  readonly #nowMs: () => number;
  #counted = 0;
  #countedAtMs = Number.NEGATIVE_INFINITY;
  /** The keys that were written since the count began. */
  #written = 0;
  #counting: Promise<void> | undefined;

  constructor(
    namespace: string,
    maxEntries: number,
    { entries, scans }: { readonly entries: EntryStore; readonly scans: ScanStore },
    nowMs: () => number = () => performance.now(),
  ) {
    this.#namespace = namespace;
    this.#maxEntries = maxEntries;
    this.#entries = entries;
    this.#scans = scans;
    this.#nowMs = nowMs;
  }

  /** Whether there is room for keys without looking further. If so it is taken. */
  takes(keys: number): boolean {
    return this.#ageMs < MAX_AGE_MS && this.#take(keys);
  }

  /**
   * Takes room for what is new of these keys. Answers the refusal if there is not so much. Throws
   * as the store does.
   */
  async refusalOf(keys: readonly string[], call: Call): Promise<Refusal | undefined> {
    if (this.#ageMs >= MIN_AGE_MS) {
      await this.#count();
    }
    if (this.#take(keys.length)) {
      return undefined;
    }
    const distinct = [...new Set(keys)];
    const there = await this.#entries.exists(this.#namespace, distinct, call);
    const added = there.filter((answer) => !answerOf(answer)).length;
    if (added === 0 || this.#take(added)) {
      return undefined;
    }
    return new Refusal(
      "quota_exceeded",
      `namespace "${this.#namespace}" may hold ${this.#maxEntries} entries, and has no room for ${added} more: entries can be overwritten and deleted`,
    );
  }

  get #ageMs(): number {
    return this.#nowMs() - this.#countedAtMs;
  }

  #take(keys: number): boolean {
    if (this.#counted + this.#written + keys > this.#maxEntries) {
      return false;
    }
    this.#written += keys;
    return true;
  }

  /** Calls that come while it counts share the count. */
  #count(): Promise<void> {
    this.#counting ??= this.#countNow().finally(() => {
      this.#counting = undefined;
    });
    return this.#counting;
  }

  async #countNow(): Promise<void> {
    // What is written from now on may be in the count or not, so it counts besides.
    const before = this.#written;
    const beganAtMs = this.#nowMs();
    this.#counted = await this.#scans.count(this.#namespace, "", COUNT_CALL);
    this.#countedAtMs = beganAtMs;
    this.#written -= before;
  }
}
