import type {
  DescMessage,
  DescMethod,
  DescMethodServerStreaming,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { createAsyncIterable } from "@connectrpc/connect/protocol";
import { describe, toText, wholeNumber } from "./convert.ts";
import { invalidField } from "./errors.ts";
import { JoinedSignal } from "./joined-signal.ts";
import { Tries, type TryRules } from "./tries.ts";
import { pause } from "./wait.ts";

/** The options of every call. */
export interface CallOptions {
  /** The namespace of this call, instead of the client's. */
  readonly namespace?: string | undefined;
  /** Aborting it ends the call with reason `canceled`. A write may have taken effect by then. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Milliseconds after which the call ends with reason `deadline_exceeded`; 0 = the client sets no
   * limit.
   */
  readonly timeoutMs?: number | undefined;
}

/**
 * The names of a call's options. Any other name is refused, because it would be ignored silently.
 */
export type OptionNames = Readonly<Record<string, true>>;

/** The names of {@link CallOptions}. */
export const CALL_OPTIONS = {
  namespace: true,
  signal: true,
  timeoutMs: true,
} as const satisfies Record<keyof CallOptions, true>;

/** What is told of a call that begins. */
export interface CallEvent {
  /** `package.Service/Method`. */
  readonly method: string;
  readonly namespace: string;
}

/** Who is told of calls: the part of node:diagnostics_channel's TracingChannel that is used. */
export interface CallTracing {
  readonly hasSubscribers: boolean;
  /** Tells of the beginning and the end of what `call` does, and of its error. */
  tracePromise<T>(call: () => Promise<T>, event: CallEvent): Promise<T>;
}

/** The defaults of calls. */
export interface CallDefaults extends TryRules {
  /** Whether the gets of one turn are one call. */
  readonly gathersGets: boolean;
  /** Who is told of calls. */
  readonly tracing: CallTracing | undefined;
  readonly namespace: string;
  /** For calls with one answer. A scan lasts as long as its reader reads. */
  readonly timeoutMs: number;
}

/** What is known of a call before it starts. */
interface CallTarget<Method extends DescMethod> {
  readonly method: Method;
  readonly options: OptionNames;
  /** The key, for a call that fails if the key is absent. */
  readonly key?: string;
  /**
   * For a call that waits at the gateway: for how many milliseconds; 0 = as long as the gateway
   * allows. The client's own time limit is added.
   */
  readonly waitMs?: number | undefined;
}

/**
 * Makes the calls of one client. It adds the defaults, turns failures into PrismError and ends all
 * calls on close.
 */
export class Invoker {
  readonly #transport: Transport;
  readonly #defaults: CallDefaults;
  readonly #closing: AbortController;

  constructor(transport: Transport, defaults: CallDefaults, closing = new AbortController()) {
    this.#transport = transport;
    this.#defaults = defaults;
    this.#closing = closing;
  }

  get gathersGets(): boolean {
    return this.#defaults.gathersGets;
  }

  /** The namespace of calls that name none. */
  get namespace(): string {
    return this.#defaults.namespace;
  }

  /** Makes calls of the same client whose namespace is another, unless they name one. */
  inNamespace(namespace: string): Invoker {
    return new Invoker(this.#transport, { ...this.#defaults, namespace }, this.#closing);
  }

  /**
   * Makes a call with one answer; again, if it failed and that does no harm. `toRequest` may throw;
   * then nothing is sent.
   */
  unary<Input extends DescMessage, Output extends DescMessage>(
    target: CallTarget<DescMethodUnary<Input, Output>>,
    options: CallOptions,
    toRequest: (namespace: string) => MessageInitShape<Input>,
  ): Promise<MessageShape<Output>> {
    const { tracing } = this.#defaults;
    return tracing?.hasSubscribers === true
      ? tracing.tracePromise(() => this.#unary(target, options, toRequest), this.#event(target, options))
      : this.#unary(target, options, toRequest);
  }

  async #unary<Input extends DescMessage, Output extends DescMessage>(
    target: CallTarget<DescMethodUnary<Input, Output>>,
    options: CallOptions,
    toRequest: (namespace: string) => MessageInitShape<Input>,
  ): Promise<MessageShape<Output>> {
    requireKnown(target.options, options);
    const namespace = this.#namespace(options);
    const timeoutMs = checkTimeout(options.timeoutMs, this.#timeoutMs(target.waitMs));
    const own = checkSignal(options.signal);
    const closing = this.#closing.signal;
    const joined = own && new JoinedSignal([own, closing]);
    const signal = joined?.signal ?? closing;
    const tries = new Tries(this.#defaults, target, namespace, signal, timeoutMs);
    try {
      signal.throwIfAborted();
      const request = toRequest(namespace);
      for (;;) {
        try {
          const given = tries.headers();
          const headers = given instanceof Promise ? await given : given;
          const { leftMs } = tries;
          const answer = await this.#transport.unary(target.method, signal, leftMs, headers, request);
          tries.succeeded();
          return answer.message;
        } catch (error) {
          await tries.failed(error);
        }
      }
    } catch (error) {
      throw tries.toError(error);
    } finally {
      joined?.release();
    }
  }

  /**
   * Makes a call with a stream of answers, each passed to `map`. It starts with the first read and
   * ends when reading ends. It is made again only before it has an answer. `toRequest` may throw;
   * then nothing is sent.
   */
  async *stream<Input extends DescMessage, Output extends DescMessage, Item>(
    target: CallTarget<DescMethodServerStreaming<Input, Output>>,
    options: CallOptions,
    toRequest: (namespace: string) => MessageInitShape<Input>,
    map: (output: MessageShape<Output>) => Item,
  ): AsyncGenerator<Item, void, undefined> {
    const { tracing } = this.#defaults;
    if (tracing?.hasSubscribers !== true) {
      yield* this.#stream(target, options, toRequest, map);
      return;
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const traced = tracing.tracePromise(() => promise, this.#event(target, options));
    try {
      yield* this.#stream(target, options, toRequest, map);
    } catch (error) {
      reject(error);
      throw error;
    } finally {
      resolve();
      // The reader has the error.
      await traced.catch(() => {});
    }
  }

  async *#stream<Input extends DescMessage, Output extends DescMessage, Item>(
    target: CallTarget<DescMethodServerStreaming<Input, Output>>,
    options: CallOptions,
    toRequest: (namespace: string) => MessageInitShape<Input>,
    map: (output: MessageShape<Output>) => Item,
  ): AsyncGenerator<Item, void, undefined> {
    requireKnown(target.options, options);
    const namespace = this.#namespace(options);
    const timeoutMs = checkTimeout(options.timeoutMs, 0);
    const own = checkSignal(options.signal);
    const joined = new JoinedSignal(own === undefined ? [this.#closing.signal] : [own, this.#closing.signal]);
    const { signal } = joined;
    const tries = new Tries(this.#defaults, target, namespace, signal, timeoutMs);
    let hasAnswer = false;
    try {
      signal.throwIfAborted();
      const request = toRequest(namespace);
      for (;;) {
        try {
          const headers = await tries.headers();
          const requests = createAsyncIterable([request]);
          const call = this.#transport.stream(target.method, signal, tries.leftMs, headers, requests);
          for await (const output of (await call).message) {
            hasAnswer = true;
            yield map(output);
          }
          tries.succeeded();
          return;
        } catch (error) {
          if (hasAnswer) {
            throw error;
          }
          await tries.failed(error);
        }
      }
    } catch (error) {
      throw tries.toError(error);
    } finally {
      joined.release();
      // Not every transport notices a reader who leaves early; the signal ends the call.
      joined.abort(undefined);
    }
  }

  /** Waits between two calls. It ends early when the second one would end at once. */
  async pause(ms: number, { signal: own }: CallOptions): Promise<void> {
    const closing = this.#closing.signal;
    const joined = new JoinedSignal(own === undefined ? [closing] : [own, closing]);
    try {
      await pause(ms, joined.signal);
    } catch {
      // The second call tells why.
    } finally {
      joined.release();
    }
  }

  /** The default time limit, 0 = none. A call that waits may take so much longer. */
  #timeoutMs(waitMs: number | undefined): number {
    const { timeoutMs } = this.#defaults;
    return waitMs === 0 || timeoutMs === 0 ? 0 : timeoutMs + (waitMs ?? 0);
  }

  #event({ method }: CallTarget<DescMethod>, options: CallOptions): CallEvent {
    const namespace = options?.namespace ?? this.#defaults.namespace;
    return { method: `${method.parent.typeName}/${method.name}`, namespace };
  }

  #namespace({ namespace }: CallOptions): string {
    return namespace === undefined ? this.#defaults.namespace : toText("namespace", namespace);
  }

  /** Ends the calls in flight and refuses later ones, with reason `canceled`. */
  close(): void {
    this.#closing.abort(new ConnectError("the client is closed", Code.Canceled));
  }
}

/** Throws `invalid_field` unless `options` is an object with only known names. */
export function requireKnown(names: OptionNames, options: unknown): void {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw invalidField(`options must be an object, not ${describe(options)}`);
  }
  for (const name in options) {
    if (!Object.hasOwn(names, name)) {
      throw invalidField(`there is no option ${name}, but ${Object.keys(names).join(", ")}`);
    }
  }
}

/** A valid timeout; `undefined` = the default, 0 = none. Throws `invalid_field`. */
export function checkTimeout(timeoutMs: unknown, defaultMs: number): number {
  return timeoutMs === undefined ? defaultMs : wholeNumber("timeoutMs", timeoutMs, Number.MAX_SAFE_INTEGER);
}

/** Also accepts a signal of another realm, such as a test's page. Throws `invalid_field`. */
function checkSignal(signal: AbortSignal | undefined): AbortSignal | undefined {
  if (
    signal !== undefined &&
    typeof (signal as Partial<AbortSignal> | null)?.addEventListener !== "function"
  ) {
    throw invalidField(`signal must be an AbortSignal, not ${describe(signal)}`);
  }
  return signal;
}
