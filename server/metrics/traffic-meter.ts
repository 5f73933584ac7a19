import { countCalls } from "../calls/call-counts.ts";
import type { PlaneFigures } from "../plane.ts";
import type { Traffic } from "../services/traffic.ts";
import type { MetricSources } from "./exposition.ts";
import { ProcessMeter } from "./process-meter.ts";

/** Without a question for so long the event loop is not measured any more. */
const IDLE_MS = 60_000;

/**
 * Reads what a process has counted, for who looks on. It has a meter of the event loop of its own,
 * because each reader of one begins its time anew.
 */
export class TrafficMeter {
  readonly #sources: Pick<MetricSources, "meters" | "planes">;
  readonly #maxNamespaces: number;
  readonly #process = new ProcessMeter();
  #idle: NodeJS.Timeout | undefined;

  /** It tells of `maxNamespaces` at most. */
  constructor(sources: Pick<MetricSources, "meters" | "planes">, maxNamespaces: number) {
    this.#sources = sources;
    this.#maxNamespaces = maxNamespaces;
  }

  /** Reads it for the namespaces with these names; [] = all. */
  async read(names: readonly string[]): Promise<Traffic> {
    const { meters, planes } = this.#sources;
    this.#measure();
    const calls = await countCalls(meters.calls, names, this.#maxNamespaces);
    const { delays, cpuSeconds, memory } = this.#process.take();
    const { data, admin }: Readonly<Record<string, PlaneFigures>> = planes();
    return {
      calls,
      cpuSeconds,
      residentBytes: memory.rss,
      delayP99Ms: (delays?.p99 ?? 0) * 1000,
      connections: data?.connections ?? 0,
      adminConnections: admin?.connections ?? 0,
    };
  }

  close(): void {
    clearTimeout(this.#idle);
    this.#process.stop();
  }

  #measure(): void {
    if (this.#idle === undefined) {
      // What was measured before the pause is too old.
      this.#process.take();
      this.#process.start();
      this.#idle = setTimeout(() => {
        this.#idle = undefined;
        this.#process.stop();
      }, IDLE_MS).unref();
    } else {
      this.#idle.refresh();
    }
  }
}
