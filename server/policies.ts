import type { FailureLog } from "./calls/failure-log.ts";
import { createLogPolicy } from "./calls/policies/log.ts";
import type { Policy } from "./calls/policies/policy.ts";
import type { Config } from "./config/config.ts";

/** What policies are made of. */
export interface PolicySources {
  /** Where a policy that an operator sets has its section. */
  readonly config: Config;
  readonly failures: FailureLog;
}

/**
 * Every policy, in the order in which they begin; they finish in the opposite order. The log comes first, so that it
 * finishes last and sees what the others have found out.
 */
export function createPolicies({ failures }: PolicySources): Policy[] {
  return [createLogPolicy(failures)];
}
