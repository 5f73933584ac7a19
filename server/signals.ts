import { constants } from "node:os";

/**
 * A supervisor may signal both the process and its group, so the second signal within this time is
 * an echo.
 */
const ECHO_MS = 200;

/**
 * Resolves with the first SIGTERM or SIGINT. The second one ends the process at once with 128 + its
 * number, as shells expect.
 */
export function firstSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let first: { readonly signal: NodeJS.Signals; readonly atMs: number } | undefined;
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      process.on(signal, () => {
        if (first === undefined) {
          first = { signal, atMs: performance.now() };
          resolve(signal);
        } else if (signal !== first.signal || performance.now() - first.atMs > ECHO_MS) {
          process.exit(128 + constants.signals[signal]);
        }
      });
    }
  });
}
