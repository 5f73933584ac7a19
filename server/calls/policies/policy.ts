import type { Call } from "../../backend/contract.ts";
import type { PrismError } from "../../errors.ts";
import type { MethodRow } from "../methods.ts";
import type { CallRecord } from "../record.ts";

/** Work around every call of the methods that it concerns, for example the line in the log. */
export interface Policy {
  /**
   * Called once for each method when the services are made. `undefined` = the policy does nothing
   * for its calls.
   */
  on(row: MethodRow): PolicyHooks | undefined;
}

/** A policy's work around one call. Both hooks are synchronous, unless `begin` must wait. */
export interface PolicyHooks {
  /**
   * Runs before the handler. The request is read by then, so its namespace is known; with a stream
   * of requests this runs before the first one. Throws PrismError to refuse the call; any other
   * error is an internal one. A `begin` that waits must check `call.aborted` before it takes
   * anything: the call can end meanwhile, and `finish` does not wait for `begin`.
   */
  begin?(record: CallRecord, call: Call): Promise<void> | undefined;
  /**
   * Runs once after every call, whatever happened: before the answer of a unary call, and after the
   * last message of a stream. `error` is the caller's error; `undefined` = success. `begun` tells
   * whether this policy's `begin` completed. It did not if the request was unreadable, or if this
   * policy or one before it refused. So release what `begin` took only if `begun` is true. An error
   * thrown here is logged and changes nothing.
   */
  finish?(record: CallRecord, error: PrismError | undefined, begun: boolean): void;
}

/** The policies of one method, in order. */
export class PolicyChain {
  readonly #hooks: readonly PolicyHooks[];
  readonly #hasBegin: boolean;
  readonly #onDefect: (cause: unknown) => void;

  /** `onDefect` receives the errors thrown by `finish`. */
  constructor(row: MethodRow, policies: readonly Policy[], onDefect: (cause: unknown) => void) {
    this.#hooks = policies.flatMap((policy) => policy.on(row) ?? []);
    this.#hasBegin = this.#hooks.some(({ begin }) => begin !== undefined);
    this.#onDefect = onDefect;
  }

  /**
   * Runs before the handler. Throws or rejects with the refusal of the call. `undefined` = nothing
   * to wait for.
   */
  begin(record: CallRecord, call: Call): Promise<void> | undefined {
    if (!this.#hasBegin) {
      record.begun = this.#hooks.length;
      return undefined;
    }
    return this.#beginFrom(0, record, call);
  }

  #beginFrom(first: number, record: CallRecord, call: Call): Promise<void> | undefined {
    for (let i = first; i < this.#hooks.length; i++) {
      const waits = this.#hooks[i]?.begin?.(record, call);
      if (waits !== undefined) {
        return this.#goOn(waits, i, record, call);
      }
      record.begun = i + 1;
    }
    return undefined;
  }

  async #goOn(waits: Promise<void>, i: number, record: CallRecord, call: Call): Promise<void> {
    await waits;
    if (!record.finished) {
      record.begun = i + 1;
      await this.#beginFrom(i + 1, record, call);
    }
  }

  /** Runs after the call, in reverse order. Only the first call counts. */
  finish(record: CallRecord, error: PrismError | undefined): void {
    if (record.finished) {
      return;
    }
    record.finished = true;
    for (let i = this.#hooks.length - 1; i >= 0; i--) {
      try {
        this.#hooks[i]?.finish?.(record, error, i < record.begun);
      } catch (cause) {
        this.#onDefect(cause);
      }
    }
  }
}
