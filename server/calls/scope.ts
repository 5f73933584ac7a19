import type { AbortEvents, Call, CallTrace, CallUse } from "../backend/contract.ts";
import { abortError, PrismError } from "../errors.ts";
import { MAX_TIMER_MS } from "../limits.ts";

/**
 * One running call. It ends the work when the deadline passes, the caller leaves or the server
 * shuts down.
 */
export class CallScope implements Call, AbortEvents {
  /** Made on demand. */
  #controller: AbortController | undefined;
  #reason: PrismError | undefined;
  #onAbort: ((reason: PrismError) => void) | undefined;
  /** Most calls have at most one listener; further ones use the signal. */
  #listener: { handleEvent(): void } | undefined;
  readonly #timer: NodeJS.Timeout | undefined;
  /** What the call uses; mostly it is one thing. */
  #use: CallUse | undefined;
  #furtherUses: CallUse[] | undefined;
  #isOver = false;
  readonly deadlineMs: number | undefined;
  /** Set by the policy that knows what the caller may do, before the handler runs. */
  keyPrefixes: readonly string[] | undefined = undefined;
  /** Set when the request is read. */
  trace: CallTrace | undefined = undefined;

  /** `timeoutMs`: 0 = no deadline. */
  constructor(timeoutMs: number) {
    if (timeoutMs > 0) {
      this.deadlineMs = performance.now() + timeoutMs;
      this.#timer = setTimeout(() => this.abort(deadlineExceeded()), timeoutMs);
    }
  }

  get aborted(): boolean {
    return this.#reason !== undefined;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#reason !== undefined) {
        this.#controller.abort(this.#reason);
      }
    }
    return this.#controller.signal;
  }

  get events(): AbortEvents {
    return this;
  }

  get keepsDeadline(): boolean {
    return true;
  }

  get reason(): unknown {
    return this.#reason;
  }

  addEventListener(type: "abort", listener: { handleEvent(): void }): void {
    if (this.#listener === undefined) {
      this.#listener = listener;
    } else {
      this.signal.addEventListener(type, listener);
    }
  }

  removeEventListener(type: "abort", listener: { handleEvent(): void }): void {
    if (this.#listener === listener) {
      this.#listener = undefined;
    } else {
      this.#controller?.signal.removeEventListener(type, listener);
    }
  }

  /**
   * The caller went away. Does nothing if the call is over, as most are when their exchange closes.
   */
  leave(): void {
    if (this.#reason === undefined) {
      this.abort(new PrismError("canceled", "the caller left"));
    }
  }

  /** Ends the call; only the first reason counts. */
  abort(reason: PrismError): void {
    if (this.#reason === undefined) {
      this.#reason = reason;
      this.#controller?.abort(reason);
      this.#listener?.handleEvent();
      this.#onAbort?.(reason);
    }
  }

  /** Aborts when `signal` does, with its reason. Call the returned function to stop following. */
  follow(signal: AbortSignal): () => void {
    const onAbort = () => this.abort(abortError(signal));
    if (signal.aborted) {
      onAbort();
    }
    signal.addEventListener("abort", onAbort);
    return () => signal.removeEventListener("abort", onAbort);
  }

  /**
   * Calls `done` with the reason when the call aborts, or now if it has. The next call of this or
   * of `race` replaces `done`.
   */
  whenAborted(done: (reason: PrismError) => void): void {
    if (this.#reason === undefined) {
      this.#onAbort = done;
    } else {
      done(this.#reason);
    }
  }

  /**
   * Settles like `work`, or rejects when the call aborts, whichever comes first: a stuck store
   * holds up no caller. One at a time.
   */
  race<T>(work: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      work.then(resolve, reject);
      this.whenAborted(reject);
    });
  }

  hold(use: CallUse): void {
    if (this.#isOver) {
      return;
    }
    use.begin(this);
    if (this.#use === undefined) {
      this.#use = use;
    } else {
      this.#furtherUses ??= [];
      this.#furtherUses.push(use);
    }
  }

  /** Stops the timer and ends the call's use. Nothing aborts the call any more. */
  close(): void {
    clearTimeout(this.#timer);
    this.#reason ??= CLOSED;
    if (this.#isOver) {
      return;
    }
    this.#isOver = true;
    this.#use?.end(this);
    if (this.#furtherUses !== undefined) {
      for (const use of this.#furtherUses) {
        use.end(this);
      }
    }
  }
}

/**
 * The scope of a call whose caller set a deadline; `timeoutMs` 0 = it has passed already. `boundMs`
 * is the method's bound; 0 = none.
 */
export function createDeadlineScope(timeoutMs: number, boundMs: number): CallScope {
  const scope = new CallScope(Math.min(timeoutMs, boundMs || MAX_TIMER_MS, MAX_TIMER_MS));
  if (timeoutMs === 0) {
    scope.abort(deadlineExceeded());
  }
  return scope;
}

/** Marks a normal end, which nobody waits for. */
const CLOSED = new PrismError("canceled", "the call is over");

/** The deadline of the call or the bound of its method passed. */
function deadlineExceeded(): PrismError {
  return new PrismError("deadline_exceeded", "the deadline of the call passed");
}
