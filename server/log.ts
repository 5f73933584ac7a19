import { type Logger, pino } from "pino";
import type { Config } from "./config/config.ts";
import { createLogOutput } from "./log-output.ts";

/**
 * What the log has as an escape, because a terminal obeys it, or shows what follows in another order or on another line: controls,
 * C1 and DEL included, separators of lines and paragraphs, and the controls of direction (Unicode 16, chapter 23). In JSON those of C0
 * are escapes already, and "\n" is the end of a line.
 */
const UNSAFE = /[[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]--[\n\t]]/gv;

/** How the log is written where nothing says so: for people, on a terminal. */
export function formatOf(format: Config["logging"]["format"], isTerminal: boolean): "json" | "pretty" {
  return format === "auto" ? (isTerminal ? "pretty" : "json") : format;
}

/**
 * The server's log, on standard output: one JSON object a line, or text for people. Nobody waits for whoever reads it: see
 * {@link createLogOutput}.
 */
export async function createLog({ level, format }: Config["logging"]): Promise<Logger> {
  const { stdout } = process;
  const shape = formatOf(format, stdout.isTTY) === "json" ? escaped : await createPrettyShape(stdout.isTTY);
  const output = createLogOutput(stdout, shape, (lost) => log.warn({ lost }, "log lines were lost"));
  const log = pino(
    {
      level,
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    output,
  );
  return log;
}

/** A text with escapes for what is not safe to show; a line of JSON, where that can be in strings only, still means the same. */
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
