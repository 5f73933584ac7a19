import type { FigureName } from "../backend/figures.ts";
import { type CallSeries, CODE_NAMES } from "../calls/call-meter.ts";
import type { OpenStore } from "../namespaces/open-stores.ts";
import type { PlaneFigures } from "../plane.ts";
import { readVersion } from "../version.ts";
import { FAMILIES, type FamilyName } from "./families.ts";
import type { Meters } from "./meters.ts";
import type { ProcessMeter, ProcessSample } from "./process-meter.ts";
import { ENDS, headOf, histogramOf, sampleOf, type TextFormat } from "./text-format.ts";

const VERSION = readVersion();

/** Where the numbers come from. */
export interface MetricSources {
  readonly meters: Meters;
  readonly process: ProcessMeter;
  readonly registry: { readonly namespaces: readonly unknown[]; readonly stores: readonly OpenStore[] };
  readonly health: { readonly serving: boolean };
  /** The figures of each port, now. */
  planes(): Readonly<Record<string, PlaneFigures>>;
  /** The processes behind the data port. `undefined` = there is this one alone. */
  readonly workers: MeteredWorkers | undefined;
}

/** The processes behind the data port. */
export interface MeteredWorkers {
  /** How many take calls. */
  readonly ready: number;
  /** How many were replaced. */
  readonly replaced: number;
  /** The metrics of each that answers, in Prometheus' format. */
  metrics(): Promise<readonly string[]>;
}

/** What one scrape reads. */
interface Scrape {
  readonly meters: Meters;
  readonly process: ProcessSample;
  readonly serving: boolean;
  readonly namespaces: number;
  readonly planes: readonly (readonly [name: string, PlaneFigures])[];
  readonly stores: readonly OpenStore[];
  readonly workers: MeteredWorkers | undefined;
}

/**
 * The samples of a metric, piece by piece. A piece is whole lines, or none, and takes little time
 * to make: at most what all methods have for one namespace.
 */
type Pieces = Generator<string>;

/**
 * The text of all metrics, piece by piece, so that the writer can pause after each. A metric
 * without samples has no head either.
 */
export function* expose(sources: MetricSources, format: TextFormat): Pieces {
  const { meters, process, registry, health, planes, workers } = sources;
  // A store that was replaced can still be open under the name of the new one.
  const stores = new Map(registry.stores.map((store) => [store.source.name, store]));
  const scrape: Scrape = {
    meters,
    process: process.take(),
    serving: health.serving,
    namespaces: registry.namespaces.length,
    planes: Object.entries(planes()),
    stores: [...stores.values()],
    workers,
  };
  for (const name of Object.keys(FAMILIES) as FamilyName[]) {
    let head = headOf(name, format);
    for (const piece of WRITERS[name](name, scrape)) {
      yield piece === "" ? "" : head + piece;
      head = piece === "" ? head : "";
    }
  }
  yield ENDS[format];
}

type Writer = (name: FamilyName, scrape: Scrape) => Pieces;

/** How the samples of each metric are made. */
const WRITERS: Readonly<Record<FamilyName, Writer>> = {
  prism_requests_total: ofCalls((name, [namespace, method], series) => {
    let text = "";
    for (const [code, codeName] of CODE_NAMES.entries()) {
      const calls = series.calls(code);
      text += calls === 0 ? "" : sampleOf(name, [namespace, method, codeName], calls);
    }
    return text;
  }),
  *prism_request_failures_total(name, { meters }) {
    for (const [reason, calls] of meters.calls.failures) {
      yield sampleOf(name, [reason], calls);
    }
  },
  prism_request_duration_seconds: ofCalls((name, of, { durations }) => histogramOf(name, of, durations)),
  prism_requests_in_flight: ofCalls((name, of, { inFlight }) => sampleOf(name, of, inFlight)),
  prism_request_bytes_total: ofCalls((name, of, { requestBytes }) => sampleOf(name, of, requestBytes)),
  prism_response_bytes_total: ofCalls((name, of, { responseBytes }) => sampleOf(name, of, responseBytes)),
  // Most methods are no streams.
  prism_stream_messages_total: ofCalls((name, of, { messages }) =>
    messages === 0 ? "" : sampleOf(name, of, messages),
  ),
  // Only appends have any, and few of them.
  *prism_events_expired_total(name, { meters: { calls } }) {
    for (const { name: namespace, methods } of calls.namespaces()) {
      const events = methods.reduce((sum, series) => sum + (series?.expiredEvents ?? 0), 0);
      yield events === 0 ? "" : sampleOf(name, [namespace], events);
    }
  },
  *prism_namespaces(name, { namespaces }) {
    yield sampleOf(name, [], namespaces);
  },
  *prism_serving(name, { serving }) {
    yield sampleOf(name, [], serving ? 1 : 0);
  },
  *prism_workers(name, { workers }) {
    if (workers !== undefined) {
      yield sampleOf(name, [], workers.ready);
    }
  },
  *prism_workers_replaced_total(name, { workers }) {
    if (workers !== undefined) {
      yield sampleOf(name, [], workers.replaced);
    }
  },
  *prism_build_info(name) {
    yield sampleOf(name, [VERSION, process.version], 1);
  },
  prism_connections: ofPlanes(({ connections }) => connections),
  prism_receiving_bytes: ofPlanes(({ receivingBytes }) => receivingBytes),
  prism_unsent_bytes: ofPlanes(({ unsentBytes }) => unsentBytes),
  *prism_backend_call_duration_seconds(name, { meters, stores }) {
    for (const { source, backend } of stores) {
      for (const [operation, { durations }] of meters.store(source.name).operations) {
        yield histogramOf(name, [source.name, backend.type, operation], durations);
      }
    }
  },
  *prism_backend_call_failures_total(name, { meters, stores }) {
    for (const { source, backend } of stores) {
      for (const [operation, { failures }] of meters.store(source.name).operations) {
        for (const [reason, calls] of failures) {
          yield sampleOf(name, [source.name, backend.type, operation, reason], calls);
        }
      }
    }
  },
  prism_backend_connections: ofStores({ connectionsUsed: ["used"], connectionsIdle: ["idle"] }),
  prism_backend_connections_max: ofStores({ connectionsMax: [] }),
  prism_backend_connection_waits: ofStores({ connectionWaits: [] }),
  prism_backend_queued_calls: ofStores({ queuedCalls: [] }),
  prism_backend_queued_bytes: ofStores({ queuedBytes: [] }),
  prism_backend_waiting_pops: ofStores({ waitingPops: [] }),
  prism_backend_waiting_tails: ofStores({ waitingTails: [] }),
  prism_backend_breakers: ofStores({ breakers: [] }),
  prism_backend_breakers_open: ofStores({ breakersOpen: [] }),
  *prism_cache_lookups_total(name, { meters }) {
    for (const cache of meters.caches) {
      yield sampleOf(name, [cache.name, "hit"], cache.hits);
      yield sampleOf(name, [cache.name, "miss"], cache.misses);
    }
  },
  nodejs_eventloop_delay_p50_seconds: ofProcess(({ delays }) => delays?.p50),
  nodejs_eventloop_delay_p99_seconds: ofProcess(({ delays }) => delays?.p99),
  nodejs_eventloop_delay_max_seconds: ofProcess(({ delays }) => delays?.max),
  *nodejs_eventloop_time_seconds_total(name, { process: { activeSeconds, idleSeconds } }) {
    yield sampleOf(name, ["active"], activeSeconds);
    yield sampleOf(name, ["idle"], idleSeconds);
  },
  *nodejs_memory_bytes(name, { process }) {
    const { heapUsed, heapTotal, external, arrayBuffers } = process.memory;
    yield sampleOf(name, ["heap_used"], heapUsed);
    yield sampleOf(name, ["heap_total"], heapTotal);
    yield sampleOf(name, ["external"], external);
    yield sampleOf(name, ["array_buffers"], arrayBuffers);
  },
  process_resident_memory_bytes: ofProcess(({ memory }) => memory.rss),
  process_cpu_seconds_total: ofProcess(({ cpuSeconds }) => cpuSeconds),
  process_start_time_seconds: ofProcess(({ startSeconds }) => startSeconds),
};

/** `linesOf` writes one series; `of` are its namespace and its method. */
function ofCalls(
  linesOf: (name: FamilyName, of: readonly [string, string], series: CallSeries) => string,
): Writer {
  return function* (name, { meters: { calls } }) {
    for (const { name: namespace, methods } of calls.namespaces()) {
      let text = "";
      for (const [i, method] of calls.methods.entries()) {
        const series = methods[i];
        text += series === undefined ? "" : linesOf(name, [namespace, method], series);
      }
      yield text;
    }
  };
}

function ofPlanes(read: (figures: PlaneFigures) => number): Writer {
  return function* (name, { planes }) {
    for (const [plane, figures] of planes) {
      yield sampleOf(name, [plane], read(figures));
    }
  };
}

/** `undefined` = there is no sample now. */
function ofProcess(read: (sample: ProcessSample) => number | undefined): Writer {
  return function* (name, { process }) {
    const value = read(process);
    if (value !== undefined) {
      yield sampleOf(name, [], value);
    }
  };
}

/** `labels`: what comes behind the labels of the store, for each figure. */
function ofStores(labels: { readonly [Name in FigureName]?: readonly string[] }): Writer {
  return function* (name, { stores }) {
    for (const { source, backend } of stores) {
      const figures = backend.figures?.() ?? {};
      for (const [figure, more] of Object.entries(labels) as [FigureName, readonly string[]][]) {
        const value = figures[figure];
        if (value !== undefined) {
          yield sampleOf(name, [source.name, backend.type, ...more], value);
        }
      }
    }
  };
}
