/**
 * The format of a configuration file, in the operator's words. Everything has a default: `{}` is a
 * working configuration. Times are in milliseconds, sizes in bytes, and file names are relative to
 * the file's folder.
 *
 * A setting is one declaration here: key, default, bounds, text, flag and variable. The type of the
 * compiled configuration, the command line, its help text and docs/configuration.md derive from
 * these declarations.
 */
import { resolve } from "node:path";
import { z } from "zod";
import { type BackendConfig, backendSchema, pluginSchema } from "../backend/rooms.ts";
import { hasPlainUserinfo, USERINFO_FORMAT } from "../backend/url-userinfo.ts";
import { controlSchema } from "../catalog/config.ts";
import { DEFAULT_NAMESPACE, MAX_TTL_SECONDS, NAMESPACE_PATTERN } from "../limits.ts";
import { findTtlProblem, MAX_NAMESPACE_VALUE_BYTES } from "../namespaces/rules.ts";
import { ADDRESS_FORMAT, MAX_PORT, PORT_FORMAT, parseAddress } from "./address.ts";
import { authSchema, PERMISSION_SETTINGS, patternSchema } from "./auth-schema.ts";
import { setting } from "./setting.ts";
import { tracingSchema } from "./tracing-schema.ts";

/** The name of the store that `database` describes. */
export const DATABASE = "database";

/** The value of `database` if the file does not have it. */
const DEFAULT_DATABASE = { type: "sqlite", path: "./data/prism.db" } as const;

/** An address to listen on. */
const addressSchema = z.unknown().transform((given, context) => {
  const address = typeof given === "string" ? parseAddress(given) : undefined;
  if (address !== undefined) {
    return address;
  }
  // YAML reads a bare port as a number.
  const port = /^\d{1,5}$/.test(String(given)) ? '; a port alone is written ":8980"' : "";
  context.addIssue({ code: "custom", message: `expected ${ADDRESS_FORMAT}${port}` });
  return z.NEVER;
});

/** A port alone, as text from a flag or a variable. */
const portSchema = z
  .string()
  .regex(/^\d{1,5}$/, { error: PORT_FORMAT, abort: true })
  .transform(Number)
  .refine((port) => port <= MAX_PORT, { error: PORT_FORMAT });

const DAY_MS = 24 * 60 * 60 * 1000;
const MIB = 1024 * 1024;

const fileNameSchema = z.string().min(1);
const nameSchema = z.string().regex(NAMESPACE_PATTERN, {
  error:
    'expected a name of 1 to 63 characters: a lower-case letter, then lower-case letters, digits, "-", "_" or "."',
});

function whole(minimum: number, maximum: number) {
  // The bounds come first: only the first issue of a setting is reported.
  return z.number().min(minimum).max(maximum).int();
}

const originSchema = z.string().refine((text) => text === "*" || isOrigin(text), {
  error:
    'expected an origin such as "https://app.example.com" (scheme, host and port, nothing after it), or "*"',
});

function isOrigin(text: string): boolean {
  return /^https?:/.test(text) && URL.canParse(text) && new URL(text).origin === text;
}

const tlsSchema = z.strictObject({
  cert: setting(fileNameSchema.clone(), "The certificate chain, PEM."),
  key: setting(fileNameSchema.clone(), "The private key, PEM."),
  client_ca: setting(
    fileNameSchema.optional(),
    "A certificate authority, PEM. With it every client must show a certificate that it signed.",
  ),
  client_certificates: setting(
    z.enum(["required", "optional"]).default("required"),
    "optional = clients that show no certificate of client_ca are let in too, and need other credentials (auth).",
  ),
});

const hostSchema = z.string().refine((text) => text === "*" || isHost(text), {
  error:
    'expected a host name in lower case or an address, without its port, such as "prism.example.com", or "*"',
});

function isHost(text: string): boolean {
  const url = `http://${text}`;
  return URL.canParse(url) && new URL(url).host === text && !/:\d+$/.test(text);
}

const hostsSchema = () =>
  z
    .array(hostSchema)
    .refine((hosts) => hosts.length <= 1 || !hosts.includes("*"), {
      error: 'expected "*" alone, or host names only',
    })
    .optional();

const corsSchema = z.strictObject({
  origins: setting(
    z.array(originSchema).refine((origins) => origins.length <= 1 || !origins.includes("*"), {
      error: 'expected "*" alone, or exact origins only',
    }),
    'Origins whose pages may call: exact ones, or "*" alone for all. An empty list = none.',
  ),
});

const serverSchema = z
  .strictObject({
    listen_address: setting(
      addressSchema.optional(),
      "Where the data plane listens. Absent = on port 8980: of 127.0.0.1 only without auth, because then everybody may do everything, and of every IPv4 address with it. Port 0 = any free one.",
      {
        flag: "--listen",
        env: "PRISM_LISTEN",
        argument: "HOST:PORT",
        help: "where the data plane listens (default 127.0.0.1:8980, and with auth 0.0.0.0:8980)",
      },
      {
        flag: "--port",
        env: "PRISM_PORT",
        argument: "PORT",
        help: "the port alone, on the host that it says",
        schema: portSchema,
        part: "port",
        toValue: Number,
      },
    ),
    hosts: setting(
      hostsSchema(),
      'Host names that are answered besides those of loopback (localhost, 127.0.0.0/8, [::1]), without ports; "*" alone = all. Absent = on loopback none, so that no web page reaches the port by a name of its own; elsewhere all.',
    ),
    tls: setting(tlsSchema.optional(), "TLS on the port of the data plane. Absent = plaintext."),
    reload: setting(
      z.enum(["auto", "sighup", "off"]).default("auto"),
      "When this file and the TLS files are read again: auto = on SIGHUP and a moment after one of them changes, sighup = on SIGHUP alone, off = at a start alone.",
    ),
    // The implementation of HTTP/2. Node's is for tests and comparison, so no text offers it.
    http2: z.enum(["engine", "node"]).default("engine"),
    json_unknown_fields: setting(
      z.enum(["reject", "ignore"]).default("reject"),
      "Fields of a JSON request that its message does not have: refused, so that a slip of the pen is no success, or ignored.",
    ),
    cors: setting(
      corsSchema.prefault({ origins: [] }),
      "Which web pages may call. Absent = no page of another origin.",
    ),
    shutdown_grace_ms: setting(
      whole(0, DAY_MS).default(10_000),
      "How long calls in flight may go on after SIGTERM. 0 = they are cut at once.",
      {
        env: "PRISM_SHUTDOWN_GRACE_MS",
      },
    ),
    idle_timeout_ms: setting(
      whole(0, DAY_MS).default(300_000),
      "How long an HTTP connection without a call stays open. 0 = for ever.",
    ),
    header_timeout_ms: setting(
      whole(1, DAY_MS).default(10_000),
      "How long the first bytes of a connection, and the header of an HTTP/1.1 request, may take. 0 is refused: silent connections would pile up.",
    ),
    request_timeout_ms: setting(
      whole(0, DAY_MS).default(60_000),
      "How long a whole request, body included, may take to arrive. 0 = any time; else no less than header_timeout_ms.",
    ),
  })
  .refine(
    (server) => server.request_timeout_ms === 0 || server.header_timeout_ms <= server.request_timeout_ms,
    {
      path: ["request_timeout_ms"],
      error: "expected 0, or no less than header_timeout_ms: the header is a part of the request",
    },
  );

const adminSchema = z.strictObject({
  listen_address: setting(
    addressSchema.prefault("127.0.0.1:8090"),
    "Where the admin plane listens. Without auth everybody may do everything there, so only loopback is allowed. Port 0 = any free one.",
    {
      flag: "--admin-listen",
      env: "PRISM_ADMIN_LISTEN",
      argument: "HOST:PORT",
    },
  ),
  hosts: setting(hostsSchema(), "As server.hosts, for this port."),
  tls: setting(
    tlsSchema.optional(),
    "TLS on the admin port. Absent = plaintext: then keys and tokens can be read on their way.",
  ),
});

const auditSchema = z.strictObject({
  file: setting(
    fileNameSchema.optional(),
    "Where administrative calls and refused callers are told, one JSON object a line. It is made with mode 0600, appended to, and opened anew on SIGHUP or when it was moved away. Absent = the log has these lines, with audit: true.",
  ),
});

const MAX_COUNT = Number.MAX_SAFE_INTEGER;

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

const namespaceSchema = z
  .strictObject({
    name: setting(nameSchema.clone(), "What callers name it."),
    pattern: setting(z.enum(["keyvalue"]).default("keyvalue"), "What it is for."),
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

const quotasSchema = z
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

const loggingSchema = z.strictObject({
  level: setting(
    z.enum(["trace", "debug", "info", "warn", "error", "silent"]).default("info"),
    "The least that is logged; silent = nothing at all.",
    {
      env: "PRISM_LOG_LEVEL",
    },
  ),
  format: setting(
    z.enum(["auto", "json", "pretty"]).default("auto"),
    "json = one object a line; pretty = for people; auto = pretty on a terminal, else json.",
    {
      env: "PRISM_LOG_FORMAT",
    },
  ),
  slow_call_ms: setting(
    whole(0, DAY_MS).default(0),
    "A call that takes so long has a line with where its time went. Of a stream the time to its first message counts; a call that waits for something has none. 0 = off.",
  ),
});

const metricsSchema = z.strictObject({
  enabled: setting(
    z.boolean().default(true),
    "Whether calls are counted and GET /metrics on the admin plane tells of them.",
  ),
  max_namespaces: setting(
    whole(0, 1_000_000).default(1000),
    "The namespaces that have series of their own: the first that are called. The others are counted together, as namespace other.",
  ),
});

const limitsSchema = z.strictObject({
  max_value_bytes: setting(
    whole(1, 64 * MIB).default(4 * MIB),
    "The largest value that can be stored. A message may be larger by what surrounds the value. 0 is refused.",
    {
      env: "PRISM_MAX_VALUE_BYTES",
    },
  ),
  max_concurrent_streams: setting(
    whole(1, 65_535).default(1024),
    "Calls at the same time on one HTTP/2 connection. 0 is refused.",
  ),
  max_connections: setting(
    whole(1, 1_000_000).default(10_000),
    "Connections at the same time on the data plane; further ones are closed at once. 0 is refused.",
  ),
  max_connections_per_peer: setting(
    whole(0, 1_000_000).optional(),
    "The same of one address, so that one peer does not lock out the others. 0 = no such bound, as behind a load balancer that all connections come from. Absent = half of max_connections.",
  ),
  max_header_bytes: setting(
    whole(1024, MIB).default(16_384),
    "All header fields of one call together. Under 1 KiB real clients would fail.",
  ),
  max_receiving_bytes: setting(
    whole(MIB, 65_536 * MIB).default(256 * MIB),
    "Requests that are coming in, of all connections together: where they are larger, those that do not come in one piece fail as OVERLOADED. No less than one request of the largest size is always let in.",
  ),
  max_unsent_bytes: setting(
    whole(MIB, 65_536 * MIB).default(512 * MIB),
    "Answers that wait because their callers do not take them, of all connections together: where they are larger, the largest and oldest are ended, and new large ones fail as OVERLOADED. Room for two of the largest size there always is.",
  ),
  max_timeout_ms: setting(
    whole(0, DAY_MS).default(0),
    "The longest that a call may run, whatever deadline its caller sets. 0 = as long as the caller lets it.",
  ),
});

/** A whole configuration file. */
export const configSchema = z.strictObject({
  server: serverSchema.prefault({}),
  admin: adminSchema.prefault({}),
  audit: auditSchema.prefault({}),
  auth: setting(
    authSchema.optional(),
    "Who may call, and what each may do: docs/security.md. Absent = everybody may do everything.",
  ),
  database: setting(
    backendSchema.prefault(DEFAULT_DATABASE),
    "The store of every namespace that names no other; docs/backends.md has the options of each type.",
    {
      flag: "--data-dir",
      env: "PRISM_DATA_DIR",
      argument: "DIR",
      help: "SQLite in DIR/prism.db (default ./data)",
      schema: z.string().min(1),
      toValue: (folder, cwd): BackendConfig => ({ type: "sqlite", path: resolve(cwd, folder, "prism.db") }),
    },
    {
      flag: "--memory",
      env: "PRISM_MEMORY",
      help: "in memory, gone at exit (variable: 1 or true, 0 or false)",
      schema: z.enum(["1", "true", "0", "false"]),
      toValue: (text): BackendConfig | undefined =>
        text === "1" || text === "true" ? { type: "memory" } : undefined,
    },
  ),
  backends: setting(
    z
      .record(
        nameSchema.refine((name) => name !== DATABASE, {
          error: `"${DATABASE}" is the default store's own name`,
        }),
        backendSchema,
      )
      .default({}),
    "Further stores, by name.",
  ),
  namespaces: setting(
    z
      .array(namespaceSchema)
      .min(1, { error: "expected at least one namespace; without the key there is one, called default" })
      .prefault([{ name: DEFAULT_NAMESPACE }]),
    "What callers can name. Absent = one, default, on database. An empty list is refused: nothing could be called.",
  ),
  control: setting(
    controlSchema.optional(),
    "Where namespaces that are made at run time are kept; docs/namespaces.md has the options of each type. Absent = beside the data of database, if a namespace of the file is on it and it is SQLite or PostgreSQL; otherwise in memory.",
  ),
  quotas: quotasSchema.prefault({}),
  logging: loggingSchema.prefault({}),
  metrics: metricsSchema.prefault({}),
  tracing: tracingSchema.prefault({}),
  limits: limitsSchema.prefault({}),
});

/** A checked file with its defaults, still in the operator's words. */
export type CheckedFile = z.output<typeof configSchema>;
