import type { Interceptor, Transport } from "@connectrpc/connect";
import { type CallTracing, checkTimeout, Invoker, requireKnown } from "./call.ts";
import { describe, toFlag, toText, wholeNumber } from "./convert.ts";
import { type Credentials, type TokenProvider, TokenSource, withToken } from "./credentials.ts";
import { invalidField } from "./errors.ts";
import { createKeyValueApi, type KeyValueApi } from "./keyvalue.ts";
import { createListApi, type ListApi } from "./list.ts";
import { createRecordsApi, type RecordsApi } from "./records.ts";
import { DEFAULT_RETRIES, MAX_RETRIES, RetryBudget } from "./retry.ts";
import { createTimeSeriesApi, type TimeSeriesApi } from "./timeseries.ts";

/** The options of every client. */
export interface PrismClientOptions {
  /** The namespace of calls that name none. Default: `default`. */
  readonly namespace?: string | undefined;
  /**
   * Who calls: an API key or a token, or a function that gets tokens. It is asked again before a
   * token expires, and once for a call whose token the gateway refuses. Absent: nobody is named.
   */
  readonly credentials?: Credentials | undefined;
  /**
   * Milliseconds after which a call without a timeout of its own fails with reason
   * `deadline_exceeded`, retries included. Default: 10,000. 0: the client sets no limit; the
   * gateway has its own. A scan is limited only by the timeout that it is given itself.
   */
  readonly timeoutMs?: number | undefined;
  /**
   * How often a call is made again that did not run, or that may run twice without harm, with
   * growing pauses between. Default: 3. 0: never. No more than a tenth of all calls are retries for
   * long, so that they do not flood a gateway that is in trouble.
   */
  readonly retries?: number | undefined;
  /**
   * True: the single gets and finds of one turn of the event loop are one call of many keys, so
   * that a program that needs a hundred entries one by one waits once. Only those without options
   * of their own. Default: false.
   */
  readonly gatherGets?: boolean | undefined;
  /**
   * Sent with every call, for example headers that a proxy asks for. They do not override fields
   * that describe the request (`content-type`, `grpc-timeout` and the like).
   */
  readonly headers?: ConstructorParameters<typeof Headers>[0];
  /**
   * Connect interceptors around every call, for example for headers that change from call to call.
   */
  readonly interceptors?: readonly Interceptor[] | undefined;
}

/** The options of a client over a transport, which has interceptors of its own. */
export type OverTransportOptions = Omit<PrismClientOptions, "interceptors">;

/** The names of {@link OverTransportOptions}. */
const OVER_TRANSPORT_OPTIONS = {
  namespace: true,
  credentials: true,
  timeoutMs: true,
  retries: true,
  gatherGets: true,
  headers: true,
} as const satisfies Record<keyof OverTransportOptions, true>;

const DEFAULT_TIMEOUT_MS = 10_000;

/** The names of {@link PrismClientOptions}. */
export const CLIENT_OPTIONS = {
  ...OVER_TRANSPORT_OPTIONS,
  interceptors: true,
} as const satisfies Record<keyof PrismClientOptions, true>;

/** Whether a client is given the caller's own transport instead of an address. */
export function isTransport(target: unknown): target is Transport {
  return typeof target === "object" && target !== null && "unary" in target && "stream" in target;
}

/** The calls of one namespace. */
export class PrismNamespace {
  /** Entries: one key, one value. */
  readonly keyvalue: KeyValueApi;
  /** Lists: double-ended queues of values. */
  readonly list: ListApi;
  /** Records: an id holds sorted items. */
  readonly records: RecordsApi;
  /** Streams of events. */
  readonly timeseries: TimeSeriesApi;

  /** `client.namespace(name)` makes them. */
  constructor(invoker: Invoker) {
    this.keyvalue = createKeyValueApi(invoker);
    this.list = createListApi(invoker);
    this.records = createRecordsApi(invoker);
    this.timeseries = createTimeSeriesApi(invoker);
  }
}

/**
 * A client of a Prism gateway over any Connect transport: the common part of the clients for Node
 * and browsers. Its own calls go to the namespace of its options.
 */
export class PrismClient extends PrismNamespace implements AsyncDisposable {
  readonly #invoker: Invoker;

  /**
   * `names` are the names of the options; `tracing` is told of calls. Throws `invalid_field` for an
   * unknown option.
   */
  constructor(
    transport: Transport,
    options: PrismClientOptions = {},
    names: Readonly<Record<string, true>> = OVER_TRANSPORT_OPTIONS,
    tracing?: CallTracing,
  ) {
    requireKnown(names, options);
    const invoker = new Invoker(transport, {
      namespace: options.namespace === undefined ? "default" : toText("namespace", options.namespace),
      timeoutMs: checkTimeout(options.timeoutMs, DEFAULT_TIMEOUT_MS),
      headers: toTokens(options.credentials, options.headers && toHeaders(options.headers)),
      retries: wholeNumber("retries", options.retries ?? DEFAULT_RETRIES, MAX_RETRIES),
      budget: new RetryBudget(),
      gathersGets: toFlag("gatherGets", options.gatherGets ?? false),
      tracing,
    });
    super(invoker);
    this.#invoker = invoker;
  }

  /**
   * The calls of another namespace, over the same connections. They end with this client. Throws
   * `invalid_field` for a name that is no text; the first call tells whether the namespace exists.
   *
   * ```ts
   * const orders = client.namespace("orders");
   * await orders.keyvalue.set("1", "paid");
   * ```
   */
  namespace(name: string): PrismNamespace {
    return new PrismNamespace(this.#invoker.inNamespace(toText("namespace", name)));
  }

  /**
   * Ends the calls in flight, and every later one, with reason `canceled`. Closing twice does
   * nothing more.
   */
  async close(): Promise<void> {
    this.#invoker.close();
  }

  /** Closes the client at the end of `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** What knows the headers of each call. Throws `invalid_field`. */
function toTokens(credentials: unknown, headers: Headers | undefined): Headers | TokenSource | undefined {
  switch (typeof credentials) {
    case "undefined":
      return headers;
    case "string":
      return withToken(headers, credentials);
    case "function":
      return new TokenSource(credentials as TokenProvider, headers);
    default:
      throw invalidField(`credentials must be a string or a function, not ${describe(credentials)}`);
  }
}

function toHeaders(given: ConstructorParameters<typeof Headers>[0]): Headers {
  try {
    return new Headers(given);
  } catch {
    throw invalidField(`headers must be names with their values, not ${describe(given)}`);
  }
}
