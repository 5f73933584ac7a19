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

/** A whole number of 64 bits with a sign. `what` names it. Throws {@link CommandError}. */
export function toInteger(what: string, text: string): bigint {
  if (!/^[-+]?\d{1,19}$/.test(text)) {
    throw new CommandError(EXIT.misused, `${what}: expected a whole number, found "${text}"`);
  }
  return BigInt(text.replace("+", ""));
}
