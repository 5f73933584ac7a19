import { type Logger, pino } from "pino";
import type { Config } from "./config/config.ts";
import { createLogOutput } from "./log-output.ts";

/**
 * Characters that the log escapes, because a terminal obeys them, or shows what follows in another
 * order or on another line: controls with C1 and DEL, line and paragraph separators, and direction
 * controls (Unicode 16, chapter 23). JSON already escapes those of C0, and "\n" ends a line.
 */
const UNSAFE = /[[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]--[\n\t]]/gv;

/** What all lines of JSON have: the time, and the level by its name. */
export const LINE_FORMAT = {
  timestamp: pino.stdTimeFunctions.isoTime,
  formatters: { level: (label: string) => ({ level: label }) },
};

/** The default format: for people, on a terminal. */
export function formatOf(format: Config["logging"]["format"], isTerminal: boolean): "json" | "pretty" {
  return format === "auto" ? (isTerminal ? "pretty" : "json") : format;
}

/**
 * The server's log on standard output: one JSON object a line, or text for people. Nobody waits for
 * its reader: see {@link createLogOutput}.
 */
export async function createLog({ level, format }: Config["logging"]): Promise<Logger> {
  const { stdout } = process;
  const shape = formatOf(format, stdout.isTTY) === "json" ? escaped : await createPrettyShape(stdout.isTTY);
  const output = createLogOutput(stdout, shape, (lost) => log.warn({ lost }, "log lines were lost"));
  const log = pino({ ...LINE_FORMAT, level, base: { pid: process.pid } }, output);
  return log;
}

/**
 * The text with unsafe characters escaped. A line of JSON keeps its meaning, because such
 * characters can only be in strings.
 */
export function escaped(text: string): string {
  return text.replace(UNSAFE, escapeOf);
}

/** The line for people. */
export async function createPrettyShape(colorize: boolean): Promise<(line: string) => string> {
  const { prettyFactory } = await import("pino-pretty");
  const pretty = prettyFactory({ colorize });
  const safe = (_: string, value: unknown) => (typeof value === "string" ? escaped(value) : value);
  return (line) => pretty(JSON.parse(line, safe));
}

function escapeOf(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
