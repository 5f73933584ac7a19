import { InsertSide } from "../../gen/prism/interfaces/list/list_indexing_pb.ts";
import { ListEnd as WireEnd } from "../../gen/prism/interfaces/list/list_move_pb.ts";
import type { ListEnd, ListInsert, ListRange } from "../backend/lists.ts";
import { PrismError } from "../errors.ts";
import { MAX_WAIT_MS } from "../limits.ts";

/** Checks of what requests say of places in lists, as those in `check.ts`. */

const ENDS: ReadonlyMap<WireEnd, ListEnd> = new Map([
  [WireEnd.LEFT, "left"],
  [WireEnd.RIGHT, "right"],
]);

const SIDES: ReadonlyMap<InsertSide, ListInsert["side"]> = new Map([
  [InsertSide.BEFORE, "before"],
  [InsertSide.AFTER, "after"],
]);

/** An end of a list, which has to be given. */
export function checkEnd(field: "source_end" | "destination_end", end: WireEnd): ListEnd {
  return ENDS.get(end) ?? refuse(field, `${field} must be LIST_END_LEFT or LIST_END_RIGHT`);
}

/** The side of a pivot, which has to be given. */
export function checkSide(side: InsertSide): ListInsert["side"] {
  return SIDES.get(side) ?? refuse("side", "side must be INSERT_SIDE_BEFORE or INSERT_SIDE_AFTER");
}

/** The longest wait for a value; 0 = as long as a call may wait. Answers milliseconds. */
export function checkWaitMs(waitMs: bigint): number {
  if (waitMs < 0n || waitMs > MAX_WAIT_MS) {
    refuse("wait_ms", `wait_ms must be 0 (as long as it may) to ${MAX_WAIT_MS}`);
  }
  return waitMs === 0n ? MAX_WAIT_MS : Number(waitMs);
}

/** A range of a list. Without a stop it goes to the end. */
export function toRange(request: {
  readonly listKey: string;
  readonly start: bigint;
  readonly stop?: bigint | undefined;
}): ListRange {
  return { key: request.listKey, start: toPlace(request.start), stop: toPlace(request.stop ?? -1n) };
}

/** An index or a count. One that is too large for a number is beyond every list all the same. */
export function toPlace(index: bigint): number {
  return Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, Number(index)));
}

function refuse(field: string, message: string): never {
  throw new PrismError("invalid_field", message, { field });
}
