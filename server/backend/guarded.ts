import { abortError, asPrismError, PrismError } from "../errors.ts";
import {
  type Backend,
  type Call,
  createCall,
  type EntryStore,
  type ListStore,
  type ScanStore,
} from "./contract.ts";

/** Where a guarded backend is in its life. */
type State = "closed" | "opening" | "open" | "closing";

/** Each call of the contract has this shape, so one wrapper fits all. */
type Method<A, R> = (namespace: string, argument: A, call: Call) => Promise<R>;

/**
 * Checks that every store needs, once, around any of them:
 * - a call while the store is not open throws `store_unavailable`, one that is aborted already throws the abort's error;
 *   neither reaches the store;
 * - whatever a store throws leaves as a {@link PrismError};
 * - `open` and `close` may be called at any time, in any order and more than once; they run one after another, and an opened store that
 *   was closed can be opened again;
 * - `close` refuses new calls and waits for those under way.
 */
export function createGuardedBackend(inner: Backend): Backend {
  let state: State = "closed";
  let callsUnderWay = 0;
  let whenIdle: (() => void) | undefined;

  function guard<A, R>(method: Method<A, R>): Method<A, R> {
    return async (namespace, argument, call) => {
      if (state !== "open") throw notOpen();
      if (call.aborted) throw abortError(call.signal);
      callsUnderWay++;
      try {
        return await method(namespace, argument, call);
      } catch (error) {
        throw asPrismError(error);
      } finally {
        callsUnderWay--;
        if (callsUnderWay === 0) whenIdle?.();
      }
    };
  }

  async function open(): Promise<void> {
    if (state === "open") return;
    state = "opening";
    try {
      await inner.open();
      state = "open";
    } catch (error) {
      state = "closed";
      throw asPrismError(error);
    }
  }

  async function close(): Promise<void> {
    if (state === "closed") return;
    state = "closing";
    if (callsUnderWay > 0) await new Promise<void>((resolve) => (whenIdle = resolve));
    whenIdle = undefined;
    try {
      await inner.close();
    } catch (error) {
      throw asPrismError(error);
    } finally {
      state = "closed";
    }
  }

  const serially = createSerial();
  const checkInner = guard(() => inner.check());
  const checkCall = createCall();
  return {
    type: inner.type,
    ...(inner.entries && { entries: guardEntries(inner.entries, guard) }),
    ...(inner.scans && { scans: guardScans(inner.scans, guard) }),
    ...(inner.lists && { lists: guardLists(inner.lists, guard) }),
    open: () => serially(open),
    check: () => checkInner("", undefined, checkCall),
    close: () => serially(close),
  };
}

type Guard = <A, R>(method: Method<A, R>) => Method<A, R>;

function guardEntries(entries: EntryStore, guard: Guard): EntryStore {
  return {
    get: guard(entries.get.bind(entries)),
    exists: guard(entries.exists.bind(entries)),
    set: guard(entries.set.bind(entries)),
    delete: guard(entries.delete.bind(entries)),
  };
}

function guardScans(scans: ScanStore, guard: Guard): ScanStore {
  return {
    scanPage: guard(scans.scanPage.bind(scans)),
    count: guard(scans.count.bind(scans)),
  };
}

function guardLists(lists: ListStore, guard: Guard): ListStore {
  return {
    push: guard(lists.push.bind(lists)),
    pop: guard(lists.pop.bind(lists)),
    length: guard(lists.length.bind(lists)),
  };
}

function notOpen(): PrismError {
  return new PrismError("store_unavailable", "the store is not open");
}

/** Runs steps one after another, the first of them at once; a step that fails does not stop the next. */
function createSerial(): (step: () => Promise<void>) => Promise<void> {
  let last: Promise<void> | undefined;
  return (step) => {
    const current = last === undefined ? step() : last.then(step, step);
    last = current;
    const forget = () => {
      if (last === current) last = undefined;
    };
    current.then(forget, forget);
    return current;
  };
}
