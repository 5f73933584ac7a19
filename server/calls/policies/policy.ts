import type { Call } from "../../backend/contract.ts";
import type { PrismError } from "../../errors.ts";
import type { MethodRow } from "../methods.ts";
import type { CallRecord } from "../record.ts";

/** Something that is done around every call of the methods that it concerns, such as the line in the log. */
export interface Policy {
  /** Asked once for each method, when the services are made; `undefined` = none of the policy runs for its calls. */
  on(row: MethodRow): PolicyHooks | undefined;
}

/** What a policy does around one call. Both are synchronous, unless `begin` must wait. */
export interface PolicyHooks {
  /**
   * Before the handler, once the request was read, so that its namespace is known; of a stream of requests before the
   * first of them. Throws PrismError to refuse the call; anything else thrown is an internal error. One that waits has
   * to look at `call.aborted` before it takes anything: a call can end meanwhile, and `finish` does not wait for it.
   */
  begin?(record: CallRecord, call: Call): Promise<void> | undefined;
  /**
   * After every call, once, whatever became of it: before the answer of a unary call, and after the last message of a
   * stream. `error` is what the caller is told; `undefined` = it went well. `begun` says whether this policy's `begin`
   * ran to its end: it did not where the request could not be read, or where this policy or one before it refused. So
   * what `begin` takes is to be given back where `begun` is true. What it throws is logged and changes nothing.
   */
  finish?(record: CallRecord, error: PrismError | undefined, begun: boolean): void;
}

/** The policies that concern one method, in their order. */
export class PolicyChain {
  readonly #hooks: readonly PolicyHooks[];
  readonly #hasBegin: boolean;
  readonly #onDefect: (cause: unknown) => void;

  /** `onDefect` is told what a `finish` throws. */
  constructor(row: MethodRow, policies: readonly Policy[], onDefect: (cause: unknown) => void) {
    this.#hooks = policies.flatMap((policy) => policy.on(row) ?? []);
    this.#hasBegin = this.#hooks.some(({ begin }) => begin !== undefined);
    this.#onDefect = onDefect;
  }

  /** Before the handler. Throws, now or later, what refuses the call; `undefined` = nobody waits. */
  begin(record: CallRecord, call: Call): Promise<void> | undefined {
    return this.#hasBegin ? this.#beginFrom(0, record, call) : undefined;
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

  /** After the call, in the opposite order; only the first time counts. */
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
