import type { Options } from "../cli.ts";
import { CommandError, EXIT } from "./exit-codes.ts";

/**
 * The text of an option, or else of a variable. `undefined` = neither is given; an empty variable
 * counts as absent.
 */
export function textOption(options: Options, name: string, env?: string): string | undefined {
  const value = options[name];
  return typeof value === "string" ? value : (env && process.env[env]) || undefined;
}

/** The whole number of an option; `undefined` = it is not given. Throws {@link CommandError}. */
export function numberOption(options: Options, name: string): number | undefined {
  const text = textOption(options, name);
  if (text === undefined) {
    return undefined;
  }
  const number = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(number)) {
    throw new CommandError(EXIT.misused, `option --${name}: expected a whole number, 0 or more`);
  }
  return number;
}

/** The values of an option that may be given several times. */
export function textOptions(options: Options, name: string): readonly string[] {
  const values = options[name];
  return typeof values === "object" ? values : [];
}

/** A day, or a time of a day with or without a zone. */
const TIME = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[-+]\d{2}:\d{2})?)?$/;

/**
 * The time of an option, in milliseconds since 1970; `undefined` = it is not given. Without a zone
 * it is UTC. Throws {@link CommandError}.
 */
export function timeOption(options: Options, name: string): number | undefined {
  const text = textOption(options, name);
  if (text === undefined || /^\d+$/.test(text)) {
    return numberOption(options, name);
  }
  const [, timeOfDay, , , zone] = TIME.exec(text) ?? [];
  const timeMs = TIME.test(text) ? Date.parse(timeOfDay && !zone ? `${text}Z` : text) : Number.NaN;
  // `Date.parse` takes the 30th of February for the 2nd of March.
  if (Number.isNaN(timeMs) || !isDay(text.slice(0, DAY_LENGTH))) {
    throw new CommandError(
      EXIT.misused,
      `option --${name}: expected a time as 2026-01-31T12:00:00Z, or milliseconds since 1970`,
    );
  }
  return timeMs;
}

const DAY_LENGTH = "2026-01-31".length;

/** Whether there is such a day. */
function isDay(day: string): boolean {
  const ms = Date.parse(day);
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(day);
}

const UNITS_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/**
 * The length of time of an option, in milliseconds; `undefined` = it is not given. Throws
 * {@link CommandError}.
 */
export function durationOption(options: Options, name: string): number | undefined {
  const text = textOption(options, name);
  if (text === undefined) {
    return undefined;
  }
  const [, digits, unit] = /^(\d+)(ms|s|m|h|d)$/.exec(text) ?? [];
  const durationMs = Number(digits) * UNITS_MS[unit as keyof typeof UNITS_MS];
  if (!Number.isSafeInteger(durationMs)) {
    throw new CommandError(
      EXIT.misused,
      `option --${name}: expected a number with ms, s, m, h or d behind it, as 5m`,
    );
  }
  return durationMs;
}

/** A whole number of 64 bits with a sign. `what` names it. Throws {@link CommandError}. */
export function toInteger(what: string, text: string): bigint {
  if (!/^[-+]?\d{1,19}$/.test(text)) {
    throw new CommandError(EXIT.misused, `${what}: expected a whole number, found "${text}"`);
  }
  return BigInt(text.replace("+", ""));
}
