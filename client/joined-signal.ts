/**
 * A signal that aborts when one of several sources does, for the time of a call. AbortSignal.any
 * would leak on Node 22: it keeps part of every call as long as a source lives
 * (https://github.com/nodejs/node/issues/54614).
 */
export class JoinedSignal {
  readonly #controller = new AbortController();
  readonly #sources: readonly AbortSignal[];

  constructor(sources: readonly AbortSignal[]) {
    this.#sources = sources;
    for (const source of sources) {
      source.addEventListener("abort", this);
    }
    this.handleEvent();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Called by a source that aborts. */
  handleEvent(): void {
    const source = this.#sources.find(({ aborted }) => aborted);
    if (source !== undefined) {
      this.abort(source.reason);
    }
  }

  /** `undefined` = the call is over. Does nothing if it is aborted already. */
  abort(reason: unknown): void {
    this.#controller.abort(reason);
  }

  /** Unsubscribes from the sources, which then keep nothing of this. */
  release(): void {
    for (const source of this.#sources) {
      source.removeEventListener("abort", this);
    }
  }
}
