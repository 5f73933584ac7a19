import type { ListRange } from "./lists.ts";

/** Places of a list, from `first` (included) to `end` (excluded), counted from the left. */
export interface Places {
  readonly first: number;
  /** `first` or more. */
  readonly end: number;
}

/** The places of a list that a range covers. See {@link ListRange}. */
export function placesOf({ start, stop }: Pick<ListRange, "start" | "stop">, length: number): Places {
  const first = Math.max(0, start < 0 ? length + start : start);
  const end = Math.min(length, (stop < 0 ? length + stop : stop) + 1);
  return first < end ? { first, end } : { first: 0, end: 0 };
}

/** The place of an index, counted from the left. `undefined` = the list has no such place. */
export function placeOf(index: number, length: number): number | undefined {
  const place = index < 0 ? length + index : index;
  return place >= 0 && place < length ? place : undefined;
}

/**
 * The rest of a range after `taken` values. `undefined` = they were all. See {@link ListPage}.
 */
export function restOf({ first, end }: Places, taken: number): Pick<ListRange, "start" | "stop"> | undefined {
  return first + taken < end ? { start: first + taken, stop: end - 1 } : undefined;
}
