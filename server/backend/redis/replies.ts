/** Converts Redis's replies to the expected types. All throw Error for anything else. */
import { type Answers, type Refusal, refusalOf } from "../contract.ts";
import { toPrismError } from "./errors.ts";

/** A whole number. */
export function asNumber(item: unknown): number {
  return typeof item === "number" ? item : fail(item);
}

/** A list of whole numbers. */
export function asNumbers(reply: unknown): number[] {
  return asArray(reply).map(asNumber);
}

/** A list of byte strings; `undefined` for each that is missing. */
export function asValues(reply: unknown): (Buffer | undefined)[] {
  return asArray(reply).map(asValue);
}

/** The same, with whole numbers among them. */
export function asValuesOrSizes(reply: unknown): (Buffer | number | undefined)[] {
  return asArray(reply).map((item) => (typeof item === "number" ? item : asValue(item)));
}

/** A list of byte strings that are text. */
export function asTexts(reply: unknown): string[] {
  return asArray(reply).map(asText);
}

/** A byte string that is text. */
export function asText(item: unknown): string {
  return Buffer.isBuffer(item) ? item.toString() : fail(item);
}

/** The answer to one item of a script; an error there means that the item is refused. */
export function asAnswer<Answer>(item: unknown, as: (item: unknown) => Answer): Answer | Refusal {
  return item instanceof Error ? (refusalOf(toPrismError(item, "once", true)) ?? as(item)) : as(item);
}

/** A script's answers, one for each item. */
export function asAnswers<Answer>(
  reply: unknown,
  as: (item: unknown, index: number) => Answer,
): Answers<Answer> {
  return asArray(reply).map((each, i) => asAnswer(each, (item) => as(item, i)));
}

/** A byte string; `undefined` = none. */
export function asValue(item: unknown): Buffer | undefined {
  if (item === null) {
    return undefined;
  }
  return Buffer.isBuffer(item) ? item : fail(item);
}

/** A list. */
export function asArray(reply: unknown): readonly unknown[] {
  return Array.isArray(reply) ? reply : fail(reply);
}

function fail(reply: unknown): never {
  throw new Error(`Redis answered ${Array.isArray(reply) ? "a list" : typeof reply} where it should not`);
}
