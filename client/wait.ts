import { Code, ConnectError } from "@connectrpc/connect";

/** Timers hold 31 bits of milliseconds, 24.8 days, and take anything longer for 1 ms. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

/** Resolves after `ms` milliseconds. Rejects with the signal's reason when it aborts. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      if (signal.aborted) {
        reject(signal.reason);
      } else {
        resolve();
      }
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
  });
}

/**
 * What `promise` comes to within `ms` milliseconds; Infinity = any time. Then rejects with code
 * DeadlineExceeded, and with the signal's reason when it aborts.
 */
export async function within<T>(promise: Promise<T>, ms: number, signal: AbortSignal): Promise<T> {
  const settled = new AbortController();
  const end = () => settled.abort(signal.reason);
  signal.addEventListener("abort", end);
  const late = pause(Math.min(ms, MAX_TIMER_MS), settled.signal).then((): never => {
    throw new ConnectError("the operation timed out", Code.DeadlineExceeded);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    signal.removeEventListener("abort", end);
    late.catch(() => {});
    settled.abort();
  }
}
