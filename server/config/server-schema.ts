/** The format of `server:` and `admin:` in a configuration file: the two ports. */
import { z } from "zod";
import { ADDRESS_FORMAT, MAX_PORT, PORT_FORMAT, parseAddress } from "./address.ts";
import { setting } from "./setting.ts";
import { DAY_MS, fileNameSchema, whole } from "./setting-types.ts";

/**
 * An address to listen on. It is text; other types come as far as here for the sake of the message.
 */
const addressSchema = z
  .unknown()
  .meta({ type: "string" })
  .transform((given, context) => {
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

/** The most worker processes. */
const MAX_WORKERS = 256;

/** A number of workers, as text from a flag or a variable. */
const workersText = z
  .string()
  .refine((text) => text === "auto" || (/^[1-9]\d{0,2}$/.test(text) && Number(text) <= MAX_WORKERS), {
    error: `expected a number from 1 to ${MAX_WORKERS}, or auto`,
  });

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

/** `server:` in the configuration. */
export const serverSchema = z
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
    workers: setting(
      z.union([whole(1, MAX_WORKERS), z.literal("auto")]).default(1),
      "Processes behind the data port; auto = one for each processor. More than 1 needs stores that several processes can have open (postgres, redis, kafka, a plugin). Each process has its own connections to the stores and its own limits.max_*; quotas hold for all together, but for calls at the same time.",
      {
        flag: "--workers",
        env: "PRISM_WORKERS",
        argument: "N",
        help: "processes behind the data port, or auto (default 1)",
        schema: workersText,
        toValue: (text) => (text === "auto" ? text : Number(text)),
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

/** `admin:` in the configuration. */
export const adminSchema = z.strictObject({
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
  console: setting(
    z.boolean().default(true),
    "Whether the admin port has the console at /, and the calls about data that it makes: each may there what it may on the data port.",
  ),
});
