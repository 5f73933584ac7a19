import { ListMoveInterface, ListEnd as WireListEnd } from "../../gen/prism/interfaces/list/list_move_pb.ts";
import { CALL_OPTIONS, type CallOptions, type Invoker } from "../call.ts";
import { describe, ownBytes, toText } from "../convert.ts";
import { invalidField } from "../errors.ts";

/** The head or the tail of a list. */
export type ListEnd = "left" | "right";

const MOVE = { method: ListMoveInterface.method.move, options: CALL_OPTIONS };

/** The calls of ListMoveInterface. */
export function moveCalls(invoker: Invoker) {
  return {
    /**
     * Takes the value at an end of one list and adds it at an end of another, or of the same list,
     * at one moment. Answers the value; `undefined` = the source is empty or absent. Throws reason
     * `not_atomic` if the store cannot change the two lists together.
     *
     * ```ts
     * const job = await client.list.move("queue", "left", "working", "right");
     * ```
     */
    async move(
      sourceKey: string,
      sourceEnd: ListEnd,
      destinationKey: string,
      destinationEnd: ListEnd,
      options: CallOptions = {},
    ): Promise<Uint8Array<ArrayBuffer> | undefined> {
      const { found, value } = await invoker.unary(MOVE, options, (namespace) => ({
        namespace,
        sourceKey: toText("sourceKey", sourceKey),
        sourceEnd: toListEnd("sourceEnd", sourceEnd),
        destinationKey: toText("destinationKey", destinationKey),
        destinationEnd: toListEnd("destinationEnd", destinationEnd),
      }));
      return found ? ownBytes(value) : undefined;
    },
  };
}

function toListEnd(name: string, end: ListEnd): WireListEnd {
  switch (end) {
    case "left":
      return WireListEnd.LEFT;
    case "right":
      return WireListEnd.RIGHT;
    default:
      throw invalidField(`${name} must be "left" or "right", not ${describe(end)}`);
  }
}
