import { CommandError, EXIT } from "./exit-codes.ts";
import { COMMANDS, type CommandRow, optionsOf, WORDS } from "./table.ts";

/** What a shell can offer for a value: names of files or folders, certain words, or nothing. */
type Offer = "files" | "folders" | readonly string[] | undefined;

/** An option as shells complete it. */
interface Flag {
  readonly name: string;
  readonly short: string | undefined;
  readonly about: string;
  readonly takesValue: boolean;
  readonly offer: Offer;
}

/** A command as shells complete it. */
interface Completed {
  readonly name: string;
  readonly summary: string;
  readonly flags: readonly Flag[];
  /** For its arguments, whichever they are. */
  readonly offer: Offer;
}

/**
 * The script that completes commands and options in a shell, made from the table of commands.
 * Throws {@link CommandError} for an unknown shell.
 */
export async function completionScript(shell: string): Promise<string> {
  const write = SHELLS.get(shell);
  if (write === undefined) {
    throw new CommandError(
      EXIT.misused,
      `no completion for "${shell}"; expected one of: ${[...SHELLS.keys()].join(", ")}`,
    );
  }
  return write(await Promise.all(COMMANDS.map(toCompleted)));
}

const SHELLS = new Map([
  ["bash", bashScript],
  ["zsh", zshScript],
  ["fish", fishScript],
]);

async function toCompleted(row: CommandRow): Promise<Completed> {
  const { name, summary, args } = row;
  return {
    name,
    summary,
    offer: args.map(offerOf).find((offer) => offer !== undefined),
    flags: (await optionsOf(row)).flatMap(({ name: flag, short, argument, help }) =>
      flag === undefined
        ? []
        : {
            name: flag,
            short,
            about: /^.*?(?=[.;] |$)/.exec(help)?.[0] ?? "",
            takesValue: argument !== undefined,
            offer: argument === undefined ? undefined : offerOf(argument),
          },
    ),
  };
}

/** What to offer for a placeholder of the help. */
function offerOf(placeholder: string): Offer {
  const word = placeholder.replace(/[[\].]/g, "");
  if (word.includes("|")) {
    return word.split("|");
  }
  switch (word) {
    case "FILE":
      return "files";
    case "DIR":
      return "folders";
    case "COMMAND":
      return WORDS;
    default:
      return undefined;
  }
}

/** The second words behind each first word that has some. */
function groupsOf(commands: readonly Completed[]): ReadonlyMap<string, readonly Completed[]> {
  const pairs = commands.filter(({ name }) => name.includes(" "));
  return Map.groupBy(pairs, ({ name }) => name.split(" ")[0] ?? "");
}

function secondWord({ name }: Completed): string {
  return name.split(" ")[1] ?? "";
}

/** In quotes for bash and zsh. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function bashScript(commands: readonly Completed[]): string {
  const flagsOf = ({ flags }: Completed, fits: (flag: Flag) => boolean) =>
    flags
      .filter(fits)
      .map(({ name }) => `--${name}`)
      .join(" ");
  const groups = Array.from(
    groupsOf(commands),
    ([word, rows]) => `    '2 ${word} '*) words='${rows.map(secondWord).join(" ")}' ;;\n`,
  );
  const rows = commands.map((command) => {
    const { name, offer } = command;
    const pattern = name.includes(" ") ? `'${name}'` : `'${name} '*`;
    const words = typeof offer === "object" ? offer.join(" ") : "";
    return `    ${pattern})
      flags='${flagsOf(command, () => true)}'
      valued='${flagsOf(command, ({ takesValue }) => takesValue)}'
      files='${flagsOf(command, (flag) => flag.offer === "files")}${offer === "files" ? " arguments" : ""}'
      folders='${flagsOf(command, (flag) => flag.offer === "folders")}'
      words='${words}' ;;
`;
  });
  return `# Completes prism in bash. In ~/.bashrc: source <(prism completion bash)
_prism() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]}
  local flags='' valued='' files='' folders='' words='' place=arguments
  # bash takes --flag=value apart.
  if [[ $current == = ]]; then
    current=''
  elif [[ $previous == = ]]; then
    previous=\${COMP_WORDS[COMP_CWORD-2]}
  fi
  case "$COMP_CWORD \${COMP_WORDS[1]} " in
    1*) words='${WORDS.join(" ")}' ;;
${groups.join("")}    *) case "\${COMP_WORDS[1]} \${COMP_WORDS[2]}" in
${rows.join("")}    esac ;;
  esac
  COMPREPLY=()
  if [[ " $valued " == *" $previous "* ]]; then
    place=$previous words=''
  elif [[ $current == -* ]]; then
    words=$flags files='' folders=''
  fi
  if [[ " $files " == *" $place "* ]]; then
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
  elif [[ " $folders " == *" $place "* ]]; then
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -d -- "$current")
  elif [[ -n $words ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
  fi
}
complete -F _prism prism
`;
}

function zshScript(commands: readonly Completed[]): string {
  const actionOf = (offer: Offer): string => {
    switch (offer) {
      case undefined:
        return " ";
      case "files":
        return "_files";
      case "folders":
        return "_files -/";
      default:
        return `(${offer.join(" ")})`;
    }
  };
  const listed = (rows: readonly (readonly [word: string, about: string])[]) =>
    rows.map(([word, about]) => quoted(`${word}:${about}`)).join(" ");
  const groups = groupsOf(commands);
  const first = WORDS.map((word) => [word, firstSummary(commands, groups, word)] as const);
  const second = Array.from(
    groups,
    ([word, rows]) =>
      `    '3 ${word}') names=(${listed(rows.map((row) => [secondWord(row), row.summary]))}) ;;\n`,
  );
  const rows = commands.map(({ name, flags, offer }) => {
    const specs = flags.flatMap(({ name: flag, short, about, takesValue, offer: value }) => {
      const text = `[${about.replace(/[\\\]]/g, "\\$&")}]`;
      return [
        quoted(`--${flag}${takesValue ? "=" : ""}${text}${takesValue ? `:${flag}:${actionOf(value)}` : ""}`),
        ...(short === undefined ? [] : [quoted(`-${short}${text}`)]),
      ];
    });
    const count = name.split(" ").length;
    const pattern = count === 2 ? `'${name}'` : `'${name} '*`;
    const all = [...specs, quoted(`*:argument:${actionOf(offer)}`)].join(" \\\n        ");
    return `    ${pattern}) shift ${count} words; ((CURRENT -= ${count})); _arguments \\\n        ${all} ;;\n`;
  });
  return `#compdef prism
# Completes prism in zsh. In ~/.zshrc, behind compinit: source <(prism completion zsh)
_prism() {
  local -a names
  case "$CURRENT $words[2]" in
    '2 '*) names=(${listed(first)}) ;;
${second.join("")}  esac
  if ((\${#names})); then
    _describe command names
    return
  fi
  case "$words[2] $words[3]" in
${rows.join("")}  esac
}
if [[ "\${funcstack[1]}" == _prism ]]; then
  _prism "$@"
else
  compdef _prism prism
fi
`;
}

/** What a first word is about: its command's summary, or the second words. */
function firstSummary(
  commands: readonly Completed[],
  groups: ReadonlyMap<string, readonly Completed[]>,
  word: string,
): string {
  const own = commands.find(({ name }) => name === word)?.summary;
  return own ?? groups.get(word)?.map(secondWord).join(", ") ?? "";
}

function fishScript(commands: readonly Completed[]): string {
  const inQuotes = (text: string) => `'${text.replace(/[\\']/g, "\\$&")}'`;
  const line = (condition: string, rest: string) => `complete -c prism -n ${inQuotes(condition)} ${rest}\n`;
  const groups = groupsOf(commands);
  const first = WORDS.map((word) =>
    line("__prism_at", `-a ${word} -d ${inQuotes(firstSummary(commands, groups, word))}`),
  );
  const second = Array.from(groups, ([word, rows]) =>
    rows.map((row) => line(`__prism_at ${word}`, `-a ${secondWord(row)} -d ${inQuotes(row.summary)}`)),
  );
  const valueRule = (takesValue: boolean, offer: Offer): string => {
    if (!takesValue) {
      return "";
    }
    switch (offer) {
      case undefined:
        return " -x";
      case "files":
        return " -r -F";
      case "folders":
        return " -x -a '(__fish_complete_directories)'";
      default:
        return ` -x -a '${offer.join(" ")}'`;
    }
  };
  const rows = commands.flatMap(({ name, flags, offer }) => [
    ...flags.map(({ name: flag, short, about, takesValue, offer: value }) =>
      line(
        `__prism_in ${name}`,
        `-l ${flag}${short === undefined ? "" : ` -s ${short}`}${valueRule(takesValue, value)} -d ${inQuotes(about)}`,
      ),
    ),
    ...(offer === "files" ? [line(`__prism_in ${name}`, "-F")] : []),
    ...(typeof offer === "object" ? [line(`__prism_in ${name}`, `-a '${offer.join(" ")}'`)] : []),
  ]);
  return `# Completes prism in fish. In ~/.config/fish/config.fish: prism completion fish | source
# Whether these words, and no others, stand between the program and the cursor.
function __prism_at
    set -l given (commandline -opc)
    set -e given[1]
    test "$given" = "$argv"
end
# Whether the words behind the program begin with these.
function __prism_in
    set -l given (commandline -opc)
    set -e given[1]
    set -l length (count $argv)
    test (count $given) -ge $length; and test "$given[1..$length]" = "$argv"
end
complete -c prism -f
${[...first, ...second.flat(), ...rows].join("")}`;
}
