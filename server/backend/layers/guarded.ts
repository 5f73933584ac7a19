import { abortError, asPrismError, PrismError } from "../../errors.ts";
import { type Backend, createCall } from "../contract.ts";
import { type StoreMethod, wrapMethods } from "./wrapped.ts";

/** The states of a guarded backend. */
type State = "closed" | "opening" | "open" | "closing";

/**
 * Makes the checks that every store needs, in one place:
 * - A call throws `store_unavailable` when the store is not open, and the abort's error when it is
 *   aborted already. Neither reaches the store.
 * - Every error of the store leaves as a {@link PrismError}.
 * - `open` and `close` may be called at any time, in any order and more than once. They run one
 *   after another, and a closed store can be opened again.
 * - `close` refuses new calls and waits for those under way.
 * - A call that is timed hears how long the store took.
 */
export function createGuardedBackend(inner: Backend): Backend {
  let state: State = "closed";
  let callsUnderWay = 0;
  let whenIdle: (() => void) | undefined;

  function guard<A, R>(method: StoreMethod<A, R>, name: string): StoreMethod<A, R> {
    const operation = { store: inner.type, method: name };
    return async (namespace, argument, call) => {
      if (state !== "open") {
        throw notOpen();
      }
      if (call.aborted) {
        throw abortError(call.signal);
      }
      const part = call.trace?.times?.store(operation);
      callsUnderWay++;
      try {
        return await method(namespace, argument, call);
      } catch (error) {
        throw asPrismError(error);
      } finally {
        part?.end();
        callsUnderWay--;
        if (callsUnderWay === 0) {
          whenIdle?.();
        }
      }
    };
  }

  async function open(): Promise<void> {
    if (state === "open") {
      return;
    }
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
    if (state === "closed") {
      return;
    }
    state = "closing";
    if (callsUnderWay > 0) {
      await new Promise<void>((resolve) => (whenIdle = resolve));
    }
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
  const checkInner = guard(() => inner.check(), "check");
  const checkCall = createCall();
  return {
    type: inner.type,
    atomic: inner.atomic,
    ...(inner.shardOf && { shardOf: inner.shardOf }),
    ...(inner.countsCheaply && { countsCheaply: true }),
    ...(inner.watchFilled && { watchFilled: inner.watchFilled }),
    ...(inner.watchStreams && { watchStreams: inner.watchStreams }),
    ...(inner.lacks && { lacks: inner.lacks }),
    ...(inner.erase && { erase: guard(inner.erase, "erase") }),
    ...(inner.figures && { figures: inner.figures }),
    ...wrapMethods(inner, guard),
    open: () => serially(open),
    check: () => checkInner("", undefined, checkCall),
    close: () => serially(close),
  };
}

function notOpen(): PrismError {
  return new PrismError("store_unavailable", "the store is not open");
}

/** Runs steps one after another, the first at once. A failed step does not stop the next. */
function createSerial(): (step: () => Promise<void>) => Promise<void> {
  let last: Promise<void> | undefined;
  return (step) => {
    const current = last === undefined ? step() : last.then(step, step);
    last = current;
    const forget = () => {
      if (last === current) {
        last = undefined;
      }
    };
    current.then(forget, forget);
    return current;
  };
}
