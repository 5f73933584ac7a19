import type { MessageInitShape } from "@bufbuild/protobuf";
import { ConsistencyLevel } from "../../gen/prism/common/types_pb.ts";
import {
  Abstraction,
  type AccessControl as AccessControlMessage,
  type CapacitySpec,
  type Namespace as NamespaceMessage,
  type NamespacePolicies,
  type NamespaceSchema,
  NamespaceSource,
  NamespaceStatus,
} from "../../gen/prism/control/v1/namespace_pb.ts";
import { PERMISSIONS } from "../calls/principal.ts";
import { MAX_KEY_BYTES, MAX_RETENTION_DAYS, MAX_TTL_SECONDS, NAMESPACE_PATTERN } from "../limits.ts";
import { type NamespaceWishes, NO_WISHES } from "../namespaces/catalog.ts";
import type { NamespaceChange, NewNamespace } from "../namespaces/controller.ts";
import type { ListedNamespace } from "../namespaces/directory.ts";
import {
  type AccessControl,
  findTtlProblem,
  MAX_NAMESPACE_VALUE_BYTES,
  type NamespaceLimits,
  NO_RULES,
  PATTERNS,
  type Pattern,
  SERVICE_PATTERN,
  type TtlRules,
} from "../namespaces/rules.ts";
import { checkCount, checkEach, checkPart, checkVersion, invalid } from "./check.ts";

/** The store of a namespace that names none. */
const DEFAULT_BACKEND = "database";

/** The most owners, consumers, and methods of a consumer. */
const MAX_ITEMS = 100;

/** The longest name of a team, a role, a caller or a method. */
const MAX_NAME_BYTES = 256;

const SOURCES: Readonly<Record<ListedNamespace["source"], NamespaceSource>> = {
  file: NamespaceSource.FILE,
  saved: NamespaceSource.SAVED,
};

const STATUSES: Readonly<Record<ListedNamespace["state"], NamespaceStatus>> = {
  provisioning: NamespaceStatus.PROVISIONING,
  active: NamespaceStatus.ACTIVE,
  degraded: NamespaceStatus.DEGRADED,
  deleting: NamespaceStatus.DELETING,
  deleted: NamespaceStatus.DELETED,
};

const ABSTRACTIONS: Readonly<Record<Pattern, Abstraction>> = {
  keyvalue: Abstraction.KEYVALUE,
  timeseries: Abstraction.TIMESERIES,
};

/** What is kept of each level. */
const LEVELS: readonly (readonly [level: ConsistencyLevel, text: string])[] = [
  [ConsistencyLevel.UNSPECIFIED, ""],
  [ConsistencyLevel.EVENTUAL, "eventual"],
  [ConsistencyLevel.CAUSAL, "causal"],
  [ConsistencyLevel.STRONG, "strong"],
];

/** The field of each time to live. */
const TTL_FIELDS: Readonly<Record<keyof TtlRules, string>> = {
  defaultSeconds: "default_ttl_seconds",
  minSeconds: "min_ttl_seconds",
  maxSeconds: "max_ttl_seconds",
  forbidden: "ttl_forbidden",
};

/** The message of a namespace. */
export function toMessage(namespace: ListedNamespace): MessageInitShape<typeof NamespaceSchema> {
  const { name, pattern, backend, rules, wishes, createdAtMs, version, source, state, stateMessage } =
    namespace;
  const { limits, ttl, timeseries, access } = rules;
  return {
    name,
    abstraction: ABSTRACTIONS[pattern],
    backend,
    capacity: {
      readRps: BigInt(wishes.readRps),
      writeRps: BigInt(wishes.writeRps),
      dataSizeGb: BigInt(wishes.dataSizeGb),
    },
    policies: {
      retentionDays: timeseries.retentionDays || wishes.retentionDays,
      consistency: levelOf(wishes.consistency),
      cacheEnabled: wishes.cacheEnabled,
      cacheTtlSeconds: wishes.cacheTtlSeconds,
      maxValueBytes: BigInt(limits.maxValueBytes),
      maxRps: BigInt(limits.maxRps),
      maxEntries: BigInt(limits.maxEntries),
      burst: BigInt(limits.burst),
      maxInBytesPerSecond: BigInt(limits.maxInBytesPerSecond),
      maxConcurrentCalls: BigInt(limits.maxConcurrentCalls),
      defaultTtlSeconds: BigInt(ttl.defaultSeconds),
      minTtlSeconds: BigInt(ttl.minSeconds),
      maxTtlSeconds: BigInt(ttl.maxSeconds),
      ttlForbidden: ttl.forbidden,
      refuseLateEvents: timeseries.lateEvents === "refuse",
    },
    accessControl: {
      owners: access.owners.map(({ team, role }) => ({ team, role })),
      consumers: access.consumers.map(({ servicePattern, permissions, keyPrefix, methods = [] }) => ({
        servicePattern,
        permissions: [...permissions],
        keyPrefix,
        methods: [...methods],
      })),
    },
    status: STATUSES[state],
    createdAtMillis: BigInt(createdAtMs),
    version: BigInt(version),
    source: SOURCES[source],
    statusMessage: stateMessage,
  };
}

/** Reads a namespace to make. Throws {@link PrismError} `invalid_field`. */
export function readNewNamespace(message: NamespaceMessage | undefined): NewNamespace {
  const given = present(message);
  return checkPart("namespace", () => {
    const { pattern = "keyvalue", backend, limits, ttl, timeseries, access, wishes } = readParts(given);
    return {
      name: given.name,
      pattern,
      backend: backend ?? DEFAULT_BACKEND,
      rules: {
        limits: limits ?? NO_RULES.limits,
        ttl: ttl ?? NO_RULES.ttl,
        timeseries: (pattern === "timeseries" && timeseries) || NO_RULES.timeseries,
        access: access ?? NO_RULES.access,
      },
      wishes: { ...NO_WISHES, ...wishes },
    };
  });
}

/**
 * Reads what to change of which version of a namespace. Throws {@link PrismError} `invalid_field`.
 */
export function readChange(message: NamespaceMessage | undefined): {
  readonly name: string;
  readonly version: number;
  readonly change: NamespaceChange;
} {
  const given = present(message);
  return checkPart("namespace", () => ({
    name: given.name,
    version: checkVersion(given.version),
    change: readParts(given),
  }));
}

/** The message, which has a valid name. */
function present(message: NamespaceMessage | undefined): NamespaceMessage {
  if (message === undefined) {
    throw invalid("namespace", "namespace must be there");
  }
  checkName("namespace.name", message.name);
  return message;
}

/** The name of a namespace. */
export function checkName(field: string, name: string): string {
  if (!NAMESPACE_PATTERN.test(name)) {
    throw invalid(field, `${field} must be 1 to 63 of a-z, 0-9, '-', '_' and '.', and start with a letter`);
  }
  return name;
}

function readParts(message: NamespaceMessage): NamespaceChange {
  const { abstraction, backend, capacity, policies, accessControl } = message;
  const pattern = PATTERNS.find((each) => ABSTRACTIONS[each] === abstraction);
  if (pattern === undefined && abstraction !== Abstraction.UNSPECIFIED) {
    throw invalid("abstraction", "abstraction must be KEYVALUE or TIMESERIES: no other one is served");
  }
  const wishes = {
    ...(capacity && checkPart("capacity", () => readCapacity(capacity))),
    ...(policies && checkPart("policies", () => readWishes(policies))),
  };
  return {
    ...(pattern && { pattern }),
    ...(backend !== "" && { backend }),
    ...(policies && checkPart("policies", () => readRules(policies))),
    ...(accessControl && { access: checkPart("access_control", () => readAccess(accessControl)) }),
    wishes,
  };
}

function readRules(policies: NamespacePolicies): Pick<NamespaceChange, "limits" | "ttl" | "timeseries"> {
  const { retentionDays, refuseLateEvents } = policies;
  return {
    limits: readLimits(policies),
    ttl: readTtl(policies),
    timeseries: {
      retentionDays: amount("retention_days", retentionDays, MAX_RETENTION_DAYS),
      lateEvents: refuseLateEvents ? "refuse" : "accept",
    },
  };
}

function readCapacity({
  readRps,
  writeRps,
  dataSizeGb,
}: CapacitySpec): Pick<NamespaceWishes, "readRps" | "writeRps" | "dataSizeGb"> {
  return {
    readRps: amount("read_rps", readRps),
    writeRps: amount("write_rps", writeRps),
    dataSizeGb: amount("data_size_gb", dataSizeGb),
  };
}

function readWishes(
  policies: NamespacePolicies,
): Omit<NamespaceWishes, "readRps" | "writeRps" | "dataSizeGb"> {
  const { retentionDays, consistency, cacheEnabled, cacheTtlSeconds } = policies;
  const level = LEVELS.find(([known]) => known === consistency);
  if (level === undefined) {
    throw invalid("consistency", "consistency must be a level that is known");
  }
  return {
    retentionDays: amount("retention_days", retentionDays),
    consistency: level[1],
    cacheEnabled,
    cacheTtlSeconds: amount("cache_ttl_seconds", cacheTtlSeconds),
  };
}

function readLimits(policies: NamespacePolicies): NamespaceLimits {
  return {
    maxRps: amount("max_rps", policies.maxRps),
    burst: amount("burst", policies.burst),
    maxInBytesPerSecond: amount("max_in_bytes_per_second", policies.maxInBytesPerSecond),
    maxConcurrentCalls: amount("max_concurrent_calls", policies.maxConcurrentCalls),
    maxValueBytes: amount("max_value_bytes", policies.maxValueBytes, MAX_NAMESPACE_VALUE_BYTES),
    maxEntries: amount("max_entries", policies.maxEntries),
  };
}

function readTtl(policies: NamespacePolicies): TtlRules {
  const ttl = {
    defaultSeconds: amount("default_ttl_seconds", policies.defaultTtlSeconds, MAX_TTL_SECONDS),
    minSeconds: amount("min_ttl_seconds", policies.minTtlSeconds, MAX_TTL_SECONDS),
    maxSeconds: amount("max_ttl_seconds", policies.maxTtlSeconds, MAX_TTL_SECONDS),
    forbidden: policies.ttlForbidden,
  };
  const problem = findTtlProblem(ttl);
  if (problem !== undefined) {
    const field = TTL_FIELDS[problem.rule];
    throw invalid(field, `${field}: ${problem.message}`);
  }
  return ttl;
}

function readAccess({ owners, consumers }: AccessControlMessage): AccessControl {
  checkCount("owners", owners.length, 0, MAX_ITEMS);
  checkCount("consumers", consumers.length, 0, MAX_ITEMS);
  return {
    owners: checkEach("owners", owners, ({ team, role }) => {
      checkText("team", team, 1, MAX_NAME_BYTES);
      checkText("role", role, 1, MAX_NAME_BYTES);
      return { team, role };
    }),
    consumers: checkEach("consumers", consumers, ({ servicePattern, permissions, keyPrefix, methods }) => {
      if (!SERVICE_PATTERN.test(servicePattern)) {
        throw invalid(
          "service_pattern",
          'service_pattern must be a name, a beginning of names with "*" behind it, or "*" for all',
        );
      }
      checkCount("permissions", permissions.length, 1, PERMISSIONS.length);
      checkEach("permissions", permissions, (permission) => {
        if (!PERMISSIONS.some((known) => known === permission)) {
          throw invalid("", `must be one of: ${PERMISSIONS.join(", ")}`);
        }
      });
      checkText("key_prefix", keyPrefix, 0, MAX_KEY_BYTES);
      checkCount("methods", methods.length, 0, MAX_ITEMS);
      checkEach("methods", methods, (method) => checkText("", method, 1, MAX_NAME_BYTES));
      return { servicePattern, permissions, keyPrefix, methods: methods.length === 0 ? undefined : methods };
    }),
  };
}

/** A number that is not negative. */
function amount(field: string, given: bigint | number, max = Number.MAX_SAFE_INTEGER): number {
  if (given < 0 || given > max) {
    throw invalid(field, `${field} must be 0 to ${max}`);
  }
  return Number(given);
}

function checkText(field: string, text: string, minBytes: number, maxBytes: number): void {
  const bytes = Buffer.byteLength(text);
  if (bytes < minBytes || bytes > maxBytes || !text.isWellFormed()) {
    throw invalid(field, `${field} must be ${minBytes} to ${maxBytes} bytes of UTF-8`.trimStart());
  }
}

function levelOf(consistency: string): ConsistencyLevel {
  const found = LEVELS.find(([, text]) => text === consistency);
  return found?.[0] ?? ConsistencyLevel.UNSPECIFIED;
}
