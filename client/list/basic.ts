import { ListBasicInterface } from "../../gen/prism/interfaces/list/list_basic_pb.ts";
import { CALL_OPTIONS, type CallOptions, type Invoker } from "../call.ts";
import { fromInt64, ownBytes, toBytes, toText, type Value } from "../convert.ts";

const { method } = ListBasicInterface;

const PUSH_LEFT = { method: method.pushLeft, options: CALL_OPTIONS };
const PUSH_RIGHT = { method: method.pushRight, options: CALL_OPTIONS };
const POP_LEFT = { method: method.popLeft, options: CALL_OPTIONS };
const POP_RIGHT = { method: method.popRight, options: CALL_OPTIONS };
const LENGTH = { method: method.length, options: CALL_OPTIONS };

/** The calls of ListBasicInterface. */
export function basicCalls(invoker: Invoker) {
  return {
    /** Adds a value at the head. Answers the new length. Text is stored as UTF-8. */
    async pushLeft(listKey: string, value: Value, options: CallOptions = {}): Promise<number> {
      const { newLength } = await invoker.unary(PUSH_LEFT, options, (namespace) => ({
        namespace,
        listKey: toText("listKey", listKey),
        value: toBytes("value", value),
      }));
      return fromInt64("new_length", newLength);
    },

    /** Adds a value at the tail. Answers the new length. Text is stored as UTF-8. */
    async pushRight(listKey: string, value: Value, options: CallOptions = {}): Promise<number> {
      const { newLength } = await invoker.unary(PUSH_RIGHT, options, (namespace) => ({
        namespace,
        listKey: toText("listKey", listKey),
        value: toBytes("value", value),
      }));
      return fromInt64("new_length", newLength);
    },

    /** Takes the value at the head; `undefined` = the list is empty or absent. */
    async popLeft(listKey: string, options: CallOptions = {}): Promise<Uint8Array<ArrayBuffer> | undefined> {
      const { found, value } = await invoker.unary(POP_LEFT, options, (namespace) => ({
        namespace,
        listKey: toText("listKey", listKey),
      }));
      return found ? ownBytes(value) : undefined;
    },

    /** Takes the value at the tail; `undefined` = the list is empty or absent. */
    async popRight(listKey: string, options: CallOptions = {}): Promise<Uint8Array<ArrayBuffer> | undefined> {
      const { found, value } = await invoker.unary(POP_RIGHT, options, (namespace) => ({
        namespace,
        listKey: toText("listKey", listKey),
      }));
      return found ? ownBytes(value) : undefined;
    },

    /** The number of values in a list; 0 = the list is absent. */
    async length(listKey: string, options: CallOptions = {}): Promise<number> {
      const { length } = await invoker.unary(LENGTH, options, (namespace) => ({
        namespace,
        listKey: toText("listKey", listKey),
      }));
      return fromInt64("length", length);
    },
  };
}
