import { type ParseArgsOptionsConfig, parseArgs } from "node:util";
import { type CommandName, type CommandRow, commandsOf, optionsOf, WORDS } from "./command/table.ts";
import { ADDRESS_FORMAT, type Address, parseAddress } from "./config/address.ts";
import type { Flags } from "./config/settings.ts";
import { nearest, oneOf } from "./nearest.ts";

/** A command of `command/run.ts`: it calls a gateway, or needs none. */
export type CallName = Exclude<
  CommandName,
  "serve" | "config check" | "config schema" | "doctor" | "auth hash" | "help" | "version"
>;

/**
 * The options that were given, by their names. True = one without a value; a list has the values of
 * one that may be given several times.
 */
export type Options = Readonly<Record<string, string | boolean | readonly string[] | undefined>>;

/** A parsed command line. */
export type Command =
  /** Run the gateway. `file` is the value of --config; `loadConfig` reads PRISM_CONFIG. */
  | { readonly kind: "serve"; readonly file: string | undefined; readonly flags: Flags }
  /** Check a configuration file and do nothing else. */
  | { readonly kind: "config-check"; readonly file: string }
  /** Print the JSON Schema of a configuration file. */
  | { readonly kind: "config-schema" }
  /** Look at the stores of a configuration; `file` as of `serve`. */
  | { readonly kind: "doctor"; readonly file: string | undefined; readonly json: boolean }
  /** Print the hash of an API key: of the one on standard input, or else of a new one. */
  | { readonly kind: "auth-hash"; readonly stdin: boolean }
  /**
   * Check a configuration file and compare it with a running gateway, whose admin port is there.
   * `undefined` = where the file says.
   */
  | { readonly kind: "config-diff"; readonly file: string; readonly admin: Address | undefined }
  /** Run a command of `command/run.ts`. `args` are as many as the command takes. */
  | {
      readonly kind: "call";
      readonly name: CallName;
      readonly args: readonly string[];
      readonly options: Options;
    }
  /** Print {@link helpText} of `topic`; `undefined` = the program's. */
  | { readonly kind: "help"; readonly topic: string | undefined }
  /** Print the version. */
  | { readonly kind: "version" };

/** The command line is wrong; the message names the part. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  /** The command whose help has more; `undefined` = the program's. */
  readonly topic: string | undefined;

  constructor(message: string, topic?: string) {
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
export async function parseCommand(argv: readonly string[]): Promise<Command> {
  const [word, ...rest] = argv;
  if (word === undefined || word === "--help" || word === "-h") {
    return { kind: "help", topic: undefined };
  }
  if (word === "--version") {
    return { kind: "version" };
  }
  if (word.startsWith("-")) {
    throw new UsageError(`unknown option "${word}"; options come after the command`);
  }
  const rows = commandsOf(word);
  const [first] = rows;
  if (first === undefined) {
    const meant = nearest(word, WORDS);
    throw new UsageError(
      `unknown command "${word}"${meant === undefined ? "" : `; did you mean "${meant}"?`}`,
    );
  }
  if (first.name === word) {
    return parseRest(first, word, rest);
  }
  const [action, ...further] = rest;
  const row = rows.find(({ name }) => name === `${word} ${action}`);
  if (row !== undefined) {
    return parseRest(row, word, further);
  }
  if (action === "--help" || action === "-h") {
    return { kind: "help", topic: word };
  }
  const given =
    action === undefined || action.startsWith("-")
      ? `"${word}" needs a command`
      : `unknown command "${word} ${action}"`;
  throw new UsageError(`${given}; expected: ${rows.map(synopsis).join(", ")}`, word);
}

type NamedRow = ReturnType<typeof commandsOf>[number];

/** Parses what comes behind the name of a command. */
async function parseRest(row: NamedRow, topic: string, argv: readonly string[]): Promise<Command> {
  const { args, options } = parseWords(topic, argv, toParserOptions(await optionsOf(row)));
  if (options.help === true) {
    return { kind: "help", topic };
  }
  if (row.name === "auth hash" && args.length > 0) {
    // Not repeated: it may be a key, and messages end up in logs.
    throw new UsageError(
      '"auth hash" takes no key as an argument, where others can read it; use --stdin',
      topic,
    );
  }
  requireArgs(row, topic, args);
  const [first = ""] = args;
  switch (row.name) {
    case "serve":
      return toServe(options);
    case "config check":
      return toConfigCheck(first, options);
    case "config schema":
      return { kind: "config-schema" };
    case "doctor":
      return { kind: "doctor", file: toFile(options.config, topic), json: options.json === true };
    case "auth hash":
      return { kind: "auth-hash", stdin: options.stdin === true };
    case "help":
      return toHelp(args[0]);
    case "version":
      return { kind: "version" };
    default:
      return { kind: "call", name: row.name, args, options };
  }
}

/** Throws if there are too few arguments, or too many. */
function requireArgs({ name, args: wanted }: CommandRow, topic: string, args: readonly string[]): void {
  const missing = wanted.find((arg, index) => !arg.startsWith("[") && (args[index] ?? "") === "");
  if (missing !== undefined) {
    throw new UsageError(`"${name}" needs ${missing.replace("...", "")}`, topic);
  }
  if (args.length > wanted.length && wanted.at(-1)?.includes("...") !== true) {
    throw new UsageError(`unexpected argument "${args[wanted.length]}"`, topic);
  }
}

function toServe({ config, ...given }: Options): Command {
  const flags: Flags = Object.fromEntries(
    // None of them may be given several times.
    Object.entries(given).map(([name, value]) => [name, typeof value === "object" ? undefined : value]),
  );
  return { kind: "serve", file: toFile(config, "serve"), flags };
}

function toFile(given: Options[string], topic: string): string | undefined {
  if (given === "") {
    throw new UsageError("option --config needs a file name", topic);
  }
  return typeof given === "string" ? given : undefined;
}

function toConfigCheck(file: string, { diff, admin }: Options): Command {
  if (diff !== true) {
    if (admin !== undefined) {
      throw new UsageError("option --admin goes with --diff", "config");
    }
    return { kind: "config-check", file };
  }
  const address = typeof admin === "string" ? parseAddress(admin) : undefined;
  if (admin !== undefined && address === undefined) {
    throw new UsageError(`option --admin: expected ${ADDRESS_FORMAT}`, "config");
  }
  return { kind: "config-diff", file, admin: address };
}

function toHelp(topic: string | undefined): Command {
  if (topic !== undefined && !WORDS.includes(topic)) {
    throw new UsageError(`no help for "${topic}"; ${oneOf(WORDS, topic)}`);
  }
  return { kind: "help", topic };
}

function toParserOptions(rows: Awaited<ReturnType<typeof optionsOf>>): ParseArgsOptionsConfig {
  return Object.fromEntries(
    rows.flatMap(({ name, argument, short, isRepeated: multiple = false }) => {
      const type = argument === undefined ? "boolean" : "string";
      return name === undefined ? [] : [[name, { type, multiple, ...(short && { short }) }]];
    }),
  );
}

/**
 * Stands before a negative number, which node:util would take for an option. No argument of a
 * program can have it.
 */
const MARK = "\0";
const MARKED = /^\0(?=-)/;

/** Runs parseArgs. Its errors become UsageErrors with the first sentence of their message. */
function parseWords(topic: string, argv: readonly string[], options: ParseArgsOptionsConfig) {
  const end = argv.includes("--") ? argv.indexOf("--") : argv.length;
  const args = argv.map((arg, index) => (index < end && /^-\d/.test(arg) ? MARK + arg : arg));
  const unmarked = (text: string) => text.replace(MARKED, "");
  const textOf = (value: unknown) => unmarked(String(value));
  try {
    const { values, positionals } = parseArgs({ args, allowPositionals: true, options });
    return {
      args: positionals.map(unmarked),
      options: Object.fromEntries(
        Object.entries(values).map(([name, value]) => [
          name,
          Array.isArray(value) ? value.map(textOf) : typeof value === "boolean" ? value : textOf(value),
        ]),
      ),
    };
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

/** `config check FILE`. */
function synopsis({ name, args }: CommandRow): string {
  return [name, ...args].join(" ");
}
