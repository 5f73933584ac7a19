import type { DescService } from "@bufbuild/protobuf";
import {
  type Client,
  Code,
  type CallOptions as ConnectCallOptions,
  ConnectError,
  createClient,
  type Transport,
} from "@connectrpc/connect";
import { invalidField, toPrismError } from "./errors.ts";

/** What every call can be given. */
export interface CallOptions {
  /** The namespace of this call, instead of the client's. */
  readonly namespace?: string | undefined;
  /** Aborting it ends the call with reason `canceled`. A write may then have been made or not. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds after which the call ends with reason `deadline_exceeded`; 0 = none of the client's own. */
  readonly timeoutMs?: number | undefined;
}

/** What calls use that are not told otherwise. */
export interface CallDefaults {
  readonly namespace: string;
  /** For calls with one answer. A scan lasts as long as its reader reads. */
  readonly timeoutMs: number;
}

/** What is known of a call before it is made. */
interface CallTarget {
  /** Whether making the call twice is the same as making it once. */
  readonly idempotent: boolean;
  /** The key, for a call that fails where the key is absent. */
  readonly key?: string;
}

/** Makes the calls of one client: adds the defaults, turns failures into PrismError, and ends them all on close. */
export class Caller {
  readonly #transport: Transport;
  readonly #defaults: CallDefaults;
  readonly #closing = new AbortController();

  constructor(transport: Transport, defaults: CallDefaults) {
    this.#transport = transport;
    this.#defaults = defaults;
  }

  /** The generated calls of a service, on this client's transport. */
  service<Service extends DescService>(service: Service): Client<Service> {
    return createClient(service, this.#transport);
  }

  /** A call with one answer. */
  async unary<Output>(
    target: CallTarget,
    options: CallOptions,
    run: (namespace: string, options: ConnectCallOptions) => Promise<Output>,
  ): Promise<Output> {
    const namespace = options.namespace ?? this.#defaults.namespace;
    const closing = this.#closing.signal;
    const signal = options.signal === undefined ? closing : AbortSignal.any([options.signal, closing]);
    try {
      signal.throwIfAborted();
      return await run(namespace, {
        signal,
        timeoutMs: checkTimeout(options.timeoutMs ?? this.#defaults.timeoutMs),
      });
    } catch (error) {
      throw toPrismError(error, { ...target, namespace, signal });
    }
  }

  /** A call with a stream of answers, each given to `map`. It is made when reading begins, and ends when reading does. */
  async *stream<Output, Item>(
    target: CallTarget,
    options: CallOptions,
    run: (namespace: string, options: ConnectCallOptions) => AsyncIterable<Output>,
    map: (output: Output) => Item,
  ): AsyncGenerator<Item, void, undefined> {
    const namespace = options.namespace ?? this.#defaults.namespace;
    // Connect's iterable does not hear of a reader who leaves early: it ends by a signal only.
    const leaving = new AbortController();
    const signals = [leaving.signal, this.#closing.signal];
    const signal = AbortSignal.any(options.signal === undefined ? signals : [...signals, options.signal]);
    try {
      signal.throwIfAborted();
      const timeoutMs = checkTimeout(options.timeoutMs ?? 0);
      for await (const output of run(namespace, { signal, timeoutMs })) {
        yield map(output);
      }
    } catch (error) {
      throw toPrismError(error, { ...target, namespace, signal });
    } finally {
      leaving.abort();
    }
  }

  /** Ends the calls in flight, and refuses further ones, with reason `canceled`. */
  close(): void {
    this.#closing.abort(new ConnectError("the client is closed", Code.Canceled));
  }
}

function checkTimeout(timeoutMs: number): number {
  if (!Number.isSafeInteger(timeoutMs) || timeoutMs < 0) {
    throw invalidField("timeoutMs must be 0 (none) or a whole number of milliseconds");
  }
  return timeoutMs;
}
