import { abortError } from "../errors.ts";
import type { Call } from "./contract.ts";

/** Admits a bounded number at a time; the others wait in order. */
export interface Lane {
  /** How many wait. */
  readonly waiting: number;
  /**
   * Resolves when there is room; `undefined` = at once. Rejects with the abort's error if `call`
   * aborts first.
   */
  enter(call: Call | undefined): Promise<void> | undefined;
  /** Everyone who entered calls this once. */
  leave(): void;
}

/** `max`: 1 or more. */
export function createLane(max: number): Lane {
  let inside = 0;
  const waiting = new Set<() => void>();

  return {
    get waiting() {
      return waiting.size;
    },
    enter(call) {
      if (inside < max) {
        inside++;
        return undefined;
      }
      const wait = call?.trace?.times?.queue();
      return new Promise((resolve, reject) => {
        const signal = call?.signal;
        if (signal?.aborted === true) {
          reject(abortError(signal));
          return;
        }
        const comeIn = () => {
          signal?.removeEventListener("abort", goAway);
          wait?.end();
          resolve();
        };
        const goAway = () => {
          waiting.delete(comeIn);
          wait?.end();
          if (signal !== undefined) {
            reject(abortError(signal));
          }
        };
        waiting.add(comeIn);
        signal?.addEventListener("abort", goAway, { once: true });
      });
    },
    leave() {
      const [next] = waiting;
      if (next === undefined) {
        inside--;
      } else {
        // The next one takes over the place of the one that leaves.
        waiting.delete(next);
        next();
      }
    },
  };
}

/** Runs `work` when the lane has room. */
export async function within<T>(lane: Lane, call: Call | undefined, work: () => Promise<T>): Promise<T> {
  const entered = lane.enter(call);
  if (entered !== undefined) {
    await entered;
  }
  try {
    return await work();
  } finally {
    lane.leave();
  }
}
