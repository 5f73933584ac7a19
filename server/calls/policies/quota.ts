import type { Call } from "../../backend/contract.ts";
import { PrismError, withoutStack } from "../../errors.ts";
import { MAX_METERED_CALLERS } from "../../limits.ts";
import type { Namespace } from "../../namespaces/live-namespace.ts";
import type { CallLimits } from "../../namespaces/rules.ts";
import type { MethodRow } from "../methods.ts";
import type { CallRecord } from "../record.ts";
import { type BucketMaker, localBuckets, UNKNOWN } from "./bucket.ts";
import { limitCalls, Meter, MeterTable } from "./meter.ts";
import type { Policy } from "./policy.ts";

/** How much each caller may ask. */
export interface CallerLimits {
  /** For callers that none of `principals` fits. */
  readonly default: CallLimits;
  /** The first that fits holds: by a name, or a beginning of names with `*` behind it. */
  readonly principals: readonly (CallLimits & { readonly principal: string })[];
  /** True: callers without a name are told apart by their addresses. Otherwise they are one. */
  readonly byAddress: boolean;
}

/** What the quota policy is made from. */
export interface QuotaOptions {
  /** Finds a namespace by its name on the wire. Absent = none has limits here. */
  readonly find?: ((name: string) => Namespace | undefined) | undefined;
  readonly callers: CallerLimits;
  /** Makes the buckets of namespaces and callers. Absent = they count this gateway's calls. */
  readonly makeBucket?: BucketMaker | undefined;
  /** Milliseconds on a monotonic clock. Absent = the process'. */
  readonly nowMs?: (() => number) | undefined;
}

/** How often a call asks buckets that do not know, before it is refused. */
const MAX_ASKS = 3;

/** The advice for a call that found no room and no answer in so many tries. */
const ASK_AGAIN_MS = 50;

/**
 * Refuses calls beyond the limits of their namespace, of their caller and of their service
 * (`rate_limit_rps`), as `rate_limited`, before the handler runs. A refused call takes nothing from
 * any of them.
 */
export function createQuotaPolicy(options: QuotaOptions): Policy {
  const { find, callers, makeBucket = localBuckets, nowMs = createRunClock() } = options;
  const namespaceMeter = find && createNamespaceMeters(find, makeBucket);
  const callerMeters = (kind: string, limitsOf: (principal: string | undefined) => CallLimits) =>
    createCallerMeters(kind, limitsOf, callers.byAddress, makeBucket, nowMs);
  const callerMeter = limitsCallers(callers)
    ? callerMeters("caller", (principal) => limitsOf(callers, principal))
    : undefined;
  const ofServices = new Map<string, CallerMeters>();

  /** The meters of a service's callers. All its methods share them. */
  function serviceMeters({ rateLimitRps: maxRps, desc: { parent } }: MethodRow): CallerMeters | undefined {
    if (maxRps === 0) {
      return undefined;
    }
    const limits = { maxRps, burst: 0, maxInBytesPerSecond: 0, maxConcurrentCalls: 0 };
    const made = ofServices.get(parent.typeName) ?? callerMeters(`service ${parent.typeName}`, () => limits);
    ofServices.set(parent.typeName, made);
    return made;
  }

  /** Lets a call in, or throws. UNKNOWN = the meters have to ask first; nothing was taken. */
  function admit(
    record: CallRecord,
    namespace: Meter | undefined,
    caller: Meter | undefined,
    service: Meter | undefined,
  ): typeof UNKNOWN | undefined {
    if (namespace?.isBusy === true) {
      throw busy(`namespace "${record.namespace}" has`, namespace);
    }
    if (caller?.isBusy === true) {
      throw busy("this caller has", caller);
    }
    const now = nowMs();
    const bytes = record.requestBytes;
    const namespaceMs = namespace === undefined ? 0 : namespace.waitMs(bytes, now);
    const callerMs = caller === undefined ? 0 : caller.waitMs(bytes, now);
    const serviceMs = service === undefined ? 0 : service.waitMs(bytes, now);
    if (namespaceMs === UNKNOWN || callerMs === UNKNOWN || serviceMs === UNKNOWN) {
      return UNKNOWN;
    }
    const waitMs = Math.max(namespaceMs, callerMs, serviceMs);
    if (waitMs > 0) {
      throw full(waitMs === namespaceMs ? `namespace "${record.namespace}"` : "this caller", waitMs);
    }
    service?.take(bytes, now);
    if (namespace !== undefined) {
      namespace.take(bytes, now);
      namespace.callsUnderWay++;
      record.namespaceCount = namespace;
    }
    if (caller !== undefined) {
      caller.take(bytes, now);
      caller.callsUnderWay++;
      record.callerCount = caller;
    }
    return undefined;
  }

  /** As `admit`, where a meter has to ask first. */
  async function admitLater(
    record: CallRecord,
    call: Call,
    ...meters: readonly [Meter | undefined, Meter | undefined, Meter | undefined]
  ): Promise<void> {
    for (let asks = 0; asks < MAX_ASKS; asks++) {
      await Promise.all(meters.map((meter) => meter?.known()));
      // Its `finish` has run then, so nothing would give back what it takes.
      if (call.aborted || record.finished || admit(record, ...meters) === undefined) {
        return;
      }
    }
    throw full("the namespace or this caller", ASK_AGAIN_MS);
  }

  return {
    on(row) {
      const serviceMeter = serviceMeters(row);
      const ofNamespace = row.namespaceField === undefined ? undefined : namespaceMeter;
      // Health checks and reflection name no namespace, and must not fail because a caller is busy.
      const ofCaller = row.namespaceField === undefined ? undefined : callerMeter;
      if (serviceMeter === undefined && ofNamespace === undefined && ofCaller === undefined) {
        return undefined;
      }
      return {
        begin(record, call) {
          const namespace = ofNamespace?.(record);
          const caller = ofCaller?.(record);
          const service = serviceMeter?.(record);
          if (namespace === undefined && caller === undefined && service === undefined) {
            return undefined;
          }
          return admit(record, namespace, caller, service) === undefined
            ? undefined
            : admitLater(record, call, namespace, caller, service);
        },
        // Not by `begun`: what is counted is set in the moment in which it is taken.
        finish({ namespaceCount, callerCount }) {
          if (namespaceCount !== undefined) {
            namespaceCount.callsUnderWay--;
          }
          if (callerCount !== undefined) {
            callerCount.callsUnderWay--;
          }
        },
      };
    },
  };
}

const RESOLVED = Promise.resolve();

/**
 * The monotonic clock, read once in each run of JavaScript: the calls that one read of a connection
 * brings have one time. Reading it costs as much as all the rest of a quota.
 */
function createRunClock(): () => number {
  let nowMs = 0;
  let isRead = false;
  const forget = () => {
    isRead = false;
  };
  return () => {
    if (!isRead) {
      nowMs = performance.now();
      isRead = true;
      RESOLVED.then(forget);
    }
    return nowMs;
  };
}

/** The meter of a call's caller. */
type CallerMeters = (record: CallRecord) => Meter;

/** The meter of a call's namespace; `undefined` = it has no limits, or there is none. */
function createNamespaceMeters(
  find: (name: string) => Namespace | undefined,
  makeBucket: BucketMaker,
): (record: CallRecord) => Meter | undefined {
  // A namespace that is gone takes its meter with it.
  const meters = new WeakMap<Namespace, Meter>();
  return ({ named }) => {
    const namespace = named === undefined ? undefined : find(named);
    if (namespace === undefined || !limitCalls(namespace.rules.limits)) {
      return undefined;
    }
    const { limits } = namespace.rules;
    let meter = meters.get(namespace);
    if (meter === undefined) {
      meter = new Meter(`namespace ${namespace.name}`, limits, makeBucket);
      meters.set(namespace, meter);
    } else if (meter.limits !== limits) {
      meter.set(limits);
    }
    return meter;
  };
}

/** `limitsOf` is asked once for each caller; `undefined` = one without a name. */
function createCallerMeters(
  kind: string,
  limitsOf: (principal: string | undefined) => CallLimits,
  byAddress: boolean,
  makeBucket: BucketMaker,
  nowMs: () => number,
): CallerMeters {
  const principals = new MeterTable(
    (name) => new Meter(`${kind} ${name}`, limitsOf(name), makeBucket),
    MAX_METERED_CALLERS,
  );
  const addresses = new MeterTable(
    (address) => new Meter(`${kind} at ${address}`, limitsOf(undefined), makeBucket),
    MAX_METERED_CALLERS,
  );
  return (record) =>
    record.principal === undefined
      ? addresses.of(byAddress ? (record.peer ?? "") : "", nowMs)
      : principals.of(record.principal.name, nowMs);
}

function limitsCallers({ default: standard, principals }: CallerLimits): boolean {
  return limitCalls(standard) || principals.some(limitCalls);
}

function limitsOf(
  { default: standard, principals }: CallerLimits,
  principal: string | undefined,
): CallLimits {
  const own = principals.find((each) => principal !== undefined && fits(each.principal, principal));
  return own ?? standard;
}

function fits(pattern: string, name: string): boolean {
  return pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}

function full(whose: string, waitMs: number): PrismError {
  const retryAfterMs = Math.ceil(waitMs);
  const why = `more calls, or sends more bytes, than it may: there is room in ${retryAfterMs} ms`;
  return limited(`${whose} makes ${why}`, retryAfterMs);
}

/** Nobody knows when a call ends, so there is no time to wait for. */
function busy(who: string, { limits: { maxConcurrentCalls } }: Meter): PrismError {
  const calls = maxConcurrentCalls === 1 ? "1 call" : `${maxConcurrentCalls} calls`;
  return limited(`${who} ${calls} under way, and may have no more at the same time`, 0);
}

function limited(message: string, retryAfterMs: number): PrismError {
  return withoutStack(() => new PrismError("rate_limited", message, { retryAfterMs }));
}
