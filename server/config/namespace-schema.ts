/** The format of an item of `namespaces:` in a configuration file, and of `quotas:`. */
import { z } from "zod";
import { pluginSchema } from "../backend/rooms.ts";
import { hasPlainUserinfo, USERINFO_FORMAT } from "../backend/url-userinfo.ts";
import { MAX_RETENTION_DAYS, MAX_TTL_SECONDS } from "../limits.ts";
import { findTtlProblem, MAX_NAMESPACE_VALUE_BYTES, PATTERNS } from "../namespaces/rules.ts";
import { PERMISSION_SETTINGS, patternSchema } from "./auth-schema.ts";
import { setting } from "./setting.ts";
import { MAX_COUNT, nameSchema, whole } from "./setting-types.ts";

/** More calls a second than a gateway answers. */
const MAX_RATE = 100_000_000;

/** The limits of calls, each time with schemas of their own. */
const callLimits = () => ({
  max_rps: setting(whole(0, MAX_RATE).default(0), "Calls a second, on average. 0 = no limit."),
  burst: setting(whole(0, MAX_RATE).default(0), "Calls at once after a quiet time. 0 = as many as max_rps."),
  max_in_bytes_per_second: setting(
    whole(0, MAX_COUNT).default(0),
    "Bytes of requests a second, on average. 0 = no limit.",
  ),
  max_concurrent_calls: setting(
    whole(0, MAX_COUNT).default(0),
    "Calls at the same time on one gateway; those that wait for something count. 0 = no limit.",
  ),
});

/** A burst without a rate would do nothing. */
const hasRate = ({ burst, max_rps: rate }: { readonly burst: number; readonly max_rps: number }) =>
  burst === 0 || rate > 0;
const NO_RATE = { path: ["burst"], error: "expected max_rps too: it says how fast a burst comes back" };

const namespaceLimitsSchema = z.strictObject({
  ...callLimits(),
  max_value_bytes: setting(
    whole(0, MAX_NAMESPACE_VALUE_BYTES).default(0),
    "The largest value. limits.max_value_bytes holds too. 0 = no further limit.",
  ),
  max_entries: setting(
    whole(0, MAX_COUNT).default(0),
    "The most entries, on a store that counts them cheaply (memory, redis); another one is refused. 0 = no limit.",
  ),
});

const ttlSchema = z
  .strictObject({
    default_seconds: setting(
      whole(0, MAX_TTL_SECONDS).default(0),
      "For entries that are set without a time to live. 0 = none.",
    ),
    min_seconds: setting(whole(0, MAX_TTL_SECONDS).default(0), "The shortest. 0 = any."),
    max_seconds: setting(
      whole(0, MAX_TTL_SECONDS).default(0),
      "The longest; with it every entry has one, its own or the default, and a call that gives none without a default is refused. 0 = any.",
    ),
    forbidden: setting(z.boolean().default(false), "True = no entry may have one."),
  })
  .superRefine((ttl, context) => {
    const problem = findTtlProblem({
      defaultSeconds: ttl.default_seconds,
      minSeconds: ttl.min_seconds,
      maxSeconds: ttl.max_seconds,
      forbidden: ttl.forbidden,
    });
    if (problem !== undefined) {
      const key = problem.rule.replace("S", "_s");
      context.addIssue({ code: "custom", path: [key], message: problem.message });
    }
  });

const timeseriesSchema = z.strictObject({
  retention_days: setting(
    whole(0, MAX_RETENTION_DAYS).default(0),
    "Days for which events are kept, from their own time, of streams that state nothing themselves. A stream has its own from when it is made. 0 = for ever.",
  ),
  late_events: setting(
    z.enum(["accept", "refuse"]).default("accept"),
    "What becomes of an append with an event that is older than what its stream keeps. accept = it is taken, and nobody sees that event. refuse = it is refused.",
  ),
});

const accessSchema = z.strictObject({
  owners: setting(
    z.array(z.strictObject({ team: z.string().min(1), role: z.string().min(1) })).default([]),
    "Who answers for it: a list of {team, role}, for people. It grants nothing.",
  ),
  consumers: z
    .array(
      z.strictObject({
        service_pattern: setting(
          patternSchema.clone(),
          'Who: a name of a caller, or a beginning of names with "*" behind it, as user-api.prod.*.',
        ),
        permissions: PERMISSION_SETTINGS.permissions(),
        key_prefix: PERMISSION_SETTINGS.key_prefix(),
        methods: PERMISSION_SETTINGS.methods(),
      }),
    )
    .default([]),
});

/** What is kept of a namespace that was made at run time, beside what every namespace has. */
const madeSchema = z.strictObject({
  version: whole(1, MAX_COUNT),
  at: z.iso.datetime({ error: 'expected a time such as "2026-01-31T12:00:00.000Z"' }),
  deleting: z.boolean().default(false),
  wishes: z
    .strictObject({
      read_rps: whole(0, MAX_COUNT).default(0),
      write_rps: whole(0, MAX_COUNT).default(0),
      data_size_gb: whole(0, MAX_COUNT).default(0),
      retention_days: whole(0, MAX_COUNT).default(0),
      consistency: z.string().default(""),
      cache_enabled: z.boolean().default(false),
      cache_ttl_seconds: whole(0, MAX_COUNT).default(0),
    })
    .prefault({}),
});

/** An item of `namespaces:` in the configuration. */
export const namespaceSchema = z
  .strictObject({
    name: setting(nameSchema.clone(), "What callers name it."),
    pattern: setting(
      z.enum(PATTERNS).default("keyvalue"),
      "What it is for. timeseries = it is on a backend with streams of events, which is checked at the start; every call that its backend has is served either way.",
    ),
    backend: setting(
      z.string().optional(),
      "A name from backends. Absent = the store of database, unless there is a plugin.",
    ),
    plugin: setting(
      pluginSchema.optional(),
      "A backend of type remote for this namespace alone: its options without the type.",
    ),
    limits: namespaceLimitsSchema.refine(hasRate, NO_RATE).prefault({}),
    ttl: ttlSchema.prefault({}),
    timeseries: timeseriesSchema.prefault({}),
    access: accessSchema.prefault({}),
    made: setting(
      madeSchema.optional(),
      "The gateway writes it where the namespace was made at run time. Such a namespace is changed on the admin port, not here.",
    ),
  })
  .refine(({ backend, plugin }) => backend === undefined || plugin === undefined, {
    path: ["plugin"],
    error: "cannot be combined with backend: both say where data goes",
  })
  .refine(({ made, plugin }) => made === undefined || plugin === undefined, {
    path: ["made"],
    error: "cannot be combined with plugin",
  });

/** `quotas:` in the configuration. */
export const quotasSchema = z
  .strictObject({
    default: z.strictObject(callLimits()).refine(hasRate, NO_RATE).prefault({}),
    principals: z
      .array(
        z
          .strictObject({
            principal: setting(
              patternSchema.clone(),
              'Whose: a name of a caller, or a beginning of names with "*" behind it, as user-api.prod.*. Each of them has the limits for itself. The first that fits holds, in place of quotas.default.',
            ),
            ...callLimits(),
          })
          .refine(hasRate, NO_RATE),
      )
      .default([]),
    by_address: setting(
      z.boolean().default(false),
      "Callers without a name are told apart by their addresses. Otherwise they are one caller together.",
    ),
    shared: setting(
      z.boolean().default(false),
      "Rates of namespaces, callers and services hold for all gateways with the same redis together. Calls at the same time count on each gateway.",
    ),
    redis: setting(
      z
        .string()
        .refine(hasPlainUserinfo, { error: USERINFO_FORMAT, abort: true })
        .refine((text) => /^rediss?:\/\/[^/?#]+(\/\d{0,5})?$/.test(text) && URL.canParse(text), {
          error: 'expected a URL such as "redis://user@host:6379/0"; rediss:// means TLS',
        })
        .optional(),
      "Where gateways share them: one Redis, no Cluster. While it is away each gateway limits by itself.",
    ),
  })
  .refine(({ shared, redis }) => shared === (redis !== undefined), {
    path: ["redis"],
    error: "expected with shared: true, and only then",
  });
