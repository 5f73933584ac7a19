import type {
  DescMessage,
  DescMethodServerStreaming,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import { createAsyncIterable } from "@connectrpc/connect/protocol";
import type { GrpcTransport } from "../../../client/transport/transport.ts";
import { PrismError } from "../../errors.ts";
import type { Call } from "../contract.ts";
import { INTERFACE_NAMES } from "../operations.ts";
import { toPrismError } from "./errors.ts";
import { INTERFACE_OF } from "./interfaces.ts";

/** The most calls that wait for the plugin; further calls fail as `overloaded`. */
const MAX_CALLS = 16_384;

/**
 * The transport for the calls. It must accept signals that are only {@link AbortEvents}, unless
 * every call has a real signal.
 */
export type PluginTransport = Pick<GrpcTransport, "unary" | "stream">;

/** Makes one call to a plugin. Throws PrismError. */
export type Ask = <I extends DescMessage, O extends DescMessage>(
  method: DescMethodUnary<I, O>,
  input: MessageInitShape<I> & { readonly namespace: string },
) => Promise<MessageShape<O>>;

/** Makes calls to a plugin, and knows which interfaces it lacks. */
export class Plugin {
  /**
   * The full names of the services that the plugin lacks, whose calls are refused. `undefined` = it
   * has not told.
   */
  lacks: ReadonlySet<string> | undefined = undefined;
  readonly #transport: PluginTransport;
  readonly #type: string;
  readonly #namespace: string | undefined;
  #calls = 0;

  /**
   * `type`: the room's name, for messages. `namespace`: the plugin's name for every namespace;
   * `undefined` = it uses the same names.
   */
  constructor(
    transport: PluginTransport,
    { type, namespace }: { readonly type: string; readonly namespace?: string | undefined },
  ) {
    this.#transport = transport;
    this.#type = type;
    this.#namespace = namespace;
  }

  /** Makes a unary call within the call's deadline. Throws PrismError. */
  async ask<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    input: MessageInitShape<I> & { readonly namespace: string },
    call: Call,
    write: boolean,
  ): Promise<MessageShape<O>> {
    this.#admit(method.parent.typeName, input.namespace);
    this.#calls++;
    try {
      const request = this.#named(input);
      const { message } = await this.#transport.unary(
        method,
        call.events ?? call.signal,
        timeLeftMs(call),
        headersOf(call),
        request,
      );
      return message;
    } catch (error) {
      throw toPrismError(error, { call, write });
    } finally {
      this.#calls--;
    }
  }

  /**
   * Starts a stream of answers that ends when `signal` aborts. Throws PrismError here; the stream
   * itself throws the transport's errors.
   */
  async stream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    input: MessageInitShape<I> & { readonly namespace: string },
    call: Call,
    signal: AbortSignal,
  ): Promise<AsyncIterator<MessageShape<O>>> {
    this.#admit(method.parent.typeName, input.namespace);
    const once = createAsyncIterable([this.#named(input)]);
    try {
      const headers = headersOf(call);
      const { message } = await this.#transport.stream(method, signal, timeLeftMs(call), headers, once);
      return message[Symbol.asyncIterator]();
    } catch (error) {
      throw toPrismError(error, { call, write: false });
    }
  }

  #named<T extends { readonly namespace: string }>(input: T): T {
    return this.#namespace === undefined ? input : { ...input, namespace: this.#namespace };
  }

  #admit(service: string, namespace: string): void {
    if (this.lacks?.has(service) === true) {
      const of = INTERFACE_OF.get(service);
      const what = of === undefined ? service : INTERFACE_NAMES[of];
      throw new PrismError(
        "interface_unsupported",
        `namespace "${namespace}" is on a ${this.#type} backend, whose plugin has no ${what}`,
      );
    }
    if (this.#calls >= MAX_CALLS) {
      throw new PrismError("overloaded", "too many calls wait for the plugin");
    }
  }
}

/** The trace that the call is a part of, for the plugin. `undefined` = none. */
function headersOf({ trace }: Call): Record<string, string> | undefined {
  const traceparent = trace?.traceparent;
  if (traceparent === undefined) {
    return undefined;
  }
  const tracestate = trace?.tracestate;
  return { traceparent, ...(tracestate !== undefined && { tracestate }) };
}

/** The rest of the call's time, at least a millisecond, because 0 would mean no limit. */
function timeLeftMs({ deadlineMs }: Call): number | undefined {
  return deadlineMs === undefined ? undefined : Math.max(1, Math.ceil(deadlineMs - performance.now()));
}
