import { parseArgs } from "node:util";
import { ADDRESS_FORMAT, type Address, parseAddress } from "./config/address.ts";
import { type Flags, SOURCES } from "./config/settings.ts";
import { nearest } from "./nearest.ts";

/** A command with its own help text. */
export type Topic = "serve" | "config" | "auth";

/** A parsed command line. */
export type Command =
  /** Run the gateway. `file` is the value of --config; `loadConfig` reads PRISM_CONFIG. */
  | { readonly kind: "serve"; readonly file: string | undefined; readonly flags: Flags }
  /** Check a configuration file and do nothing else. */
  | { readonly kind: "config-check"; readonly file: string }
  /** Print the hash of an API key: of the one on standard input, or else of a new one. */
  | { readonly kind: "auth-hash"; readonly stdin: boolean }
  /**
   * Check a configuration file and compare it with a running gateway, whose admin port is there.
   * `undefined` = where the file says.
   */
  | { readonly kind: "config-diff"; readonly file: string; readonly admin: Address | undefined }
  /** Print {@link helpText} of `topic`; `undefined` = the program's. */
  | { readonly kind: "help"; readonly topic: Topic | undefined }
  /** Print the version. */
  | { readonly kind: "version" };

/** The command line is wrong; the message names the part. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  /** The help text to point to; `undefined` = the program's. */
  readonly topic: Topic | undefined;

  constructor(message: string, topic?: Topic) {
    super(message);
    this.topic = topic;
  }
}

/**
 * Parses a command line without the program's name (`process.argv.slice(2)`). An empty one asks for
 * help.
 *
 * @throws {UsageError}
 */
export function parseCommand(argv: readonly string[]): Command {
  const [command, ...rest] = argv;
  switch (command) {
    case undefined:
    case "--help":
    case "-h":
      return { kind: "help", topic: undefined };
    case "help":
      return parseHelp(rest);
    case "--version":
    case "version":
      return { kind: "version" };
    case "serve":
      return parseServe(rest);
    case "config":
      return parseConfig(rest);
    case "auth":
      return parseAuth(rest);
    default: {
      if (command.startsWith("-")) {
        throw new UsageError(`unknown option "${command}"; options come after the command`);
      }
      const meant = nearest(command, COMMANDS);
      throw new UsageError(
        `unknown command "${command}"${meant === undefined ? "" : `; did you mean "${meant}"?`}`,
      );
    }
  }
}

const TOPICS: readonly Topic[] = ["serve", "config", "auth"];
const COMMANDS: readonly string[] = [...TOPICS, "help", "version"];

function parseHelp([topic, ...further]: readonly string[]): Command {
  if (further.length > 0) {
    throw new UsageError(`unexpected argument "${further[0]}"`);
  }
  const known = TOPICS.find((name) => name === topic);
  if (topic !== undefined && known === undefined) {
    throw new UsageError(`no help for "${topic}"; expected one of: ${TOPICS.join(", ")}`);
  }
  return { kind: "help", topic: known };
}

const HELP_OPTION = { help: { type: "boolean", short: "h" } } as const;

/** The flags of `serve` in node:util's form. */
const SERVE_OPTIONS: Readonly<
  Record<string, { readonly type: "boolean" | "string"; readonly short?: string }>
> = {
  ...HELP_OPTION,
  ...Object.fromEntries(
    SOURCES.flatMap(({ flag, argument }) =>
      flag === undefined ? [] : [[flag.slice(2), { type: argument === undefined ? "boolean" : "string" }]],
    ),
  ),
};

function parseServe(argv: readonly string[]): Command {
  const { values, positionals } = strictly("serve", argv, SERVE_OPTIONS, () =>
    parseArgs({ args: [...argv], allowPositionals: true, options: SERVE_OPTIONS }),
  );
  const { help, config: file, ...flags } = values;
  if (help === true) {
    return { kind: "help", topic: "serve" };
  }
  if (positionals.length > 0) {
    throw new UsageError(`unexpected argument "${positionals[0]}"`, "serve");
  }
  if (file === "") {
    throw new UsageError("option --config needs a file name", "serve");
  }
  return { kind: "serve", file: typeof file === "string" ? file : undefined, flags: { ...flags } };
}

const CONFIG_OPTIONS = { ...HELP_OPTION, diff: { type: "boolean" }, admin: { type: "string" } } as const;

function parseConfig(argv: readonly string[]): Command {
  const { values, positionals } = strictly("config", argv, CONFIG_OPTIONS, () =>
    parseArgs({ args: [...argv], allowPositionals: true, options: CONFIG_OPTIONS }),
  );
  if (values.help === true) {
    return { kind: "help", topic: "config" };
  }
  const [action, file, ...further] = positionals;
  if (action === undefined) {
    throw new UsageError('"config" needs a command: config check FILE', "config");
  }
  if (action !== "check") {
    throw new UsageError(`unknown command "config ${action}"; expected: config check FILE`, "config");
  }
  if (file === undefined || file === "") {
    throw new UsageError('"config check" needs a file name', "config");
  }
  if (further.length > 0) {
    throw new UsageError(`unexpected argument "${further[0]}"`, "config");
  }
  const { diff = false, admin } = values;
  if (!diff) {
    if (admin !== undefined) {
      throw new UsageError("option --admin goes with --diff", "config");
    }
    return { kind: "config-check", file };
  }
  const address = admin === undefined ? undefined : parseAddress(admin);
  if (admin !== undefined && address === undefined) {
    throw new UsageError(`option --admin: expected ${ADDRESS_FORMAT}`, "config");
  }
  return { kind: "config-diff", file, admin: address };
}

const AUTH_OPTIONS = { ...HELP_OPTION, stdin: { type: "boolean" } } as const;

function parseAuth(argv: readonly string[]): Command {
  const { values, positionals } = strictly("auth", argv, AUTH_OPTIONS, () =>
    parseArgs({ args: [...argv], allowPositionals: true, options: AUTH_OPTIONS }),
  );
  if (values.help === true) {
    return { kind: "help", topic: "auth" };
  }
  const [action, ...further] = positionals;
  if (action !== "hash") {
    const given = action === undefined ? '"auth" needs a command' : `unknown command "auth ${action}"`;
    throw new UsageError(`${given}; expected: auth hash`, "auth");
  }
  if (further.length > 0) {
    // Not repeated: it may be a key, and messages end up in logs.
    throw new UsageError(
      '"auth hash" takes no key as an argument, where others can read it; use --stdin',
      "auth",
    );
  }
  return { kind: "auth-hash", stdin: values.stdin === true };
}

/** Runs parseArgs. Its errors become UsageErrors with the first sentence of their message. */
function strictly<T>(topic: Topic, argv: readonly string[], options: object, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof TypeError) || !("code" in error)) {
      throw error;
    }
    const [sentence = ""] = error.message.split(/\.\s|\n/);
    const meant =
      error.code === "ERR_PARSE_ARGS_UNKNOWN_OPTION" ? nearestOption(argv, Object.keys(options)) : undefined;
    const suggestion = meant === undefined ? "" : `; did you mean "--${meant}"?`;
    throw new UsageError(sentence.charAt(0).toLowerCase() + sentence.slice(1) + suggestion, topic);
  }
}

/** A suggestion for the first unknown option. */
function nearestOption(argv: readonly string[], known: readonly string[]): string | undefined {
  const { tokens } = parseArgs({ args: [...argv], strict: false, tokens: true });
  const unknown = tokens.find((token) => token.kind === "option" && !known.includes(token.name));
  return unknown?.kind === "option" ? nearest(unknown.name, known) : undefined;
}

/**
 * The help text of the program (`undefined`) or of a command: flags, variables and exit codes. Ends
 * with a line feed.
 */
export function helpText(topic?: Topic): string {
  switch (topic) {
    case undefined:
      return MAIN_HELP;
    case "serve":
      return serveHelp();
    case "config":
      return CONFIG_HELP;
    case "auth":
      return AUTH_HELP;
  }
}

const MAIN_HELP = `prism: a data access gateway

usage:
  prism serve [options]      run the gateway
  prism config check FILE    check a configuration file; with --diff: what would it change?
  prism auth hash            make an API key and the hash for the configuration
  prism version              print the version
  prism help [COMMAND]       print this, or the help of a command

exit codes:
  0  done, or stopped as asked
  1  failed while running
  2  wrong command line or configuration
  3  config check --diff: the file would change something
`;

const CONFIG_HELP = `usage: prism config check [--diff [--admin HOST:PORT]] FILE

Checks a configuration file the way "prism serve" would, with the same environment
variables, and prints every problem as file:line:column. Opens no store and no port.

options:
  --diff
      also ask a running gateway for its configuration, and print what the file would
      change there and what of it needs a restart. The gateway's own flags and variables
      stay what they are. Secrets are not compared
  --admin HOST:PORT
      the gateway's admin port; without it admin.listen_address of the file. Where the
      gateway asks who calls, the variable PRISM_ADMIN_KEY has a key of a viewer
  -h, --help
      print this

Exit code 0: usable, and nothing would change; 1: the gateway does not answer;
2: not usable; 3: usable, and something would change.
`;

const AUTH_HELP = `usage: prism auth hash [--stdin]

Makes a new random API key and prints it with its hash. The hash goes into the
configuration (auth.api_keys), the key to its caller, and nowhere else.

options:
  --stdin
      hash the key on standard input, and make none
  -h, --help
      print this
`;

/** Lines of at most 90 characters, indented under what they explain. */
function wrapped(text: string): string {
  return text.replace(/(.{1,84})(?: |$)/g, "      $1\n");
}

function serveHelp(): string {
  const flags = SOURCES.flatMap(({ flag, argument = "", env, help }) =>
    flag === undefined ? [] : [`  ${`${flag} ${argument}`.trimEnd()} [${env}]\n${wrapped(help)}`],
  );
  const variables = SOURCES.flatMap(({ flag, env, help }) =>
    flag === undefined ? [`  ${env}\n${wrapped(help)}`] : [],
  );
  return `usage: prism serve [options]

Runs the gateway. A flag wins over its environment variable (in brackets), that over
the configuration file, and that over the default.

options:
${flags.join("")}  -h, --help
      print this

environment variables without a flag:
${variables.join("")}
Without --memory, --data-dir or a database in the file, data is in ./data/prism.db, next
to the configuration file or, without one, in the current folder.
`;
}
