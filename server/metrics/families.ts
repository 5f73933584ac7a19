/** What is said of a metric. Its name is that of its samples in Prometheus' text format. */
export interface Family {
  readonly type: "counter" | "gauge" | "histogram";
  /** In the order in which they are written. */
  readonly labels: readonly string[];
  readonly help: string;
  /** What the value of several processes is. Absent = their sum. */
  readonly across?: "sum" | "max" | "min";
}

const CALL = ["namespace", "method"] as const;
const OPERATION = ["backend", "type", "operation"] as const;
const STORE = ["backend", "type"] as const;

/**
 * Every metric of `GET /metrics`, in its order. docs/metrics.md says which conventions the names
 * and labels follow.
 */
export const FAMILIES = {
  prism_requests_total: {
    type: "counter",
    labels: [...CALL, "code"],
    help: "Calls that are over, by status code",
  },
  prism_request_failures_total: {
    type: "counter",
    labels: ["reason"],
    help: "Calls that failed, by the reason in prism.common.Error",
  },
  prism_request_duration_seconds: {
    type: "histogram",
    labels: CALL,
    help: "Time from the headers of a call to the end of its handler",
  },
  prism_requests_in_flight: { type: "gauge", labels: CALL, help: "Calls that are running" },
  prism_request_bytes_total: {
    type: "counter",
    labels: CALL,
    help: "Bytes of the bodies of requests, as they came; of a GET its path and query",
  },
  prism_response_bytes_total: {
    type: "counter",
    labels: CALL,
    help: "Bytes of the bodies of answers, as they were sent",
  },
  prism_stream_messages_total: {
    type: "counter",
    labels: CALL,
    help: "Messages that streams have answered: entries of a scan, items of a record, values of a list",
  },
  prism_events_expired_total: {
    type: "counter",
    labels: ["namespace"],
    help: "Events that were appended though they were past their retention: nobody sees them",
  },
  prism_namespaces: { type: "gauge", labels: [], help: "Namespaces that are there", across: "max" },
  prism_serving: {
    type: "gauge",
    labels: [],
    help: "1 while the gateway takes calls, 0 while it starts or stops",
    across: "min",
  },
  prism_workers: { type: "gauge", labels: [], help: "Worker processes that take calls" },
  prism_workers_replaced_total: {
    type: "counter",
    labels: [],
    help: "Worker processes that ended by themselves and were replaced",
  },
  prism_build_info: {
    type: "gauge",
    labels: ["version", "node"],
    help: "1, with the versions of Prism and of Node that run",
    across: "max",
  },
  prism_connections: { type: "gauge", labels: ["plane"], help: "Open connections of a port" },
  prism_receiving_bytes: {
    type: "gauge",
    labels: ["plane"],
    help: "Bytes of requests that are coming in or being decompressed",
  },
  prism_unsent_bytes: {
    type: "gauge",
    labels: ["plane"],
    help: "Bytes of answers that their callers have not taken",
  },
  prism_backend_call_duration_seconds: {
    type: "histogram",
    labels: OPERATION,
    help: "Time that a store on a network took for a call, failed ones included",
  },
  prism_backend_call_failures_total: {
    type: "counter",
    labels: [...OPERATION, "reason"],
    help: "Calls that failed at a store on a network, by reason",
  },
  prism_backend_connections: {
    type: "gauge",
    labels: [...STORE, "state"],
    help: "Connections of a store's pool, used or idle",
  },
  prism_backend_connections_max: {
    type: "gauge",
    labels: STORE,
    help: "The most connections that a store's pool makes",
  },
  prism_backend_connection_waits: {
    type: "gauge",
    labels: STORE,
    help: "Calls that wait for a connection to a store",
  },
  prism_backend_queued_calls: {
    type: "gauge",
    labels: STORE,
    help: "Calls that wait for their turn at a store; of SQLite, writes that are not on the disk yet",
  },
  prism_backend_queued_bytes: {
    type: "gauge",
    labels: STORE,
    help: "Bytes of keys and values that those calls hold",
  },
  prism_backend_waiting_pops: {
    type: "gauge",
    labels: STORE,
    help: "Calls that wait until a list has a value",
  },
  prism_backend_waiting_tails: {
    type: "gauge",
    labels: STORE,
    help: "Calls that wait until a stream has events",
  },
  prism_backend_breakers: {
    type: "gauge",
    labels: STORE,
    help: "Parts of a store that can be away by themselves",
  },
  prism_backend_breakers_open: {
    type: "gauge",
    labels: STORE,
    help: "Those of them that are away, so that calls fail at once",
  },
  prism_cache_lookups_total: {
    type: "counter",
    labels: ["cache", "result"],
    help: "Lookups in a cache, hit or miss",
  },
  nodejs_eventloop_delay_p50_seconds: {
    type: "gauge",
    labels: [],
    help: "How late the event loop was since the last scrape, median",
    across: "max",
  },
  nodejs_eventloop_delay_p99_seconds: {
    type: "gauge",
    labels: [],
    help: "How late the event loop was since the last scrape, 99 of 100 times at most",
    across: "max",
  },
  nodejs_eventloop_delay_max_seconds: {
    type: "gauge",
    labels: [],
    help: "How late the event loop was since the last scrape at most",
    across: "max",
  },
  nodejs_eventloop_time_seconds_total: {
    type: "counter",
    labels: ["state"],
    help: "Time that the event loop worked (active) or waited for work (idle)",
  },
  nodejs_memory_bytes: {
    type: "gauge",
    labels: ["state"],
    help: "Memory of the main thread: heap_used, heap_total, external, array_buffers",
  },
  process_resident_memory_bytes: { type: "gauge", labels: [], help: "Memory of the process" },
  process_cpu_seconds_total: {
    type: "counter",
    labels: [],
    help: "Processor time of the process, all threads, user and system",
  },
  process_start_time_seconds: {
    type: "gauge",
    labels: [],
    help: "When the process started, in seconds since 1970",
    across: "min",
  },
} as const satisfies Readonly<Record<string, Family>>;

/** The name of a metric. */
export type FamilyName = keyof typeof FAMILIES;
