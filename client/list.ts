import type { Client } from "@connectrpc/connect";
import { ListBasicInterface } from "../gen/prism/interfaces/list/list_basic_pb.ts";
import { CALL_OPTIONS, type Caller, type CallOptions } from "./call.ts";
import { fromInt64, ownBytes, toBytes, toText, type Value } from "./convert.ts";

/** Twice is not once: these are never sent again without knowing that they were not run. */
const ONCE = { idempotent: false, options: CALL_OPTIONS };
const IDEMPOTENT = { idempotent: true, options: CALL_OPTIONS };

/**
 * Lists: double-ended queues of values. A list exists while it holds a value. Keys are 1 to 1,024 bytes of
 * UTF-8. Every call fails with a `PrismError`; a push or pop that fails with `deadline_exceeded`, `canceled`,
 * `outcome_unknown` or a lost connection may have taken effect.
 *
 * ```ts
 * await client.list.pushRight("queue", "job-1");
 * const job = await client.list.popLeft("queue"); // first in, first out
 * ```
 */
export class ListApi {
  readonly #caller: Caller;
  readonly #lists: Client<typeof ListBasicInterface>;

  constructor(caller: Caller) {
    this.#caller = caller;
    this.#lists = caller.service(ListBasicInterface);
  }

  /** Adds a value at the head. Answers the new length. Text is stored as UTF-8. */
  async pushLeft(listKey: string, value: Value, options: CallOptions = {}): Promise<number> {
    const response = await this.#caller.unary(ONCE, options, (namespace, call) =>
      this.#lists.pushLeft({ ...list(namespace, listKey), value: toBytes(value) }, call),
    );
    return fromInt64("new_length", response.newLength);
  }

  /** Adds a value at the tail. Answers the new length. Text is stored as UTF-8. */
  async pushRight(listKey: string, value: Value, options: CallOptions = {}): Promise<number> {
    const response = await this.#caller.unary(ONCE, options, (namespace, call) =>
      this.#lists.pushRight({ ...list(namespace, listKey), value: toBytes(value) }, call),
    );
    return fromInt64("new_length", response.newLength);
  }

  /** Takes the value at the head; `undefined` where the list is empty or absent. */
  async popLeft(listKey: string, options: CallOptions = {}): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const response = await this.#caller.unary(ONCE, options, (namespace, call) =>
      this.#lists.popLeft(list(namespace, listKey), call),
    );
    return response.found ? ownBytes(response.value) : undefined;
  }

  /** Takes the value at the tail; `undefined` where the list is empty or absent. */
  async popRight(listKey: string, options: CallOptions = {}): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const response = await this.#caller.unary(ONCE, options, (namespace, call) =>
      this.#lists.popRight(list(namespace, listKey), call),
    );
    return response.found ? ownBytes(response.value) : undefined;
  }

  /** How many values a list holds; 0 where it is absent. */
  async length(listKey: string, options: CallOptions = {}): Promise<number> {
    const response = await this.#caller.unary(IDEMPOTENT, options, (namespace, call) =>
      this.#lists.length(list(namespace, listKey), call),
    );
    return fromInt64("length", response.length);
  }
}

function list(namespace: string, listKey: string) {
  return { namespace, listKey: toText("listKey", listKey) };
}
