import type { Writable } from "node:stream";

/** The most characters of lines that wait for the log's reader. Further lines are lost. */
const MAX_WAITING = 1024 * 1024;

/** How long the process waits at its end for the last lines to be read. */
const LAST_LINES_MS = 500;

/** The destination for pino. */
export interface LogOutput {
  write(line: string): void;
}

/**
 * Writes lines to standard output without making anybody wait. On a full pipe some lines wait and
 * further ones are lost; `tell` gets their number once there is room again. (pino's own destination
 * blocks in the kernel, and the whole server with it.)
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
  // Each failed line reports it already.
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

/** Call it last: unread lines do not hold up the end of the process. */
export function endLogOutput({ stdout } = process): void {
  if (stdout.writableLength > 0) {
    setTimeout(() => process.exit(), LAST_LINES_MS).unref();
  }
}
