import { useCallback, useEffect, useState } from "preact/hooks";
import { freshness } from "./gateway.ts";
import { type Problem, problemOf } from "./problem.ts";

/** Something that is read from the gateway. The last value stays while it is read again. */
export interface Loaded<T> {
  /** `undefined` = not there yet. */
  readonly value: T | undefined;
  /** Why the last read failed. */
  readonly problem: Problem | undefined;
  readonly isLoading: boolean;
  /** Reads again. */
  readonly reload: () => void;
}

/**
 * Reads something now, when `inputs` change, after a sign-in, and when the gateway is back. With
 * other inputs nothing of the old value is shown. What is not needed any more is aborted.
 */
export function useLoad<T>(read: (signal: AbortSignal) => Promise<T>, inputs: readonly unknown[]): Loaded<T> {
  const [state, setState] = useState<Omit<Loaded<T>, "reload"> & { readonly of?: readonly unknown[] }>({
    value: undefined,
    problem: undefined,
    isLoading: true,
  });
  const [count, setCount] = useState(0);
  const fresh = freshness.value;
  useEffect(() => {
    const aborted = new AbortController();
    setState((before) => ({
      value: same(before.of, inputs) ? before.value : undefined,
      problem: undefined,
      isLoading: true,
      of: inputs,
    }));
    read(aborted.signal).then(
      (value) => {
        if (!aborted.signal.aborted) {
          setState({ value, problem: undefined, isLoading: false, of: inputs });
        }
      },
      (thrown: unknown) => {
        if (!aborted.signal.aborted) {
          const problem = problemOf(thrown);
          setState((before) => ({ value: before.value, problem, isLoading: false, of: inputs }));
        }
      },
    );
    return () => aborted.abort();
  }, [...inputs, count, fresh]);
  const reload = useCallback(() => setCount((before) => before + 1), []);
  return { value: state.value, problem: state.problem, isLoading: state.isLoading, reload };
}

function same(a: readonly unknown[] | undefined, b: readonly unknown[]): boolean {
  return a !== undefined && a.length === b.length && a.every((item, i) => Object.is(item, b[i]));
}

/** An action that somebody started: saving, deleting. */
export interface Action<A extends readonly unknown[]> {
  /** Runs it. Does nothing while it runs. Answers whether it succeeded. */
  readonly run: (...args: A) => Promise<boolean>;
  readonly isRunning: boolean;
  readonly problem: Problem | undefined;
  /** Forgets the problem. */
  readonly reset: () => void;
}

/** Keeps what became of the last run of `act`, so that its problem stands where it happened. */
export function useAction<A extends readonly unknown[]>(act: (...args: A) => Promise<void>): Action<A> {
  const [isRunning, setRunning] = useState(false);
  const [problem, setProblem] = useState<Problem | undefined>(undefined);
  return {
    isRunning,
    problem,
    reset: () => setProblem(undefined),
    async run(...args) {
      if (isRunning) {
        return false;
      }
      setRunning(true);
      setProblem(undefined);
      try {
        await act(...args);
        return true;
      } catch (thrown) {
        setProblem(problemOf(thrown));
        return false;
      } finally {
        setRunning(false);
      }
    },
  };
}
