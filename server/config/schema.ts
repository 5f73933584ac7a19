/**
 * What a configuration file may say, in the operator's words. Everything has a default: `{}` is a working
 * configuration. Times are in milliseconds, sizes in bytes, file names relative to the folder of the file.
 */
import { z } from "zod";
import { backendSchema, pluginSchema } from "../backend/rooms.ts";
import { DEFAULT_NAMESPACE, NAMESPACE_PATTERN } from "../limits.ts";
import { ADDRESS_FORMAT, MAX_PORT, PORT_FORMAT, parseAddress } from "./address.ts";

/** The name under which a namespace finds the store that `database` describes. */
export const DATABASE = "database";

/** `database` where the file does not have it. */
export const DEFAULT_DATABASE = { type: "sqlite", path: "./data/prism.db" } as const;

/** `logging.level`; "silent" = nothing at all. */
export const logLevelSchema = z.enum(["trace", "debug", "info", "warn", "error", "silent"]);

/** `logging.format`; "json" = one object per line, "pretty" = for people, "auto" = "pretty" on a terminal, else "json". */
export const logFormatSchema = z.enum(["auto", "json", "pretty"]);

/** An address to listen on. */
export const addressSchema = z.unknown().transform((given, context) => {
  const address = typeof given === "string" ? parseAddress(given) : undefined;
  if (address !== undefined) {
    return address;
  }
  // YAML makes a number of a bare port.
  const port = /^\d{1,5}$/.test(String(given)) ? '; a port alone is written ":8980"' : "";
  context.addIssue({ code: "custom", message: `expected ${ADDRESS_FORMAT}${port}` });
  return z.NEVER;
});

/** A port alone, as a flag or a variable has it: in text. */
export const portSchema = z
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
  // The bounds first: of two objections to one setting only the first is told.
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
  /** Certificate chain, PEM. */
  cert: fileNameSchema,
  /** Private key, PEM. */
  key: fileNameSchema,
  /** Certificate authority, PEM. With it every client must show a certificate that it signed. */
  client_ca: fileNameSchema.optional(),
});

const corsSchema = z.strictObject({
  /** Origins whose pages may call: exact, or "*" alone for all. Empty = none. */
  origins: z.array(originSchema).refine((origins) => origins.length <= 1 || !origins.includes("*"), {
    error: 'expected "*" alone, or exact origins only',
  }),
});

const serverSchema = z
  .strictObject({
    /** The data plane. Port 0 = any free one. */
    listen_address: addressSchema.prefault("0.0.0.0:8980"),
    /** Absent = plaintext. */
    tls: tlsSchema.optional(),
    /** What speaks HTTP/2: Prism's own engine, which is several times as fast, or Node's. */
    http2: z.enum(["engine", "node"]).default("engine"),
    /** Fields of a JSON request that its message does not have: refused, so that a slip of the pen is no success, or passed over. */
    json_unknown_fields: z.enum(["reject", "ignore"]).default("reject"),
    /** Absent = no page of another origin may call. */
    cors: corsSchema.prefault({ origins: [] }),
    /** How long calls in flight may go on after SIGTERM. 0 = they are cut at once. */
    shutdown_grace_ms: whole(0, DAY_MS).default(10_000),
    /** How long an HTTP connection without a call stays open. 0 = for ever. */
    idle_timeout_ms: whole(0, DAY_MS).default(300_000),
    /** How long the first bytes of a connection, and the header of an HTTP/1.1 request, may take. 0 is refused: silent connections would pile up. */
    header_timeout_ms: whole(1, DAY_MS).default(10_000),
    /** How long a whole request, body included, may take to arrive. 0 = any time; else no less than header_timeout_ms. */
    request_timeout_ms: whole(0, DAY_MS).default(60_000),
  })
  .refine(
    (server) => server.request_timeout_ms === 0 || server.header_timeout_ms <= server.request_timeout_ms,
    {
      path: ["request_timeout_ms"],
      error: "expected 0, or no less than header_timeout_ms: the header is a part of the request",
    },
  );

const adminSchema = z.strictObject({
  /** The admin plane. It asks for no password: leave it on the loopback interface or a private network. Port 0 = any free one. */
  listen_address: addressSchema.prefault("127.0.0.1:8090"),
});

const namespaceSchema = z
  .strictObject({
    /** What callers name it. */
    name: nameSchema,
    /** What it is for. */
    pattern: z.enum(["keyvalue"]).default("keyvalue"),
    /** A name from `backends`. Absent = the store of `database`, unless there is a plugin. */
    backend: z.string().optional(),
    /** RFC-026's binding to another process: a backend of type remote for this namespace alone. */
    plugin: pluginSchema.optional(),
  })
  .refine(({ backend, plugin }) => backend === undefined || plugin === undefined, {
    path: ["plugin"],
    error: "cannot be combined with backend: both say where data goes",
  });

const loggingSchema = z.strictObject({
  level: logLevelSchema.default("info"),
  format: logFormatSchema.default("auto"),
});

const limitsSchema = z.strictObject({
  /** Largest value that can be stored. A message may be larger by what surrounds the value. 0 is refused. */
  max_value_bytes: whole(1, 64 * MIB).default(4 * MIB),
  /** Calls at the same time on one HTTP/2 connection. 0 is refused. */
  max_concurrent_streams: whole(1, 65_535).default(1024),
  /** Connections at the same time on the data plane; further ones are closed at once. 0 is refused. */
  max_connections: whole(1, 1_000_000).default(10_000),
  /**
   * The same of one address, so that one peer does not lock out the others. 0 = no such bound, as behind a load balancer that all
   * connections come from. Absent = half of max_connections.
   */
  max_connections_per_peer: whole(0, 1_000_000).optional(),
  /** All header fields of one call together. 0 is refused; under 1 KiB real clients would fail. */
  max_header_bytes: whole(1024, MIB).default(16_384),
  /**
   * Requests that are coming in, of all connections together: where they are larger, those that do not come in one piece fail as
   * OVERLOADED. No less than one request of the largest size is always let in.
   */
  max_receiving_bytes: whole(MIB, 65_536 * MIB).default(256 * MIB),
  /**
   * Answers that wait because their callers do not take them, of all connections together: where they are larger, the largest and
   * oldest are ended, and new large ones fail as OVERLOADED. Room for two of the largest size there always is.
   */
  max_unsent_bytes: whole(MIB, 65_536 * MIB).default(512 * MIB),
  /** The longest that a call may run, whatever deadline its caller sets. 0 = as long as the caller lets it. */
  max_timeout_ms: whole(0, DAY_MS).default(0),
});

/** A whole configuration file. */
export const configSchema = z.strictObject({
  server: serverSchema.prefault({}),
  admin: adminSchema.prefault({}),
  /** The store of every namespace that names no other. */
  database: backendSchema.prefault(DEFAULT_DATABASE),
  /** Further stores, by name. */
  backends: z
    .record(
      nameSchema.refine((name) => name !== DATABASE, {
        error: `"${DATABASE}" is the default store's own name`,
      }),
      backendSchema,
    )
    .default({}),
  /** What callers can name. Absent = one, "default", on `database`. An empty list is refused: nothing could be called. */
  namespaces: z
    .array(namespaceSchema)
    .min(1, { error: "expected at least one namespace; without the key there is one, called default" })
    .prefault([{ name: DEFAULT_NAMESPACE }]),
  logging: loggingSchema.prefault({}),
  limits: limitsSchema.prefault({}),
});

/** A checked file with its defaults filled in, still in the operator's words. */
export type CheckedFile = z.output<typeof configSchema>;
