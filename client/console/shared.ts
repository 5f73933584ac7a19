import { effect, signal } from "@preact/signals";
import { freshness } from "./gateway.ts";
import { type Problem, problemOf } from "./problem.ts";

/** Something of the gateway that several views show. */
export interface Shared<T> {
  /** The last value; `undefined` = not there yet, or what was there is not for who looks now. */
  readonly value: T | undefined;
  /** Why the last read failed. */
  readonly problem: Problem | undefined;
  /** Reads again. */
  readonly reload: () => void;
}

/**
 * Reads something when a view first asks for it, after a sign-in, and when the gateway is back. The
 * returned function tells it; a component that calls it is drawn again when it changes.
 */
export function shared<T>(read: (signal: AbortSignal) => Promise<T>): () => Shared<T> {
  const count = signal(0);
  const reload = () => {
    count.value = count.peek() + 1;
  };
  const state = signal<Shared<T>>({ value: undefined, problem: undefined, reload });
  let isRead = false;

  function readNow(aborted: AbortSignal): void {
    read(aborted).then(
      (value) => {
        if (!aborted.aborted) {
          state.value = { value, problem: undefined, reload };
        }
      },
      (thrown: unknown) => {
        if (!aborted.aborted) {
          const problem = problemOf(thrown);
          // Without an answer what was true is likely true still.
          const value = problem.isAnswer ? undefined : state.peek().value;
          state.value = { value, problem, reload };
        }
      },
    );
  }

  return () => {
    if (!isRead) {
      isRead = true;
      effect(() => {
        freshness.value;
        count.value;
        const aborted = new AbortController();
        readNow(aborted.signal);
        return () => aborted.abort();
      });
    }
    return state.value;
  };
}
