import type { Writable } from "node:stream";

/** Lines that wait for whoever reads the log, in characters. What comes while more wait is lost. */
const MAX_WAITING = 1024 * 1024;

/** How long the end of the process waits for the last lines to be read. */
const LAST_LINES_MS = 500;

/** Where pino writes to. */
export interface LogOutput {
  write(line: string): void;
}

/**
 * Lines on standard output, in their shape, for which nobody waits: on a pipe that is full some wait to be written, and further
 * ones are lost. `tell` gets their number once there is room again. (pino's own destination waits in the kernel, and so does
 * everybody else then.)
 */
export function createLogOutput(
  stdout: Writable,
  shape: (line: string) => string,
  tell: (lost: number) => void,
): LogOutput {
  let lost = 0;
  const written = (error: Error | null | undefined) => {
    if (error) {
      // The reader is gone, or the disk is full.
      lost++;
    } else if (lost > 0 && stdout.writableLength < MAX_WAITING / 2) {
      const told = lost;
      lost = 0;
      tell(told);
    }
  };
  // As each line of it is told.
  stdout.on("error", () => {});
  return {
    write(line) {
      if (stdout.writableLength < MAX_WAITING) {
        stdout.write(shape(line), written);
      } else {
        lost++;
      }
    },
  };
}

/** To be called when all is done: lines that nobody reads do not hold up the end of the process. */
export function endLogOutput({ stdout } = process): void {
  if (stdout.writableLength > 0) {
    setTimeout(() => process.exit(), LAST_LINES_MS).unref();
  }
}
