import { z } from "zod";
import { NAMESPACE_PATTERN } from "../limits.ts";

/** The longest time that a setting can give. */
export const DAY_MS = 24 * 60 * 60 * 1000;

/** The greatest number of things that a setting can give. */
export const MAX_COUNT = Number.MAX_SAFE_INTEGER;

/** The name of a file. */
export const fileNameSchema = z.string().min(1);

/** A name of a namespace or a store. */
export const nameSchema = z.string().regex(NAMESPACE_PATTERN, {
  error:
    'expected a name of 1 to 63 characters: a lower-case letter, then lower-case letters, digits, "-", "_" or "."',
});

/** A whole number within its bounds. */
export function whole(minimum: number, maximum: number) {
  // The bounds come first: only the first issue of a setting is reported.
  return z.number().min(minimum).max(maximum).int();
}
