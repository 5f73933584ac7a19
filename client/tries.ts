import { Code } from "@connectrpc/connect";
import { TokenSource } from "./credentials.ts";
import { type FailedCall, type PrismError, toPrismError } from "./errors.ts";
import { type RetryBudget, retryPauseMs } from "./retry.ts";
import { pause, within } from "./wait.ts";

/** What holds for every call of a client. */
export interface TryRules {
  /** Sent with every call, or what knows them. */
  readonly headers: Headers | TokenSource | undefined;
  /** How often a call may be made again. */
  readonly retries: number;
  readonly budget: RetryBudget;
}

/** The tries of one call, until it succeeds or its time is over. */
export class Tries {
  readonly #rules: TryRules;
  readonly #call: Omit<FailedCall, "namespace" | "signal">;
  readonly #namespace: string;
  readonly #signal: AbortSignal;
  /** When the call's time is over, by the clock of `performance`. */
  readonly #endMs: number;
  /** For the transport; 0 = any time. */
  leftMs: number;
  #failures = 0;
  #sent: Headers | undefined;
  #hasRenewed = false;

  /** `timeoutMs` 0 = any time. */
  constructor(
    rules: TryRules,
    call: Omit<FailedCall, "namespace" | "signal">,
    namespace: string,
    signal: AbortSignal,
    timeoutMs: number,
  ) {
    this.#rules = rules;
    this.#call = call;
    this.#namespace = namespace;
    this.#signal = signal;
    this.#endMs = timeoutMs === 0 ? Infinity : performance.now() + timeoutMs;
    this.leftMs = timeoutMs;
  }

  /** The headers of the next try; a promise where a token has to be got first. */
  headers(): Headers | undefined | Promise<Headers> {
    const { headers } = this.#rules;
    if (!(headers instanceof TokenSource)) {
      return headers;
    }
    const given = headers.headers();
    if (given instanceof Promise) {
      this.#sent = undefined;
      return within(given, this.#endMs - performance.now(), this.#signal).then((got) => (this.#sent = got));
    }
    this.#sent = given;
    return given;
  }

  /** A try succeeded. */
  succeeded(): void {
    this.#rules.budget.earn();
  }

  /** A try failed. Returns when there is to be another one; else throws PrismError. */
  async failed(error: unknown): Promise<void> {
    const failure = this.toError(error);
    if (!this.#renews(failure)) {
      await this.#pause(failure);
    }
    if (this.leftMs !== 0) {
      this.leftMs = Math.max(1, Math.ceil(this.#endMs - performance.now()));
    }
  }

  /** What the caller is told of a failure. */
  toError(error: unknown): PrismError {
    return toPrismError(error, { ...this.#call, namespace: this.#namespace, signal: this.#signal });
  }

  /** Whether the token was refused and there may be a better one. Once in a call. */
  #renews(failure: PrismError): boolean {
    const { headers } = this.#rules;
    const sent = this.#sent;
    if (failure.code !== Code.Unauthenticated || sent === undefined || this.#hasRenewed) {
      return false;
    }
    this.#hasRenewed = true;
    if (headers instanceof TokenSource) {
      headers.refuse(sent);
    }
    return true;
  }

  async #pause(failure: PrismError): Promise<void> {
    const { retries, budget } = this.#rules;
    const pauseMs = this.#failures++ < retries ? retryPauseMs(failure, this.#failures) : undefined;
    const isInTime = pauseMs !== undefined && performance.now() + pauseMs < this.#endMs;
    if (!isInTime || !budget.spend()) {
      throw failure;
    }
    await pause(pauseMs, this.#signal);
  }
}
