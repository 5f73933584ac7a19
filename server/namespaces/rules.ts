/** How many calls may come. 0 = no such limit. */
export interface CallLimits {
  /** Calls a second, on average. */
  readonly maxRps: number;
  /** Calls at once after a quiet time. 0 = as many as `maxRps`. */
  readonly burst: number;
  /** Bytes of requests a second, on average. After a quiet time as many come at once. */
  readonly maxInBytesPerSecond: number;
  /** Calls at the same time, on one gateway. Calls that wait for something count. */
  readonly maxConcurrentCalls: number;
}

/** How much callers may ask of a namespace. 0 = no such limit. */
export interface NamespaceLimits extends CallLimits {
  /** The largest value. The gateway's own limit holds too. */
  readonly maxValueBytes: number;
  /** Entries. Only for a store that counts cheaply. */
  readonly maxEntries: number;
}

/** The times to live that callers may give. 0 = no such bound. */
export interface TtlRules {
  /** For entries that are set without one. */
  readonly defaultSeconds: number;
  readonly minSeconds: number;
  /** With it every entry must have a time to live: its own or the default. */
  readonly maxSeconds: number;
  /** True: no entry may have one. */
  readonly forbidden: boolean;
}

/** What a namespace may be for. One for time series is on a store with streams of events. */
export const PATTERNS = ["keyvalue", "timeseries"] as const;

/** What a namespace is for. */
export type Pattern = (typeof PATTERNS)[number];

/** What holds for streams of events. */
export interface TimeseriesRules {
  /** How many days events are kept of streams that state nothing themselves; 0 = for ever. */
  readonly retentionDays: number;
  /** What becomes of an append with an event that is older than what its stream keeps. */
  readonly lateEvents: "accept" | "refuse";
}

/** A team that answers for a namespace. */
export interface Owner {
  readonly team: string;
  readonly role: string;
}

/** What callers may do, where authentication is configured. */
export interface Consumer {
  /** A principal's name, or a beginning of names with `*` behind it, as `user-api.prod.*`. */
  readonly servicePattern: string;
  readonly permissions: readonly string[];
  /** The keys start with this. "" = all keys. */
  readonly keyPrefix: string;
  /** The calls, by their names in the proto. `undefined` = all. */
  readonly methods: readonly string[] | undefined;
}

/** Who may use a namespace. */
export interface AccessControl {
  /** For people; they grant nothing. */
  readonly owners: readonly Owner[];
  /** They add to what a principal's own grants allow. */
  readonly consumers: readonly Consumer[];
}

/** What holds for the calls on a namespace. It can change while calls come. */
export interface NamespaceRules {
  readonly limits: NamespaceLimits;
  readonly ttl: TtlRules;
  readonly timeseries: TimeseriesRules;
  readonly access: AccessControl;
}

/**
 * The rules of a namespace that states none: no limits, any time to live, events for ever, no
 * consumers.
 */
export const NO_RULES: NamespaceRules = {
  limits: {
    maxRps: 0,
    burst: 0,
    maxInBytesPerSecond: 0,
    maxConcurrentCalls: 0,
    maxValueBytes: 0,
    maxEntries: 0,
  },
  ttl: { defaultSeconds: 0, minSeconds: 0, maxSeconds: 0, forbidden: false },
  timeseries: { retentionDays: 0, lateEvents: "accept" },
  access: { owners: [], consumers: [] },
};

/** The largest bound of a value that a namespace may have. */
export const MAX_NAMESPACE_VALUE_BYTES = 64 * 1024 * 1024;

/** The form of {@link Consumer.servicePattern}. */
export const SERVICE_PATTERN = /^[^*]{1,255}\*?$|^\*$/;

/** A rule of times to live that contradicts the others. */
export interface TtlProblem {
  readonly rule: keyof TtlRules;
  /** What would be right. */
  readonly message: string;
}

/** Finds what contradicts itself in times to live; `undefined` = nothing. */
export function findTtlProblem(ttl: TtlRules): TtlProblem | undefined {
  const { defaultSeconds, minSeconds, maxSeconds, forbidden } = ttl;
  if (forbidden && (defaultSeconds !== 0 || minSeconds !== 0 || maxSeconds !== 0)) {
    return { rule: "forbidden", message: "cannot be combined with times" };
  }
  if (maxSeconds !== 0 && minSeconds > maxSeconds) {
    return { rule: "maxSeconds", message: "expected 0, or no less than the shortest time to live" };
  }
  const isOutside = defaultSeconds < minSeconds || (maxSeconds !== 0 && defaultSeconds > maxSeconds);
  return defaultSeconds !== 0 && isOutside
    ? { rule: "defaultSeconds", message: "expected 0, or a time from the shortest to the longest" }
    : undefined;
}
