/** An allocation this large outside its heap makes V8 check which buffers are still used. */
const NOTICED_BYTES = 64 * 1024 * 1024;

/**
 * More than once: if V8 is in the middle of a collection, it finds what was released since only the
 * next time.
 */
const TIMES = 3;
const EVERY_MS = 1000;

/**
 * Makes V8 look for unused buffers, in small steps beside other work. V8 does so only when new
 * buffers are made: an idle server would keep those of its busiest minute. The allocated memory is
 * never touched, so none of its pages is ever resident.
 */
export function collectGarbageSoon(times = TIMES): void {
  try {
    void new ArrayBuffer(NOTICED_BYTES);
  } catch {
    // There is no address space for so much; V8 has looked by then.
  }
  if (times > 1) {
    setTimeout(collectGarbageSoon, EVERY_MS, times - 1).unref();
  }
}
