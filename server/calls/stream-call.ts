import type { Call } from "../backend/contract.ts";
import { abortError, asPrismError, PrismError } from "../errors.ts";
import type { AnyBatch } from "./columns.ts";
import type { LargeAnswers } from "./large-answers.ts";
import type { PolicyChain } from "./policies/policy.ts";
import type { CallRecord } from "./record.ts";
import type { CallScope } from "./scope.ts";
import type { Batches } from "./served-method.ts";
import { toConnectError } from "./status.ts";

/** The handler of a stream of any types. */
export type AnyStream = (request: object, call: Call) => AsyncIterable<AnyBatch>;

/** What all calls of one method share. */
export interface StreamSettings {
  readonly handler: AnyStream;
  readonly policies: PolicyChain;
  readonly large: LargeAnswers;
  /** The expected size of the next batch, encoded. */
  batchBytes: number;
}

/** One call with a stream of responses, from its request to the end of the stream. */
export class StreamCall<T> implements Batches<T> {
  readonly #settings: StreamSettings;
  readonly #request: object;
  readonly #record: CallRecord;
  readonly #scope: CallScope;
  readonly #encode: (batch: AnyBatch) => T | Promise<T>;
  #iterator: AsyncIterator<AnyBatch> | undefined = undefined;
  #open = true;

  constructor(
    settings: StreamSettings,
    request: object,
    record: CallRecord,
    scope: CallScope,
    encode: (batch: AnyBatch) => T | Promise<T>,
  ) {
    this.#settings = settings;
    this.#request = request;
    this.#record = record;
    this.#scope = scope;
    this.#encode = encode;
    record.enter(request, scope);
    // A reader that leaves without making room may never ask for more.
    scope.signal.addEventListener("abort", () => this.#end(abortError(scope.signal)));
  }

  async next(): Promise<T | undefined> {
    const encoded = await this.#guard(this.#nextBatch());
    if (encoded === undefined) {
      this.#end(undefined);
    }
    return encoded;
  }

  wait(work: Promise<void>): Promise<void> {
    return this.#guard(work);
  }

  close(): void {
    if (this.#open) {
      this.#end(new PrismError("canceled", "the caller left"));
    }
  }

  /** Forgets the batch itself before a slow reader takes its time. */
  async #nextBatch(): Promise<T | undefined> {
    const { policies, large, handler, batchBytes } = this.#settings;
    if (this.#iterator === undefined) {
      await policies.begin(this.#record, this.#scope);
    }
    await large.turn(batchBytes);
    if (!this.#open) {
      // The call ended meanwhile, and nobody waits for this.
      return undefined;
    }
    // A handler may throw before it returns a stream.
    this.#iterator ??= handler(this.#request, this.#scope)[Symbol.asyncIterator]();
    const { done, value } = await this.#iterator.next();
    if (done === true) {
      return undefined;
    }
    this.#record.series?.stream(value.length);
    const encoded = await this.#encode(value);
    const { times } = this.#record;
    if (times !== undefined) {
      times.firstMessageAtMs ??= performance.now();
    }
    if (encoded instanceof Uint8Array) {
      // A larger batch counts in full at once, because the next may be as large.
      this.#settings.batchBytes = Math.max(encoded.length, batchBytes + (encoded.length - batchBytes) / 8);
    }
    return encoded;
  }

  /** Settles like `work`, or fails when the call aborts first. A failure ends the call. */
  async #guard<R>(work: Promise<R>): Promise<R> {
    try {
      return await this.#scope.race(work);
    } catch (thrown) {
      const error = asPrismError(thrown);
      this.#end(error);
      throw toConnectError(error, this.#record);
    }
  }

  #end(error: PrismError | undefined): void {
    if (this.#open) {
      this.#open = false;
      this.#settings.policies.finish(this.#record, error);
      this.#scope.close();
      // Not awaited: a hanging `next()` would block this for ever.
      this.#iterator?.return?.().catch(() => {});
    }
  }
}
