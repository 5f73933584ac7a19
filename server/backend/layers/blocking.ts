import { abortError, asPrismError, PrismError } from "../../errors.ts";
import {
  answerOf,
  type Backend,
  type Call,
  createCall,
  type FilledListener,
  type ListStore,
  type StoreLog,
} from "../contract.ts";
import { sumFigures } from "../figures.ts";
import type { ListEnd, ListWait } from "../lists.ts";
import { Fifo, Linked } from "./fifo.ts";
import { WaitingPop } from "./waiting-pop.ts";

/** The most calls that wait for values of one store's lists; further ones fail as `overloaded`. */
const MAX_WAITING_CALLS = 16_384;

/** The most calls that wait for values of one list. */
export const MAX_LIST_WAITING_CALLS = 4_096;

/** The most pops for calls that wait that are under way at the store. */
const MAX_POPS = 64;

/**
 * How long the store is watched after the last call that waited: a worker that took a value comes
 * back for the next one.
 */
const REST_MS = 30_000;

/**
 * Adds pops that wait to a store that tells which lists were filled. Nobody looks again and again:
 * a call that finds its list empty is tried again when the list was filled. Other stores pass
 * unchanged.
 *
 * `close` ends the calls that wait (`shutting_down`) before it closes the store.
 */
export function createBlockingBackend(inner: Backend, log: StoreLog): Backend {
  const { lists, watchFilled, listBlocking } = inner;
  if (lists === undefined || watchFilled === undefined || listBlocking !== undefined) {
    return inner;
  }
  const room = new WaitingRoom(lists, watchFilled, log);
  const figures = sumFigures([inner, { figures: () => ({ waitingPops: room.calls }) }]);
  return {
    ...inner,
    ...(figures && { figures }),
    listBlocking: { blockingPop: (namespace, wait, call) => room.pop(namespace, wait, call) },
    close() {
      // At once if possible, because a call that comes after this one must find the store closed.
      const busy = room.close();
      return busy === undefined ? inner.close() : busy.then(() => inner.close());
    },
  };
}

/** The calls that wait for one list. */
class WaitingList extends Linked<WaitingList> {
  readonly namespace: string;
  readonly key: string;
  /** Who waits for each end. */
  readonly at: Readonly<Record<ListEnd, Fifo<WaitingPop>>> = { left: new Fifo(), right: new Fifo() };
  calls = 0;
  /** True: the list may have a value that nobody has looked for. */
  mayHave = false;
  /** True: a pop is under way, or a value on its way back. */
  isServed = false;

  constructor(namespace: string, key: string) {
    super();
    this.namespace = namespace;
    this.key = key;
  }

  /** The longest waiting of both ends. */
  get first(): WaitingPop | undefined {
    const left = this.at.left.first;
    const right = this.at.right.first;
    if (left === undefined || right === undefined) {
      return left ?? right;
    }
    return left.turn < right.turn ? left : right;
  }
}

/**
 * The calls that wait at one store. Each list has at most one pop under way, for the longest
 * waiting; so the order is kept, and a value that comes for a call that is gone has one owner.
 */
class WaitingRoom implements FilledListener {
  readonly #lists: ListStore;
  readonly #watchFilled: (listener: FilledListener) => () => void;
  readonly #log: StoreLog;
  /** The pops belong to no caller: their values must come back here, whoever leaves. */
  readonly #call = createCall();
  readonly #waiting = new Map<string, WaitingList>();
  /** The lists to look at, once there is a pop to spare. */
  readonly #toServe = new Fifo<WaitingList>();
  #calls = 0;
  #turn = 0;
  #pops = 0;
  #stopWatching: (() => void) | undefined;
  #rest: NodeJS.Timeout | undefined;
  #whenIdle: (() => void) | undefined;

  constructor(lists: ListStore, watchFilled: (listener: FilledListener) => () => void, log: StoreLog) {
    this.#lists = lists;
    this.#watchFilled = watchFilled;
    this.#log = log;
  }

  /** How many calls wait. */
  get calls(): number {
    return this.#calls;
  }

  async pop(namespace: string, wait: ListWait, call: Call): Promise<Uint8Array | undefined> {
    if (call.aborted) {
      throw abortError(call.signal);
    }
    const id = idOf(namespace, wait.key);
    const list = this.#waiting.get(id) ?? new WaitingList(namespace, wait.key);
    if (this.#calls >= MAX_WAITING_CALLS || list.calls >= MAX_LIST_WAITING_CALLS) {
      throw new PrismError("overloaded", "too many calls wait for values of lists");
    }
    this.#waiting.set(id, list);
    // Watched first, so that no value comes between the pop and the wait.
    this.#watch();
    return new Promise((resolve, reject) => {
      // Where others wait already, the list is empty, or it is being looked at.
      const isFirst = list.calls === 0;
      const leave = () => this.#leave(list, waiting);
      const waiting: WaitingPop = new WaitingPop(wait, this.#turn++, call, { resolve, reject }, leave);
      list.at[wait.end].add(waiting);
      list.calls++;
      this.#calls++;
      if (isFirst) {
        this.#look(list);
      }
    });
  }

  filled(namespace: string, key: string): void {
    const list = this.#calls === 0 ? undefined : this.#waiting.get(idOf(namespace, key));
    if (list !== undefined) {
      this.#look(list);
    }
  }

  missed(): void {
    for (const list of this.#waiting.values()) {
      this.#look(list);
    }
  }

  /**
   * Ends all that wait. Resolves when no value is on its way any more; `undefined` = none was.
   */
  close(): Promise<void> | undefined {
    for (const list of this.#waiting.values()) {
      for (let call = list.first; call !== undefined; call = list.first) {
        call.fail(new PrismError("shutting_down", "the store is closed"));
      }
    }
    if (this.#pops === 0) {
      this.#endWatch();
      return undefined;
    }
    return new Promise<void>((resolve) => (this.#whenIdle = resolve)).then(() => {
      this.#whenIdle = undefined;
      this.#endWatch();
    });
  }

  #leave(list: WaitingList, waiting: WaitingPop): void {
    list.at[waiting.end].delete(waiting);
    list.calls--;
    this.#calls--;
    this.#forget(list);
    if (this.#calls === 0) {
      this.#rest ??= setTimeout(() => this.#endWatch(), REST_MS).unref();
    }
  }

  /** Forgets a list for which nobody waits and nothing is under way. */
  #forget(list: WaitingList): void {
    if (list.calls === 0 && !list.isServed) {
      this.#toServe.delete(list);
      this.#waiting.delete(idOf(list.namespace, list.key));
    }
  }

  #watch(): void {
    clearTimeout(this.#rest);
    this.#rest = undefined;
    this.#stopWatching ??= this.#watchFilled(this);
  }

  #endWatch(): void {
    clearTimeout(this.#rest);
    this.#rest = undefined;
    this.#stopWatching?.();
    this.#stopWatching = undefined;
  }

  /** Looks for values of a list, now or after the pop that is under way. */
  #look(list: WaitingList): void {
    list.mayHave = true;
    if (!list.isServed && !list.isQueued) {
      this.#toServe.add(list);
      this.#serveNext();
    }
  }

  #serveNext(): void {
    while (this.#pops < MAX_POPS && this.#toServe.first !== undefined) {
      const list = this.#toServe.first;
      this.#toServe.delete(list);
      list.isServed = true;
      this.#pops++;
      void this.#serve(list).then(() => {
        list.isServed = false;
        this.#pops--;
        this.#forget(list);
        if (list.mayHave && list.calls > 0) {
          this.#look(list);
        }
        this.#serveNext();
        if (this.#pops === 0) {
          this.#whenIdle?.();
        }
      });
    }
  }

  /** Hands out values until the list is empty or nobody waits. Does not throw. */
  async #serve(list: WaitingList): Promise<void> {
    for (let waiting = list.first; waiting !== undefined && list.mayHave; waiting = list.first) {
      list.mayHave = false;
      waiting.isServed = true;
      try {
        await this.#serveOne(list, waiting);
      } catch (error) {
        // The next one learns for itself how the store is.
        list.mayHave = true;
        if (waiting.isQueued) {
          waiting.fail(asPrismError(error));
        }
      }
      waiting.isServed = false;
      if (waiting.isLate && waiting.isQueued) {
        waiting.answer(undefined);
      }
    }
  }

  async #serveOne(list: WaitingList, waiting: WaitingPop): Promise<void> {
    const { namespace, key, at } = list;
    const { end } = waiting;
    const [answer] = await this.#lists.pop(namespace, [{ key, end }], this.#call);
    const value = answerOf(answer);
    if (value === undefined) {
      return;
    }
    list.mayHave = true;
    // If it is gone, the next one who wants a value of this end gets it.
    const taker = waiting.isQueued ? waiting : at[end].first;
    if (taker === undefined) {
      await this.#giveBack(namespace, key, end, value);
    } else {
      taker.answer(value);
    }
  }

  /** Puts a value that nobody waits for back where it was. */
  async #giveBack(namespace: string, key: string, end: ListEnd, value: Uint8Array): Promise<void> {
    try {
      const [answer] = await this.#lists.push(namespace, [{ key, end, value }], this.#call);
      answerOf(answer);
    } catch (error) {
      this.#log.error(
        { namespace, err: error },
        "a value that was taken for a caller who left could not be put back: it is lost",
      );
    }
  }
}

/** A namespace's name has no slash. */
function idOf(namespace: string, key: string): string {
  return `${namespace}/${key}`;
}
