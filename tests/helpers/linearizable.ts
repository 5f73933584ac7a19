/** A sequential specification. States are immutable. */
export interface Model<State, Input, Output> {
  readonly initial: State;
  apply(state: State, input: Input): { readonly state: State; readonly output: Output };
  /** A text that tells states apart, and outputs. */
  identify(value: State | Output): string;
}

/** One operation of a history. */
export interface Operation<Input, Output> {
  readonly input: Input;
  /** `undefined` = it may or may not have taken effect. */
  readonly outcome: { readonly output: Output } | undefined;
  /**
   * The moments of call and answer, in one order for all. Without an outcome it may take effect at
   * any time after `calledAt`.
   */
  readonly calledAt: number;
  readonly returnedAt: number;
}

/**
 * Whether `model` explains a history in which each operation takes effect at one moment between its
 * call and its return (Herlihy and Wing, "Linearizability", 1990). It searches like Wing and Gong's
 * "Testing and Verifying Concurrent Objects" (1993) and skips states that it has seen (Lowe, 2017).
 * For hundreds of operations, few at a time.
 */
export function isLinearizable<State, Input, Output>(
  history: readonly Operation<Input, Output>[],
  model: Model<State, Input, Output>,
): boolean {
  const operations = [...history].sort((a, b) => a.calledAt - b.calledAt);
  const met = new Set<string>();

  function search(done: bigint, state: State): boolean {
    const key = `${done.toString(36)} ${model.identify(state)}`;
    if (met.has(key)) {
      return false;
    }
    met.add(key);
    // The next operation to take effect was called before any remaining one returned.
    let firstReturn = Number.POSITIVE_INFINITY;
    let left = 0;
    operations.forEach(({ outcome, returnedAt }, i) => {
      if (outcome !== undefined && (done & (1n << BigInt(i))) === 0n) {
        left++;
        firstReturn = Math.min(firstReturn, returnedAt);
      }
    });
    if (left === 0) {
      return true;
    }
    return operations.some(({ input, outcome, calledAt }, i) => {
      const bit = 1n << BigInt(i);
      if ((done & bit) !== 0n || calledAt > firstReturn) {
        return false;
      }
      const next = model.apply(state, input);
      const agrees = outcome === undefined || model.identify(next.output) === model.identify(outcome.output);
      return agrees && search(done | bit, next.state);
    });
  }

  return search(0n, model.initial);
}

/** An operation on one key. */
export type KeyInput =
  | { readonly kind: "set"; readonly value: string }
  | { readonly kind: "swap"; readonly from: string | undefined; readonly to: string }
  | { readonly kind: "get" | "delete" };
export type KeyOutput = string | boolean | undefined;

/**
 * An entry: `set` answers nothing, `get` the value, `delete` whether there was one. `swap` writes
 * `to` if the value is `from` (`undefined` = if there is none), and answers whether it did.
 */
export const ENTRY: Model<string | undefined, KeyInput, KeyOutput> = {
  initial: undefined,
  apply(state, input) {
    switch (input.kind) {
      case "set":
        return { state: input.value, output: undefined };
      case "get":
        return { state, output: state };
      case "swap":
        return state === input.from ? { state: input.to, output: true } : { state, output: false };
      case "delete":
        return { state: undefined, output: state !== undefined };
    }
  },
  identify: String,
};

/** An operation on two counters. `add` changes both. */
export type CountersInput = { readonly kind: "add"; readonly delta: number } | { readonly kind: "get" };
/** Both counters. */
export type CountersOutput = string;

/**
 * Two counters that one transaction moves in opposite directions: both calls answer both, as
 * "1,-1".
 */
export const COUNTERS: Model<number, CountersInput, CountersOutput> = {
  initial: 0,
  apply(state, input) {
    const sum = input.kind === "add" ? state + input.delta : state;
    return { state: sum, output: `${sum},${0 - sum}` };
  },
  identify: String,
};

/** An operation on one list. */
export type ListInput = { readonly kind: "push"; readonly value: string } | { readonly kind: "pop" };
export type ListOutput = number | string | undefined;

/** A queue: `push` on the right answers the length, `pop` from the left the value. */
export const LIST: Model<readonly string[], ListInput, ListOutput> = {
  initial: [],
  apply(state, input) {
    if (input.kind === "push") {
      return { state: [...state, input.value], output: state.length + 1 };
    }
    return { state: state.slice(1), output: state[0] };
  },
  identify: String,
};

/** Records calls and answers in the order in which they happen. */
export class History<Input, Output> {
  readonly #operations: Operation<Input, Output>[] = [];
  #now = 0;

  get operations(): readonly Operation<Input, Output>[] {
    return this.#operations;
  }

  /**
   * Runs `work` and records it. After an error that `isMaybe` accepts it may have taken effect;
   * after any other it did not.
   */
  async note(input: Input, work: () => Promise<Output>, isMaybe: (error: unknown) => boolean): Promise<void> {
    const calledAt = this.#now++;
    try {
      const output = await work();
      this.#operations.push({ input, outcome: { output }, calledAt, returnedAt: this.#now++ });
    } catch (error) {
      if (isMaybe(error)) {
        this.#operations.push({ input, outcome: undefined, calledAt, returnedAt: Number.POSITIVE_INFINITY });
      }
    }
  }
}
