import type { Client } from "@connectrpc/connect";
import { ListBasicInterface } from "../gen/prism/interfaces/list/list_basic_pb.ts";
import { CALL_OPTIONS, type CallOptions, type Invoker } from "./call.ts";
import { fromInt64, ownBytes, toBytes, toText, type Value } from "./convert.ts";

const lists = ListBasicInterface.method;

const PUSH_LEFT = { method: lists.pushLeft, options: CALL_OPTIONS };
const PUSH_RIGHT = { method: lists.pushRight, options: CALL_OPTIONS };
const POP_LEFT = { method: lists.popLeft, options: CALL_OPTIONS };
const POP_RIGHT = { method: lists.popRight, options: CALL_OPTIONS };
const LENGTH = { method: lists.length, options: CALL_OPTIONS };

/**
 * Lists: double-ended queues of values. A list exists while it holds a value. Keys are 1 to 1,024
 * bytes of UTF-8. Every call fails with a `PrismError`; a push or pop that fails with
 * `deadline_exceeded`, `canceled`, `outcome_unknown` or a lost connection may have taken effect.
 *
 * ```ts
 * await client.list.pushRight("queue", "job-1");
 * const job = await client.list.popLeft("queue"); // first in, first out
 * ```
 */
export class ListApi {
  readonly #invoker: Invoker;
  readonly #lists: Client<typeof ListBasicInterface>;

  constructor(invoker: Invoker) {
    this.#invoker = invoker;
    this.#lists = invoker.service(ListBasicInterface);
  }

  /** Adds a value at the head. Answers the new length. Text is stored as UTF-8. */
  async pushLeft(listKey: string, value: Value, options: CallOptions = {}): Promise<number> {
    const response = await this.#invoker.unary(PUSH_LEFT, options, (namespace, call) =>
      this.#lists.pushLeft({ ...list(namespace, listKey), value: toBytes(value) }, call),
    );
    return fromInt64("new_length", response.newLength);
  }

  /** Adds a value at the tail. Answers the new length. Text is stored as UTF-8. */
  async pushRight(listKey: string, value: Value, options: CallOptions = {}): Promise<number> {
    const response = await this.#invoker.unary(PUSH_RIGHT, options, (namespace, call) =>
      this.#lists.pushRight({ ...list(namespace, listKey), value: toBytes(value) }, call),
    );
    return fromInt64("new_length", response.newLength);
  }

  /** Takes the value at the head; `undefined` = the list is empty or absent. */
  async popLeft(listKey: string, options: CallOptions = {}): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const response = await this.#invoker.unary(POP_LEFT, options, (namespace, call) =>
      this.#lists.popLeft(list(namespace, listKey), call),
    );
    return response.found ? ownBytes(response.value) : undefined;
  }

  /** Takes the value at the tail; `undefined` = the list is empty or absent. */
  async popRight(listKey: string, options: CallOptions = {}): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const response = await this.#invoker.unary(POP_RIGHT, options, (namespace, call) =>
      this.#lists.popRight(list(namespace, listKey), call),
    );
    return response.found ? ownBytes(response.value) : undefined;
  }

  /** The number of values in a list; 0 = the list is absent. */
  async length(listKey: string, options: CallOptions = {}): Promise<number> {
    const response = await this.#invoker.unary(LENGTH, options, (namespace, call) =>
      this.#lists.length(list(namespace, listKey), call),
    );
    return fromInt64("length", response.length);
  }
}

function list(namespace: string, listKey: string) {
  return { namespace, listKey: toText("listKey", listKey) };
}
