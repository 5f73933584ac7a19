import type { ScanRange } from "../contract.ts";
import { type KeyRange, keyRange } from "../key-range.ts";

/** The range of a shard's index members ("namespace:key") that a scan reads. */
export function rangeOf(namespace: string, range: ScanRange, after?: string): KeyRange {
  const member = (key: string | undefined) => (key === undefined ? undefined : `${namespace}:${key}`);
  const { prefix, start, end } = range;
  const members = { ...range, prefix: `${namespace}:${prefix}`, start: member(start), end: member(end) };
  return keyRange(members, member(after));
}

/** Whether a member of the index is in the range. */
export function isWithin(member: Uint8Array, { from, below }: KeyRange): boolean {
  return Buffer.compare(member, from) >= 0 && Buffer.compare(member, below) < 0;
}

/**
 * The ends of a range in the form of ZRANGEBYLEX and ZLEXCOUNT: "[" includes the end, "(" excludes
 * it.
 */
export function endsOf(range: KeyRange): { readonly from: Buffer; readonly below: Buffer } {
  return { from: Buffer.concat([INCLUDED, range.from]), below: Buffer.concat([EXCLUDED, range.below]) };
}

const INCLUDED = Buffer.from("[");
const EXCLUDED = Buffer.from("(");
