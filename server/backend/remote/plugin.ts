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
import { toPrismError } from "./errors.ts";
import { INTERFACE_NAMES } from "./interfaces.ts";

/** Calls that wait for the plugin at the same time; further ones fail as `overloaded`. */
const MAX_CALLS = 16_384;

/** What calls are made with. Any transport will do where every call has a whole signal only. */
export type PluginTransport = Pick<GrpcTransport, "unary" | "stream">;

/** Makes calls to a plugin, and knows what it lacks. */
export class Plugin {
  /** The services, by their full names, that calls are refused for. */
  lacks: ReadonlySet<string> = new Set();
  readonly #transport: PluginTransport;
  readonly #type: string;
  readonly #namespace: string | undefined;
  #calls = 0;

  /** `type` is the room's, for messages; `namespace` the plugin's name for every namespace, `undefined` = it has the same names. */
  constructor(
    transport: PluginTransport,
    { type, namespace }: { readonly type: string; readonly namespace?: string | undefined },
  ) {
    this.#transport = transport;
    this.#type = type;
    this.#namespace = namespace;
  }

  /** Asks for one answer, within the call's deadline. Throws PrismError. */
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
        undefined,
        request,
      );
      return message;
    } catch (error) {
      throw toPrismError(error, { call, write });
    } finally {
      this.#calls--;
    }
  }

  /** Asks for a stream of answers, until `signal` is aborted. Throws PrismError here; the stream throws what the transport does. */
  async stream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    input: MessageInitShape<I> & { readonly namespace: string },
    call: Call,
    signal: AbortSignal,
  ): Promise<AsyncIterator<MessageShape<O>>> {
    this.#admit(method.parent.typeName, input.namespace);
    const once = createAsyncIterable([this.#named(input)]);
    try {
      const { message } = await this.#transport.stream(method, signal, timeLeftMs(call), undefined, once);
      return message[Symbol.asyncIterator]();
    } catch (error) {
      throw toPrismError(error, { call, write: false });
    }
  }

  #named<T extends { readonly namespace: string }>(input: T): T {
    return this.#namespace === undefined ? input : { ...input, namespace: this.#namespace };
  }

  #admit(service: string, namespace: string): void {
    if (this.lacks.has(service)) {
      const what = INTERFACE_NAMES.get(service) ?? service;
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

/** What is left of the call's time, at least a millisecond: 0 would be no bound at all. */
function timeLeftMs({ deadlineMs }: Call): number | undefined {
  return deadlineMs === undefined ? undefined : Math.max(1, Math.ceil(deadlineMs - performance.now()));
}
