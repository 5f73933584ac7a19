/** So much outside of its heap makes V8 look which of it is still used. */
const NOTICED_BYTES = 64 * 1024 * 1024;

/** Where it is in the middle of that already, what was let go since is found the next time. */
const TIMES = 3;
const EVERY_MS = 1000;

/**
 * Has V8 look for buffers that are not used any more, beside other work and in small steps. By itself it does so only when more
 * are made: a server with little to do would keep those of its busiest minute. The memory that is asked for is never
 * touched, so that no page of it is ever there.
 */
export function collectGarbageSoon(times = TIMES): void {
  try {
    void new ArrayBuffer(NOTICED_BYTES);
  } catch {
    // There is no address for so much: V8 has looked by then.
  }
  if (times > 1) {
    setTimeout(collectGarbageSoon, EVERY_MS, times - 1).unref();
  }
}
