/**
 * A signal that aborts when one of several does, for as long as a call lasts. In the place of
 * AbortSignal.any, which on Node 22 keeps some of every call for as long as a source lives
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

  /** For the sources: one was aborted. */
  handleEvent(): void {
    const source = this.#sources.find(({ aborted }) => aborted);
    if (source !== undefined) {
      this.abort(source.reason);
    }
  }

  /** `undefined` = for no reason but that the call is over. No effect on one that is aborted. */
  abort(reason: unknown): void {
    this.#controller.abort(reason);
  }

  /** Lets the sources go: nothing of this is kept by them. */
  release(): void {
    for (const source of this.#sources) {
      source.removeEventListener("abort", this);
    }
  }
}
