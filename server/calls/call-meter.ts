import { Code } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import type { PrismError, Reason } from "../errors.ts";
import { add, BUCKET_SECONDS, HISTOGRAM_SLOTS, observe } from "../histogram.ts";
import { REASONS } from "../reasons.ts";

/**
 * The names of the status codes by number, as gRPC writes them: OpenTelemetry's
 * `rpc.response.status_code`. 0 is OK.
 */
export const CODE_NAMES: readonly string[] = Array.from({ length: Code.Unauthenticated + 1 }, (_, code) =>
  code === 0 ? "OK" : code === Code.Canceled ? "CANCELLED" : codeToString(code).toUpperCase(),
);

/** The upper bounds of the buckets of `CallSeries.durations`. */
export const DURATION_BOUNDS_MS: readonly number[] = BUCKET_SECONDS.map((seconds) => seconds * 1000);

/** What a series keeps, each at its place in one array. */
const DURATIONS = CODE_NAMES.length;
const IN_FLIGHT = DURATIONS + HISTOGRAM_SLOTS;
const REQUEST_BYTES = IN_FLIGHT + 1;
const RESPONSE_BYTES = IN_FLIGHT + 2;
const MESSAGES = IN_FLIGHT + 3;
const EXPIRED_EVENTS = IN_FLIGHT + 4;
/** How many numbers a series has. */
export const SERIES_SLOTS = IN_FLIGHT + 5;

/** What is counted of the calls of one method on one namespace, or a sum of such series. */
export class CallSeries {
  readonly #values: Float64Array;

  /** `values` has SERIES_SLOTS numbers. It counts in them. */
  constructor(values: Float64Array = new Float64Array(SERIES_SLOTS)) {
    this.#values = values;
  }

  /** Adds all that another one has counted, and answers its calls that are over. */
  addAll(other: CallSeries): number {
    const values = this.#values;
    const more = other.#values;
    let calls = 0;
    for (let i = 0; i < SERIES_SLOTS; i++) {
      const value = more[i] ?? 0;
      if (value !== 0) {
        values[i] = (values[i] ?? 0) + value;
        calls += i < DURATIONS ? value : 0;
      }
    }
    return calls;
  }

  /** The calls that are over. */
  get allCalls(): number {
    let calls = 0;
    for (let code = 0; code < DURATIONS; code++) {
      calls += this.#values[code] ?? 0;
    }
    return calls;
  }

  /** A call is about to run. */
  begin(): void {
    add(this.#values, IN_FLIGHT, 1);
  }

  /** A call is over. `begun` = `begin` was told of it. */
  end(code: number, ms: number, requestBytes: number, begun: boolean): void {
    const values = this.#values;
    add(values, code, 1);
    observe(values, DURATIONS, ms);
    add(values, REQUEST_BYTES, requestBytes);
    if (begun) {
      add(values, IN_FLIGHT, -1);
    }
  }

  /** Bytes of an answer are about to be sent, also after its call is over. */
  answer(bytes: number): void {
    add(this.#values, RESPONSE_BYTES, bytes);
  }

  /** A stream has answered messages. */
  stream(messages: number): void {
    add(this.#values, MESSAGES, messages);
  }

  /** Events were appended that were past their retention. */
  expire(events: number): void {
    add(this.#values, EXPIRED_EVENTS, events);
  }

  /** The calls that ended with a code. */
  calls(code: number): number {
    return this.#values[code] ?? 0;
  }

  /** The histogram of `histogram.ts`. */
  get durations(): Float64Array {
    return this.#values.subarray(DURATIONS, DURATIONS + HISTOGRAM_SLOTS);
  }

  get inFlight(): number {
    return this.#values[IN_FLIGHT] ?? 0;
  }

  get requestBytes(): number {
    return this.#values[REQUEST_BYTES] ?? 0;
  }

  get responseBytes(): number {
    return this.#values[RESPONSE_BYTES] ?? 0;
  }

  get messages(): number {
    return this.#values[MESSAGES] ?? 0;
  }

  get expiredEvents(): number {
    return this.#values[EXPIRED_EVENTS] ?? 0;
  }
}

/** The series of one namespace. */
export class NamespaceSeries {
  readonly name: string;
  /** By the places of the methods. A method that was never called has none. */
  readonly methods: (CallSeries | undefined)[] = [];

  constructor(name: string) {
    this.name = name;
  }

  of(method: number): CallSeries {
    let series = this.methods[method];
    if (series === undefined) {
      series = new CallSeries();
      this.methods[method] = series;
    }
    return series;
  }
}

/** The name under which the namespaces are counted for which there is no room. */
export const OTHER_NAMESPACES = "other";

/**
 * Counts calls by namespace and method. The names that callers make up are not kept: a call on a
 * namespace that is not there counts as one without a namespace (""), like one that needs none.
 * There is room for a bounded number of namespaces; the calls on all others count together. A
 * namespace that is called "other" counts with them.
 */
export class CallMeter {
  readonly #find: (name: string) => string | undefined;
  readonly #maxNamespaces: number;
  readonly #methods: string[] = [];
  readonly #nowhere = new NamespaceSeries("");
  readonly #others = new NamespaceSeries(OTHER_NAMESPACES);
  readonly #named = new Map<string, NamespaceSeries>();
  /** By what requests say. A request without the field says `undefined`. */
  readonly #bySaid = new Map<unknown, NamespaceSeries>([[undefined, this.#nowhere]]);
  readonly #failures = new Map<Reason, number>();

  /** `find` answers the name of the namespace that a request says; `undefined` = there is none. */
  constructor(find: (said: string) => string | undefined, maxNamespaces: number) {
    this.#find = find;
    this.#maxNamespaces = maxNamespaces;
  }

  /** The place of a method, by its path; the same each time. */
  method(path: string): number {
    const name = path.slice(1);
    const known = this.#methods.indexOf(name);
    return known === -1 ? this.#methods.push(name) - 1 : known;
  }

  /** The series of a method. `said` is the namespace as it stands in the request. */
  series(said: unknown, method: number): CallSeries {
    return (this.#bySaid.get(said) ?? this.#admit(said)).of(method);
  }

  /** Counts why a call failed, and answers the number of its code. `undefined` = it did not. */
  codeOf(error: PrismError | undefined): number {
    if (error === undefined) {
      return 0;
    }
    const { reason } = error;
    this.#failures.set(reason, (this.#failures.get(reason) ?? 0) + 1);
    return REASONS[reason].code;
  }

  /** Forgets a namespace. */
  drop(name: string): void {
    const series = this.#named.get(name);
    this.#named.delete(name);
    // The default namespace has two.
    for (const said of [name, ""]) {
      if (series !== undefined && this.#bySaid.get(said) === series) {
        this.#bySaid.delete(said);
      }
    }
  }

  /** How many calls failed for each reason. */
  get failures(): ReadonlyMap<Reason, number> {
    return this.#failures;
  }

  /** The names of the methods, as `package.Service/Method`, by their places. */
  get methods(): readonly string[] {
    return this.#methods;
  }

  /** The series of all namespaces. */
  *namespaces(): Generator<NamespaceSeries> {
    yield this.#nowhere;
    yield this.#others;
    yield* this.#named.values();
  }

  #admit(said: unknown): NamespaceSeries {
    const name = typeof said === "string" ? this.#find(said) : undefined;
    if (name === undefined) {
      return this.#nowhere;
    }
    let series = this.#named.get(name);
    if (series === undefined) {
      if (this.#named.size >= this.#maxNamespaces || name === OTHER_NAMESPACES) {
        return this.#others;
      }
      series = new NamespaceSeries(name);
      this.#named.set(name, series);
    }
    this.#bySaid.set(said, series);
    return series;
  }
}
