import { abortError, asPrismError, PrismError } from "../../errors.ts";
import { type Answers, type Call, createCall, isRefusal, type PartOfCall } from "../contract.ts";
import { FadingMaximum } from "../fading-maximum.ts";
import { type ItemsMethod, type ItemsRow, keysOfItems } from "../operations.ts";

/**
 * The most calls of each kind that the store has at a time. Two, so that one is on its way while
 * the other waits for the network.
 */
const MAX_READS = 2;
const MAX_WRITES = 2;

/**
 * A group takes calls until it reaches this many keys, or this many bytes to send or expected in
 * answer.
 */
const MAX_GROUP_KEYS = 512;
const MAX_GROUP_BYTES = 4 * 1024 * 1024;

/**
 * The most calls that wait, and the most bytes of their keys and values. A single call may be of
 * any size.
 */
const MAX_WAITING_CALLS = 16_384;
const MAX_WAITING_BYTES = 64 * 1024 * 1024;

/** The call of a group: no single caller can end it. */
const NEVER = createCall();

/** A method that takes items, with the store's own function. */
export type QueuedMethod<Item, Answer> = ItemsRow<Item, Answer> & {
  readonly run: ItemsMethod<Item, Answer>;
};

interface WaitingCall {
  readonly method: QueuedMethod<unknown, unknown>;
  readonly items: readonly unknown[];
  readonly keys: readonly string[];
  readonly bytes: number;
  readonly call: Call;
  /** Its wait here, if the call is timed. */
  readonly wait: PartOfCall | undefined;
  readonly resolve: (results: readonly unknown[] | undefined) => void;
  readonly reject: (error: PrismError) => void;
}

/**
 * Queues the calls on one namespace of a store. Waiting calls of one method become one call. A call
 * overtakes another only if they share no key, or if both only read.
 */
export class CallQueue {
  readonly #namespace: string;
  #waiting: WaitingCall[] = [];
  #waitingBytes = 0;
  #scheduled = false;
  #reads = 0;
  #writes = 0;
  readonly #underWay = new Set<readonly WaitingCall[]>();
  /** A recent maximum of the answer's size, for each method. */
  readonly #answerBytes = new Map<WaitingCall["method"], FadingMaximum>();

  constructor(namespace: string) {
    this.#namespace = namespace;
  }

  /** The calls that wait. */
  get waitingCalls(): number {
    return this.#waiting.length;
  }

  /** The bytes that they hold. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** Whether no call waits or is under way. */
  get isIdle(): boolean {
    return this.#waiting.length === 0 && this.#underWay.size === 0;
  }

  /** Adds a call, which may share a group with others. */
  add<Item, Answer>(
    method: QueuedMethod<Item, Answer>,
    items: readonly Item[],
    call: Call,
  ): Promise<Answers<Answer> | undefined> {
    let bytes = 0;
    for (const item of items) {
      bytes += method.bytesOf(item);
    }
    if (this.#isFull(bytes)) {
      return Promise.reject(new PrismError("overloaded", "too many calls wait for the store"));
    }
    return new Promise<Answers<Answer> | undefined>((resolve, reject) => {
      // The cast is safe: a method gets only its own items, and its answers go only to its callers.
      const waiting = {
        method,
        items,
        keys: keysOfItems(method, items),
        bytes,
        call,
        wait: call.trace?.times?.queue(),
        resolve,
        reject,
      } as unknown as WaitingCall;
      this.#waiting.push(waiting);
      this.#waitingBytes += bytes;
      this.#schedule();
    });
  }

  #isFull(bytes: number): boolean {
    const calls = this.#waiting.length;
    return calls >= MAX_WAITING_CALLS || (calls > 0 && this.#waitingBytes + bytes > MAX_WAITING_BYTES);
  }

  /** Starts at the end of this turn of the event loop, so that calls of one turn share a group. */
  #schedule(): void {
    if (this.#scheduled) {
      return;
    }
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#start();
    });
  }

  #start(): void {
    for (let group = this.#takeGroup(); group.length > 0; group = this.#takeGroup()) {
      void this.#run(group);
    }
  }

  /** Takes the calls of one method that may go now, in order. Empty = none. */
  #takeGroup(): WaitingCall[] {
    if (this.#waiting.length === 0) {
      return [];
    }
    const group: WaitingCall[] = [];
    const left: WaitingCall[] = [];
    const before = new CallsBefore(this.#underWay);
    let method: WaitingCall["method"] | undefined;
    let isWhole = false;
    let items = 0;
    let keys = 0;
    let bytes = 0;
    for (const each of this.#waiting) {
      if (each.call.aborted) {
        this.#waitingBytes -= each.bytes;
        each.wait?.end();
        each.reject(abortError(each.call.signal));
        continue;
      }
      const expectedBytes = items * (this.#answerBytes.get(each.method)?.value ?? 0);
      const fits = keys < MAX_GROUP_KEYS && bytes < MAX_GROUP_BYTES && expectedBytes < MAX_GROUP_BYTES;
      const chosen = method === undefined ? this.#mayStart(each.method) : each.method === method;
      // A write of several items is atomic, so it shares its call with no other.
      const alone = each.method.writes && each.items.length !== 1;
      if (fits && chosen && !(alone && group.length > 0) && !isWhole && before.allows(each)) {
        isWhole = alone;
        method = each.method;
        group.push(each);
        items += each.items.length;
        keys += each.keys.length;
        bytes += each.bytes;
      } else {
        left.push(each);
        before.add(each);
      }
    }
    this.#waiting = left;
    this.#waitingBytes -= bytes;
    return group;
  }

  #mayStart({ writes }: WaitingCall["method"]): boolean {
    return writes ? this.#writes < MAX_WRITES : this.#reads < MAX_READS;
  }

  async #run(group: readonly WaitingCall[]): Promise<void> {
    const [first] = group;
    if (first === undefined) {
      return;
    }
    const { writes } = first.method;
    this.#count(writes, 1);
    this.#underWay.add(group);
    await this.#ask(first, group);
    this.#underWay.delete(group);
    this.#count(writes, -1);
    this.#start();
  }

  #count(writes: boolean, change: 1 | -1): void {
    if (writes) {
      this.#writes += change;
    } else {
      this.#reads += change;
    }
  }

  /** Makes one call of a group, `first` the first of it, and gives each caller its answers. */
  async #ask(first: WaitingCall, group: readonly WaitingCall[]): Promise<void> {
    const { method } = first;
    const isAlone = group.length === 1;
    for (const { wait } of group) {
      wait?.end();
    }
    try {
      const items = isAlone ? first.items : group.flatMap(({ items }) => items);
      const results = await method.run(this.#namespace, items, isAlone ? first.call : new GroupCall(group));
      this.#learn(method, results);
      let at = 0;
      for (const call of group) {
        call.resolve(isAlone ? results : results?.slice(at, at + call.items.length));
        at += call.items.length;
      }
    } catch (thrown) {
      // The store failed here; a refused item would be an answer.
      const error = asPrismError(thrown);
      for (const call of group) {
        call.reject(error);
      }
    }
  }

  #learn(method: WaitingCall["method"], results: readonly unknown[] | undefined): void {
    if (method.answerBytesOf === undefined || results === undefined) {
      return;
    }
    const largest = this.#answerBytes.get(method) ?? new FadingMaximum(0);
    largest.fade();
    for (const result of results) {
      if (!isRefusal(result)) {
        largest.see(method.answerBytesOf(result));
      }
    }
    this.#answerBytes.set(method, largest);
  }
}

/**
 * The call of a group. It is over when every caller has left. It sends no event then: a store that
 * waits long asks for `aborted`.
 */
class GroupCall implements Call {
  readonly #group: readonly WaitingCall[];
  readonly signal = NEVER.signal;
  readonly each = true;

  constructor(group: readonly WaitingCall[]) {
    this.#group = group;
  }

  get aborted(): boolean {
    return this.#group.every(({ call }) => call.aborted);
  }
}

/** The earlier calls, which a call may overtake only where the order makes no difference. */
class CallsBefore {
  readonly #written = new Set<string>();
  readonly #read = new Set<string>();
  /** Reads whose keys are not in the set yet: the keys matter only once a write comes. */
  #reads: WaitingCall[] = [];

  constructor(groups: Iterable<readonly WaitingCall[]>) {
    for (const group of groups) {
      for (const call of group) {
        this.add(call);
      }
    }
  }

  add(call: WaitingCall): void {
    if (call.method.writes) {
      for (const key of call.keys) {
        this.#written.add(key);
      }
    } else {
      this.#reads.push(call);
    }
  }

  /**
   * Whether the call is independent of all of them: they write no key of it, and it writes none
   * that they read.
   */
  allows({ method, keys }: WaitingCall): boolean {
    if (this.#written.size > 0 && keys.some((key) => this.#written.has(key))) {
      return false;
    }
    if (!method.writes) {
      return true;
    }
    for (const read of this.#reads) {
      for (const key of read.keys) {
        this.#read.add(key);
      }
    }
    this.#reads = [];
    return !keys.some((key) => this.#read.has(key));
  }
}
