import type { Transport } from "@connectrpc/connect";
import { Caller } from "./call.ts";
import { KeyValueApi } from "./keyvalue.ts";
import { ListApi } from "./list.ts";

/** What every client can be given. */
export interface PrismClientOptions {
  /** The namespace of calls that name none. Default: `default`. */
  readonly namespace?: string | undefined;
  /**
   * Milliseconds after which a call that names no timeout fails with reason `deadline_exceeded`. Absent or 0:
   * none of the client's own; the gateway has its own bound. A scan is bounded only by the timeout that it is given itself.
   */
  readonly timeoutMs?: number | undefined;
}

/** A client of a Prism gateway over any Connect transport: what the clients for Node and for browsers share. */
export class PrismClient implements AsyncDisposable {
  /** Entries: one key, one value. */
  readonly keyvalue: KeyValueApi;
  /** Lists: double-ended queues of values. */
  readonly list: ListApi;
  readonly #caller: Caller;

  constructor(transport: Transport, options: PrismClientOptions = {}) {
    this.#caller = new Caller(transport, {
      namespace: options.namespace ?? "default",
      timeoutMs: options.timeoutMs ?? 0,
    });
    this.keyvalue = new KeyValueApi(this.#caller);
    this.list = new ListApi(this.#caller);
  }

  /** Ends the calls in flight, and every later one, with reason `canceled`. Closing twice is the same as once. */
  async close(): Promise<void> {
    this.#caller.close();
  }

  /** Closes the client at the end of `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
