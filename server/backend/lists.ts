import type { Values } from "./values.ts";

/*
 * What calls on lists take and answer. The calls are in contract.ts.
 */

/** An end of a list: "left" is its head. */
export type ListEnd = "left" | "right";

/** One value to take off a list. */
export interface ListPop {
  readonly key: string;
  readonly end: ListEnd;
}

/** One value to add to a list. */
export interface ListPush extends ListPop {
  readonly value: Uint8Array;
}

/**
 * A range of a list by places, as LRANGE and LTRIM of Redis take it. 0 is the leftmost value, -1
 * the rightmost. Both ends belong to the range. An end beyond the list counts as the list's own
 * end. A `start` behind `stop` is an empty range.
 */
export interface ListRange {
  readonly key: string;
  readonly start: number;
  readonly stop: number;
}

/** One step of reading a range. */
export interface ListSlice extends ListRange {
  /** Most values wanted, 1 or more. */
  readonly maxEntries: number;
  /** The page ends with the value that brings it to this many bytes or more. */
  readonly maxBytes: number;
}

/** Values of a list at one moment. */
export interface ListPage {
  readonly values: Values;
  /**
   * The rest of the range, counted from the left as the list was at that moment. `undefined` = the
   * page is the last.
   */
  readonly next: Pick<ListRange, "start" | "stop"> | undefined;
}

/** A place in a list: 0 is the leftmost, -1 the rightmost. */
export interface ListPlace {
  readonly key: string;
  readonly index: number;
}

/** One value to put into the place of another. */
export interface ListPut extends ListPlace {
  readonly value: Uint8Array;
}

/** What became of a put. "absent" = there is no list, "outside" = the list has no such place. */
export type ListPutAnswer = "put" | "absent" | "outside";

/** One value to insert beside the leftmost value that equals `pivot`. */
export interface ListInsert {
  readonly key: string;
  readonly side: "before" | "after";
  readonly pivot: Uint8Array;
  readonly value: Uint8Array;
}

/** What became of an insert. */
export interface ListInsertAnswer {
  /** False: no value equals the pivot, and the list stays as it was. */
  readonly inserted: boolean;
  /** The length of the list then; 0 = there is none. */
  readonly length: number;
}

/** Equal values to remove. */
export interface ListRemove {
  readonly key: string;
  readonly value: Uint8Array;
  /** Positive: at most so many, from the left; negative: from the right; 0 = all. */
  readonly count: number;
}

/** One value to take off a list and add to another, or to the same one. */
export interface ListMove extends ListPop {
  /** The list that gets the value. */
  readonly to: string;
  readonly toEnd: ListEnd;
}

/** One value to take off a list, and how long to wait for it. */
export interface ListWait extends ListPop {
  /** The most milliseconds to wait while the list is empty, 1 to MAX_WAIT_MS. */
  readonly waitMs: number;
}
