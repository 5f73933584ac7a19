import { effect, signal } from "@preact/signals";
import { createTrafficHistory, type TrafficHistory } from "./data/traffic.ts";
import { freshness, gateway } from "./gateway.ts";
import { isAbsence, isDenial, type Problem, problemOf } from "./problem.ts";
import { isVisible } from "./visible.ts";

/** How often the gateway's counts are read. */
const EVERY_MS = 2000;
const TIMEOUT_MS = 5000;

/** What the gateway does, for every view that shows it. */
export interface Traffic {
  /** The same object always; its arrays change in place. */
  readonly history: TrafficHistory;
  /** Grows with each reading. */
  readonly readings: number;
  /** Why there is no newer reading; `undefined` also while the gateway is away. */
  readonly problem: Problem | undefined;
}

const traffic = signal<Traffic>({ history: createTrafficHistory(), readings: 0, problem: undefined });
let isRead = false;

/**
 * What the gateway does. From the first time on that a view asks, it is read every two seconds
 * while somebody may see the page. A component that calls this is drawn again with each reading.
 */
export function liveTraffic(): Traffic {
  if (!isRead) {
    isRead = true;
    effect(() => {
      freshness.value;
      if (!isVisible.value) {
        return;
      }
      const stopped = new AbortController();
      void readAlways(stopped.signal);
      return () => stopped.abort();
    });
  }
  return traffic.value;
}

/** Ends when `stopped`, or when the gateway says that it will not tell. */
async function readAlways(stopped: AbortSignal): Promise<void> {
  while (!stopped.aborted) {
    const { history, readings } = traffic.peek();
    try {
      history.add(await gateway.admin.getTraffic({}, { signal: stopped, timeoutMs: TIMEOUT_MS }), Date.now());
      traffic.value = { history, readings: readings + 1, problem: undefined };
    } catch (thrown) {
      if (stopped.aborted) {
        return;
      }
      const problem = problemOf(thrown);
      traffic.value = { history, readings, problem: isAbsence(problem) ? undefined : problem };
      if (isDenial(problem) || problem.reason === "request_unsupported") {
        return;
      }
    }
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }
}
