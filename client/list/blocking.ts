import { ListBlockingInterface } from "../../gen/prism/interfaces/list/list_blocking_pb.ts";
import { CALL_OPTIONS, type CallOptions, type Invoker } from "../call.ts";
import { ownBytes, toInt64, toText } from "../convert.ts";

/** The options of a pop that waits. */
export interface BlockingPopOptions extends CallOptions {
  /**
   * The most milliseconds to wait while the list is empty, up to 5 minutes. Absent or 0: 5 minutes.
   * The client's time limit counts from there.
   */
  readonly waitMs?: number | undefined;
}

const BLOCKING_POP_OPTIONS = { waitMs: true, ...CALL_OPTIONS } satisfies Record<
  keyof BlockingPopOptions,
  true
>;

const { method } = ListBlockingInterface;

const POP_LEFT = { method: method.blockingPopLeft, options: BLOCKING_POP_OPTIONS };
const POP_RIGHT = { method: method.blockingPopRight, options: BLOCKING_POP_OPTIONS };

/** The calls of ListBlockingInterface. */
export function blockingCalls(invoker: Invoker) {
  return {
    /**
     * Takes the value at the head. Waits while the list is empty; the longest waiting comes first.
     * `undefined` = none came in time.
     */
    async blockingPopLeft(
      listKey: string,
      options: BlockingPopOptions = {},
    ): Promise<Uint8Array<ArrayBuffer> | undefined> {
      const { waitMs = 0 } = options;
      const { found, value } = await invoker.unary({ ...POP_LEFT, waitMs }, options, (namespace) =>
        request(namespace, listKey, waitMs),
      );
      return found ? ownBytes(value) : undefined;
    },

    /** The same at the tail. */
    async blockingPopRight(
      listKey: string,
      options: BlockingPopOptions = {},
    ): Promise<Uint8Array<ArrayBuffer> | undefined> {
      const { waitMs = 0 } = options;
      const { found, value } = await invoker.unary({ ...POP_RIGHT, waitMs }, options, (namespace) =>
        request(namespace, listKey, waitMs),
      );
      return found ? ownBytes(value) : undefined;
    },
  };
}

function request(namespace: string, listKey: string, waitMs: number) {
  return { namespace, listKey: toText("listKey", listKey), waitMs: toInt64("waitMs", waitMs) };
}
