import { COMMANDS, type CommandRow, commandsOf, type OptionRow, optionsOf } from "./table.ts";

/** The width of the column of commands in the program's help. */
const COMMAND_COLUMNS = 33;

/**
 * The help text of the program (`undefined`), or of the commands with this first word. Ends with a
 * line feed.
 */
export async function helpText(topic?: string): Promise<string> {
  return topic === undefined ? MAIN_HELP : (await Promise.all(commandsOf(topic).map(helpOf))).join("\n");
}

const MAIN_HELP = `prism: a data access gateway

usage:
${COMMANDS.map((row) => `  ${usage(row).padEnd(COMMAND_COLUMNS)} ${row.summary}\n`).join("")}
exit codes:
  0  done, or stopped as asked
  1  failed while running
  2  wrong command line, configuration or argument
  3  different: the configuration (config check --diff), the item (record cas)
  4  not found: the entry, the list's value, the item, the stream, the namespace
  5  the gateway, or the store behind it, cannot be reached
  6  denied: the key or token is missing or wrong, or may not do this
`;

function usage({ name, args }: CommandRow): string {
  return ["prism", name, ...args].join(" ");
}

async function helpOf(row: CommandRow): Promise<string> {
  const options = await optionsOf(row);
  const flags = options.filter(({ name }) => name !== undefined);
  const variables = options.filter(({ name }) => name === undefined);
  return [
    `usage: ${usage(row)} [options]\n\n`,
    wrapped(
      `${row.summary.charAt(0).toUpperCase()}${row.summary.slice(1)}. ${row.about ?? ""}`.trimEnd(),
      "",
    ),
    "\noptions:\n",
    ...flags.map(optionHelp),
    ...(variables.length === 0 ? [] : ["\nenvironment variables without a flag:\n"]),
    ...variables.map(optionHelp),
  ].join("");
}

function optionHelp({ name, short, argument = "", env, help }: OptionRow): string {
  const flag = name === undefined ? env : `${short === undefined ? "" : `-${short}, `}--${name} ${argument}`;
  const variable = name === undefined || env === undefined ? "" : ` [${env}]`;
  return `  ${flag?.trimEnd()}${variable}\n${wrapped(help, "      ")}`;
}

/** Lines of at most 90 characters. */
function wrapped(text: string, indent: string): string {
  return text.replace(/(.{1,84})(?: |$)/g, `${indent}$1\n`);
}
