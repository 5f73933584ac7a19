/** An option of a command, or a variable that it reads. */
export interface OptionRow {
  /** Without dashes. `undefined` = there is a variable only. */
  readonly name: string | undefined;
  readonly short?: string;
  /** What stands for its value in the help. `undefined` = it takes none. */
  readonly argument?: string | undefined;
  /** True: it may be given several times. */
  readonly isRepeated?: boolean;
  /** The variable that is read where the option is absent. */
  readonly env?: string;
  readonly help: string;
}

/** A command of the program. Parsing and help derive from it. */
export interface CommandRow {
  /** One word, or two where commands belong together: `ns list`. */
  readonly name: string;
  /** `NAME` is needed, `[NAME]` may be left out, and `...` behind the last one is any number. */
  readonly args: readonly string[];
  /** A line for the list of commands. */
  readonly summary: string;
  /** What else to know. The help breaks its lines. */
  readonly about?: string;
  /** Read late where many files declare them. */
  readonly options: readonly OptionRow[] | (() => Promise<readonly OptionRow[]>);
}

/** What every command has. */
export const HELP_OPTION: OptionRow = { name: "help", short: "h", help: "print this" };

const JSON_OPTION: OptionRow = { name: "json", help: "print JSON, one object a line" };

const CONNECTION: readonly OptionRow[] = [
  {
    name: "address",
    argument: "HOST:PORT",
    env: "PRISM_ADDRESS",
    help: "the gateway's data port, or a URL with http or https (default 127.0.0.1:8980)",
  },
  {
    name: "namespace",
    argument: "NAME",
    env: "PRISM_NAMESPACE",
    help: "the namespace (default: default)",
  },
  {
    name: "token-file",
    argument: "FILE",
    help: "a file with the API key or token to show; without it the variable PRISM_TOKEN has it",
  },
  { name: undefined, env: "PRISM_TOKEN", help: "the API key or token to show" },
];

const DATA: readonly OptionRow[] = [...CONNECTION, JSON_OPTION];

const ADMIN: readonly OptionRow[] = [
  {
    name: "admin",
    argument: "HOST:PORT",
    env: "PRISM_ADMIN",
    help: "the gateway's admin port, or a URL with http or https (default 127.0.0.1:8090)",
  },
  JSON_OPTION,
  {
    name: undefined,
    env: "PRISM_ADMIN_KEY",
    help: "the API key or token to show, where the admin port asks who calls",
  },
];

const VALUE_FILE: OptionRow = {
  name: "file",
  argument: "FILE",
  help: "read the value from this file, every byte of it",
};

const TTL: OptionRow = {
  name: "ttl",
  argument: "SECONDS",
  help: "expire after whole seconds; without it or with 0: never",
};

const VALUE_ABOUT =
  'The value is the argument, or every byte of standard input if the argument is "-" or absent, or of --file. A value that begins with "-" comes behind "--".';

const ITEM_KEYS: OptionRow = {
  name: "base64-keys",
  help: "the keys of items on this command line are base64, for those that are no text",
};

const ITEMS_ABOUT =
  "On a terminal a line is for people, as with scan. In a pipe, and with --json, a line is JSON: key and value, when the item was written, and what was stored with it.";

const NAMES_ABOUT =
  "In the order of their bytes. In a pipe, and with --json, a line is JSON. What is empty, or has expired, is not there.";

const EVENTS_ABOUT =
  "On a terminal a line is for people: offset, time, tags and payload. In a pipe, and with --json, a line is JSON.";

const TIME_ABOUT =
  "A time is a day (2026-01-31), a time of a day (2026-01-31T12:00:00Z; UTC without a zone) or milliseconds since 1970.";

const SPAN: readonly OptionRow[] = [
  { name: "from", argument: "TIME", help: "from this time on; without it from the first event" },
  { name: "to", argument: "TIME", help: "up to this time, without it; otherwise to the last event" },
];

const ONLY_TAGS: OptionRow = {
  name: "tag",
  argument: "NAME=VALUE",
  isRepeated: true,
  help: "only events with this tag; may be given several times",
};

const LIMIT: OptionRow = {
  name: "limit",
  argument: "NUMBER",
  help: "at most so many; without it or with 0: all",
};

/** Reads the settings late, because they load the whole schema of the configuration. */
async function serveOptions(): Promise<readonly OptionRow[]> {
  const { SOURCES } = await import("../config/settings.ts");
  return SOURCES.map(({ flag, argument, env, help }) => ({
    name: flag?.slice(2),
    argument,
    env,
    help,
  }));
}

/** Every command, in the order of the help. */
export const COMMANDS = [
  {
    name: "serve",
    args: [],
    summary: "run the gateway",
    about:
      "A flag wins over its environment variable (in brackets), that over the configuration file, and that over the default. Without --memory, --data-dir or a database in the file, data is in ./data/prism.db, next to the configuration file or, without one, in the current folder.",
    options: serveOptions,
  },
  {
    name: "config check",
    args: ["FILE"],
    summary: "check a configuration file, or what it would change",
    about:
      'The file is read the way "prism serve" would, with the same environment variables, and every problem is printed as file:line:column. No store and no port is opened. Exit code 0: usable, and nothing would change; 1: the gateway does not answer; 2: not usable; 3: usable, and something would change.',
    options: [
      {
        name: "diff",
        help: "also ask a running gateway for its configuration, and print what the file would change there and what of it needs a restart. The gateway's own flags and variables stay what they are. Secrets are not compared",
      },
      {
        name: "admin",
        argument: "HOST:PORT",
        help: "the gateway's admin port; without it admin.listen_address of the file. Where the gateway asks who calls, the variable PRISM_ADMIN_KEY has a key of a viewer",
      },
    ],
  },
  {
    name: "config schema",
    args: [],
    summary: "print a JSON Schema of the configuration file",
    about:
      'For editors: with "# yaml-language-server: $schema=FILE" as the first line of a configuration they complete and check it.',
    options: [],
  },
  {
    name: "doctor",
    args: [],
    summary: "look at each configured store and say what to do",
    about:
      "Each store by itself, without a gateway, and whether one runs or not: whether it can be reached, its version, TLS, our rights there, and what would lose data. Nothing is changed. Exit code 1: there is a problem, with which the gateway cannot serve the store; 2: the configuration is not usable.",
    options: [
      {
        name: "config",
        argument: "FILE",
        env: "PRISM_CONFIG",
        help: "the configuration file; without one the default store",
      },
      { name: "json", help: "print JSON, one finding a line" },
    ],
  },
  {
    name: "auth hash",
    args: [],
    summary: "make an API key and the hash for the configuration",
    about:
      "Both are printed. The key is random. The hash goes into the configuration (auth.api_keys), the key to its caller, and nowhere else.",
    options: [{ name: "stdin", help: "hash the key on standard input, and make none" }],
  },
  {
    name: "get",
    args: ["KEY"],
    summary: "print the value of an entry",
    about:
      "Prints the value's bytes as they are. On a terminal a line feed follows them. Exit code 4: there is no such entry.",
    options: DATA,
  },
  {
    name: "set",
    args: ["KEY", "[VALUE]"],
    summary: "write an entry",
    about: VALUE_ABOUT,
    options: [TTL, VALUE_FILE, ...DATA],
  },
  {
    name: "del",
    args: ["KEY..."],
    summary: "delete entries",
    about: "Prints how many there were. Exit code 4: there was none.",
    options: DATA,
  },
  {
    name: "exists",
    args: ["KEY"],
    summary: "tell whether there is an entry",
    about: "Prints true or false. Exit code 4: there is none.",
    options: DATA,
  },
  {
    name: "ttl",
    args: ["KEY"],
    summary: "print the seconds until an entry expires",
    about: 'Prints seconds with up to three decimals, or "never". Exit code 4: there is no such entry.',
    options: DATA,
  },
  {
    name: "incr",
    args: ["KEY", "[NUMBER]"],
    summary: "add to a counter",
    about: "Adds the number, or 1, and prints the sum. An absent counter is made.",
    options: [
      { name: "initial", argument: "NUMBER", help: "where an absent counter starts (default 0)" },
      TTL,
      ...DATA,
    ],
  },
  {
    name: "scan",
    args: ["[PREFIX]"],
    summary: "print the entries whose keys begin with a prefix",
    about:
      "In the order of the keys. On a terminal a line is for people: long values are cut, and of bytes that are no text only their number is told. In a pipe, and with --json, a line is JSON.",
    options: [
      { name: "keys", help: "print keys without values" },
      LIMIT,
      { name: "reverse", help: "the greatest key first" },
      ...DATA,
    ],
  },
  {
    name: "count",
    args: ["[PREFIX]"],
    summary: "count the entries whose keys begin with a prefix",
    options: DATA,
  },
  {
    name: "export",
    args: ["[FILE]"],
    summary: "write entries, lists and records as JSON lines",
    about:
      'To a new file, or to standard output if FILE is "-" or absent. A line is an entry with its key, its value and when it expires, some values of a list, or some items of a record. What is written meanwhile may be in it or not.',
    options: [
      { name: "list", argument: "NAME", help: "this list, and nothing else" },
      { name: "prefix", argument: "TEXT", help: "only what begins with this: keys, names of lists, ids" },
      { name: "resume", help: "go on where the file ends; an absent one is made" },
      ...CONNECTION,
    ],
  },
  {
    name: "import",
    args: ["[FILE]"],
    summary: "write what is in an export",
    about:
      'From a file, or from standard input if FILE is "-" or absent. It replaces entries, lists and records that are there. What has expired is left out. It stops at the first bad line; the lines before it are written then.',
    options: [
      { name: "from-line", argument: "NUMBER", help: "begin with this line of the input; the first is 1" },
      ...DATA,
    ],
  },
  {
    name: "lists",
    args: ["[PREFIX]"],
    summary: "print the names of the lists that begin with a prefix",
    about: NAMES_ABOUT,
    options: [LIMIT, ...DATA],
  },
  {
    name: "push",
    args: ["LIST", "[VALUE]"],
    summary: "add a value at the right end of a list",
    about: `Prints the new length. ${VALUE_ABOUT}`,
    options: [{ name: "left", help: "add it at the left end" }, VALUE_FILE, ...DATA],
  },
  {
    name: "pop",
    args: ["LIST"],
    summary: "take the value at the left end of a list",
    about: "Prints the value as get does. Exit code 4: the list is empty.",
    options: [{ name: "right", help: "take the one at the right end" }, ...DATA],
  },
  { name: "len", args: ["LIST"], summary: "print the length of a list", options: DATA },
  {
    name: "range",
    args: ["LIST", "[START]", "[STOP]"],
    summary: "print the values of a list",
    about:
      "From one place to another, both included. 0 is the leftmost place, -1 the rightmost; without them all. The form is that of scan.",
    options: DATA,
  },
  {
    name: "record ids",
    args: ["[PREFIX]"],
    summary: "print the ids of the records that begin with a prefix",
    about: NAMES_ABOUT,
    options: [LIMIT, ...DATA],
  },
  {
    name: "record put",
    args: ["ID", "KEY", "[VALUE]"],
    summary: "write an item of a record",
    about: `The record's other items stay. ${VALUE_ABOUT}`,
    options: [TTL, VALUE_FILE, ITEM_KEYS, ...DATA],
  },
  {
    name: "record get",
    args: ["ID", "[KEY...]"],
    summary: "print items of a record as they are at one moment",
    about: `Without keys all, or those of a range; at most 10,000, and record scan prints more. ${ITEMS_ABOUT} Exit code 4: there is no such item.`,
    options: [
      { name: "start", argument: "KEY", help: "from this key on; without it from the first" },
      { name: "end", argument: "KEY", help: "up to this key, without it; otherwise to the last" },
      { name: "raw", help: "print the value of one key as get does, every byte of it" },
      ITEM_KEYS,
      ...DATA,
    ],
  },
  {
    name: "record scan",
    args: ["ID"],
    summary: "print the items of a record, however many",
    about: `In the order of their keys. ${ITEMS_ABOUT}`,
    options: [{ name: "keys", help: "print keys without values" }, LIMIT, ...DATA],
  },
  {
    name: "record delete",
    args: ["ID", "[KEY...]"],
    summary: "delete items of a record, or all of it",
    about: "Prints how many there were. Exit code 4: there was none.",
    options: [{ name: "all", help: "delete the whole record; needed without keys" }, ITEM_KEYS, ...DATA],
  },
  {
    name: "record cas",
    args: ["ID", "KEY", "[VALUE]"],
    summary: "write an item if it has the expected value",
    about: `Prints true or false. Exit code 3: it has another value, or is there unexpectedly, and nothing was written. ${VALUE_ABOUT}`,
    options: [
      { name: "expected", argument: "VALUE", help: "what the item must have" },
      { name: "expected-file", argument: "FILE", help: "a file with what the item must have" },
      { name: "absent", help: "there must be no such item" },
      VALUE_FILE,
      ITEM_KEYS,
      ...DATA,
    ],
  },
  {
    name: "ts append",
    args: ["STREAM", "[PAYLOAD]"],
    summary: "append an event to a stream, or one a line",
    about: `Prints its offset. A stream that is not there is made. ${VALUE_ABOUT} With --lines each line of the input is an event without its line feed, and their number is printed; it stops at the first that is not appended. ${TIME_ABOUT}`,
    options: [
      {
        name: "tag",
        argument: "NAME=VALUE",
        isRepeated: true,
        help: "a tag of the event; may be given several times",
      },
      { name: "time", argument: "TIME", help: "when it happened; without it now" },
      { name: "lines", help: "append an event for each line, many in one call" },
      VALUE_FILE,
      ...DATA,
    ],
  },
  {
    name: "ts query",
    args: ["STREAM"],
    summary: "print the events of a span of time",
    about: `In the order of their times. ${EVENTS_ABOUT} ${TIME_ABOUT} Exit code 4: there is no such stream.`,
    options: [...SPAN, ONLY_TAGS, LIMIT, ...DATA],
  },
  {
    name: "ts tail",
    args: ["STREAM"],
    summary: "print the events of a stream as they come",
    about: `In the order of their offsets, until it is interrupted. It goes on after the connection broke. ${EVENTS_ABOUT} Exit code 4: there is no such stream, or it was deleted.`,
    options: [
      {
        name: "from-offset",
        argument: "NUMBER",
        help: "begin with this offset; 0 is the first. Without it only what comes from now on",
      },
      ONLY_TAGS,
      { name: "limit", argument: "NUMBER", help: "end after so many; without it or with 0: never" },
      ...DATA,
    ],
  },
  {
    name: "ts aggregate",
    args: ["STREAM"],
    summary: "sum up the events of a span of time",
    about: `How many there are, and sum, min, max, avg, p50, p95 and p99 of their numbers: a line for each bucket of time and group of tags. On a terminal the names stand above. In a pipe, and with --json, a line is JSON. ${TIME_ABOUT} Exit code 4: there is no such stream.`,
    options: [
      { name: "bucket", argument: "DURATION", help: "the length of a bucket, as 30s, 5m, 1h or 1d" },
      {
        name: "by",
        argument: "TAG",
        isRepeated: true,
        help: "a group for each value of this tag; may be given several times",
      },
      {
        name: "value-tag",
        argument: "TAG",
        help: "the tag with the number of an event; without it its payload is the number",
      },
      ...SPAN,
      ONLY_TAGS,
      ...DATA,
    ],
  },
  {
    name: "ts create",
    args: ["STREAM"],
    summary: "make a stream, or change its retention",
    about: "Events older than the retention are gone at once.",
    options: [
      {
        name: "retention-days",
        argument: "NUMBER",
        help: "keep events so many days; without it or with 0 as the namespace does",
      },
      { name: "partitions", argument: "NUMBER", help: "into how many parts a store divides it that can" },
      { name: "replicas", argument: "NUMBER", help: "how many copies a store keeps that can" },
      ...DATA,
    ],
  },
  {
    name: "ts delete",
    args: ["STREAM"],
    summary: "delete a stream with its events",
    about: "Prints true or false. Exit code 4: there was none.",
    options: DATA,
  },
  {
    name: "ts describe",
    args: ["STREAM"],
    summary: "print what a stream is as JSON",
    about: "Exit code 4: there is no such stream.",
    options: DATA,
  },
  {
    name: "ts list",
    args: ["[PREFIX]"],
    summary: "print the names of the streams that begin with a prefix",
    about: "In the order of their bytes. In a pipe, and with --json, a line is JSON.",
    options: [LIMIT, ...DATA],
  },
  {
    name: "ns list",
    args: [],
    summary: "list the namespaces",
    about:
      "On a terminal: name, backend, state, and who made it (the file, or an operator at run time). In a pipe, and with --json, a line is JSON.",
    options: ADMIN,
  },
  {
    name: "ns get",
    args: ["NAME"],
    summary: "print a namespace as JSON",
    options: ADMIN,
  },
  {
    name: "ns create",
    args: ["NAME"],
    summary: "make a namespace",
    about: "It serves at once. Prints it as JSON.",
    options: [
      {
        name: "backend",
        argument: "NAME",
        help: "the store with its data (default database); prism backends lists them",
      },
      {
        name: "file",
        argument: "FILE",
        help: "a file with what else holds for it, as JSON: policies, access_control, capacity",
      },
      ...ADMIN,
    ],
  },
  {
    name: "ns delete",
    args: ["NAME"],
    summary: "delete a namespace with all its data",
    about: "Prints it as JSON. Needs its name once more, because the data is lost.",
    options: [{ name: "confirm", argument: "NAME", help: "the name once more" }, ...ADMIN],
  },
  {
    name: "backends",
    args: [],
    summary: "list the stores and how they are",
    about:
      "On a terminal: name, type, state, the number of its namespaces, and what is wrong. In a pipe, and with --json, a line is JSON.",
    options: ADMIN,
  },
  {
    name: "completion",
    args: ["bash|zsh|fish"],
    summary: "print a script that completes commands in a shell",
    about: "The first line of the script says how to load it.",
    options: [],
  },
  {
    name: "help",
    args: ["[COMMAND]"],
    summary: "print this, or the help of a command",
    options: [],
  },
  { name: "version", args: [], summary: "print the version", options: [] },
] as const satisfies readonly CommandRow[];

/** The name of a command. */
export type CommandName = (typeof COMMANDS)[number]["name"];

/** The commands with this first word: one, or those that belong together. */
export function commandsOf(word: string): readonly (CommandRow & { readonly name: CommandName })[] {
  return COMMANDS.filter(({ name }) => name.split(" ")[0] === word);
}

/** The first words of all commands, each once. */
export const WORDS: readonly string[] = [...new Set(COMMANDS.map(({ name }) => name.split(" ")[0] ?? ""))];

/** The options of a command, its help and variables included. */
export async function optionsOf({ options }: CommandRow): Promise<readonly OptionRow[]> {
  return [...(typeof options === "function" ? await options() : options), HELP_OPTION];
}
