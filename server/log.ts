import { type Logger, pino } from "pino";
import type { Config } from "./config/config.ts";

/** The server's log, on standard output: one JSON object a line, or text for people. */
export function createLog({ level, format }: Config["logging"]): Logger {
  const options = { level, base: { pid: process.pid } };
  return format === "pretty"
    ? pino({ ...options, transport: { target: "pino-pretty", options: { colorize: process.stdout.isTTY } } })
    : pino({
        ...options,
        timestamp: pino.stdTimeFunctions.isoTime,
        formatters: { level: (label) => ({ level: label }) },
      });
}
