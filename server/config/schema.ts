/**
 * The format of a configuration file, in the operator's words. Everything has a default: `{}` is a
 * working configuration. Times are in milliseconds, sizes in bytes, and file names are relative to
 * the file's folder.
 *
 * A setting is one declaration here: key, default, bounds, text, flag and variable. The type of the
 * compiled configuration, the command line, its help text and docs/configuration.md derive from
 * these declarations. The larger sections have files of their own, `*-schema.ts`.
 */
import { resolve } from "node:path";
import { z } from "zod";
import { type BackendConfig, backendSchema } from "../backend/rooms.ts";
import { controlSchema } from "../catalog/config.ts";
import { DEFAULT_NAMESPACE } from "../limits.ts";
import { authSchema } from "./auth-schema.ts";
import { namespaceSchema, quotasSchema } from "./namespace-schema.ts";
import { adminSchema, serverSchema } from "./server-schema.ts";
import { setting } from "./setting.ts";
import { DAY_MS, fileNameSchema, nameSchema, whole } from "./setting-types.ts";
import { tracingSchema } from "./tracing-schema.ts";

/** The name of the store that `database` describes. */
export const DATABASE = "database";

/** The value of `database` if the file does not have it. */
const DEFAULT_DATABASE = { type: "sqlite", path: "./data/prism.db" } as const;

const MIB = 1024 * 1024;

const auditSchema = z.strictObject({
  file: setting(
    fileNameSchema.optional(),
    "Where administrative calls and refused callers are told, one JSON object a line. It is made with mode 0600, appended to, and opened anew on SIGHUP or when it was moved away. Absent = the log has these lines, with audit: true.",
  ),
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
