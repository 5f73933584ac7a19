import type { Audit } from "./calls/audit.ts";
import type { CallMeter } from "./calls/call-meter.ts";
import type { FailureLog } from "./calls/failure-log.ts";
import { createAuditPolicy } from "./calls/policies/audit.ts";
import { type Authenticator, createAuthPolicy } from "./calls/policies/auth.ts";
import type { BucketMaker } from "./calls/policies/bucket.ts";
import { createLogPolicy } from "./calls/policies/log.ts";
import { createMetricsPolicy } from "./calls/policies/metrics.ts";
import type { Policy } from "./calls/policies/policy.ts";
import { createQuotaPolicy } from "./calls/policies/quota.ts";
import { createServingPolicy } from "./calls/policies/serving.ts";
import { createSlowCallPolicy } from "./calls/policies/slow.ts";
import { createTracePolicy, type TracedCall } from "./calls/policies/trace.ts";
import type { Config } from "./config/config.ts";
import type { NamespaceRegistry } from "./namespaces/registry.ts";
import { NO_RULES } from "./namespaces/rules.ts";

/** What policies are made from. */
export interface PolicySources {
  /** The configuration. A policy that operators set has a section in it. */
  readonly config: Config;
  readonly failures: FailureLog;
  /** Takes the calls that are traced. `undefined` = none is. */
  readonly addTrace: ((call: TracedCall) => void) | undefined;
  /** The audit log of the port. */
  readonly audit: Audit;
  /** The namespaces, with the rules that hold for their calls. */
  readonly registry: NamespaceRegistry;
  /** Counts the calls. `undefined` = nobody does. */
  readonly meter: CallMeter | undefined;
  /** Refuses calls beyond the quotas, as {@link createQuotas} makes it. */
  readonly quotas: Policy;
  /** Whose calls they surround: those about data, or those of operators. Either port has both. */
  readonly plane: "data" | "admin";
  /** Whether calls are taken now. Absent = the port decides that. */
  readonly isServing?: (() => boolean) | undefined;
  /** Finds out who calls. `undefined` = nobody is asked. */
  readonly authenticator: Authenticator | undefined;
}

/**
 * Every policy, in the order in which they begin; they finish in reverse order. The log is first,
 * so that it finishes last and sees what the others have found out. The audit log comes after
 * `auth`, so that it knows which calls got past that.
 */
export function createPolicies(sources: PolicySources): Policy[] {
  const { config, failures, audit, registry, meter, addTrace, plane, authenticator, quotas, isServing } =
    sources;
  const { slowCallMs } = config.logging;
  return [
    createLogPolicy(failures),
    ...(slowCallMs > 0 ? [createSlowCallPolicy(failures, slowCallMs)] : []),
    ...(meter === undefined ? [] : [createMetricsPolicy(meter)]),
    ...(addTrace === undefined ? [] : [createTracePolicy(config.tracing, addTrace)]),
    ...(authenticator === undefined
      ? []
      : [createAuthPolicy({ authenticator, namespaces: registry, plane })]),
    createAuditPolicy(audit, plane),
    ...(isServing === undefined ? [] : [createServingPolicy(isServing)]),
    quotas,
  ];
}

/** What the policy of quotas is made from. */
export interface QuotaSources {
  readonly config: Config;
  readonly registry: NamespaceRegistry;
  /** Makes the buckets. Absent = they count the calls of this gateway. */
  readonly makeBucket: BucketMaker | undefined;
  readonly plane: PolicySources["plane"];
}

/**
 * Makes the policy of quotas, one for all ports: a caller has its quota once, wherever it calls.
 * What operators of the gateway call has no quotas but those of its services.
 */
export function createQuotas({ config: { quotas }, registry, plane, makeBucket }: QuotaSources): Policy {
  return plane === "data"
    ? createQuotaPolicy({ callers: quotas, find: (name) => registry.find(name), makeBucket })
    : createQuotaPolicy({
        callers: { default: NO_RULES.limits, principals: [], byAddress: quotas.byAddress },
        makeBucket,
      });
}
