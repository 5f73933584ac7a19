/** What a page says that its commands print. */
import { spawnSync } from "node:child_process";

/** A command of a shell block, or a whole program. */
export interface Command {
  readonly text: string;
  /** From its comments `# => OUTPUT`, or `// => OUTPUT`. `undefined` = the page does not say. */
  readonly output: string | undefined;
  /** From its comment `# exit code N`; 0 without one. */
  readonly code: number;
}

const OUTPUT = /(?:^|\s)(?:#|\/\/) => (.*)$/;
const CODE = /\s# exit code (\d+)$/;

/**
 * The commands of a shell block. What is printed stands behind the command or on the lines below
 * it.
 */
export function readCommands(block: string): Command[] {
  const commands: { text: string; output: string | undefined; code: number }[] = [];
  let open = "";
  for (const line of block.split("\n")) {
    const output = OUTPUT.exec(line)?.[1];
    const last = commands.at(-1);
    if (open === "" && /^#/.test(line) && output !== undefined && last !== undefined) {
      last.output = last.output === undefined ? output : `${last.output}\n${output}`;
      continue;
    }
    if (open === "" && /^(#|$)/.test(line)) {
      continue;
    }
    open += `${line}\n`;
    if (isWhole(open)) {
      commands.push({ text: open.trimEnd(), output, code: Number(CODE.exec(line)?.[1] ?? 0) });
      open = "";
    }
  }
  if (open !== "") {
    throw new Error(`a command that does not end: ${open}`);
  }
  return commands;
}

/** Whether bash needs no further line: for a quote, a here-document or a `\` at the end. */
function isWhole(text: string): boolean {
  const { status, stderr } = spawnSync("bash", ["-n"], { input: text, encoding: "utf8" });
  return status === 0 && stderr === "" && !text.endsWith("\\\n");
}

/** A TypeScript block as one command: what it prints stands behind `// =>`. */
export function readProgram(block: string, command: string): Command {
  const lines = block.split("\n").flatMap((line) => OUTPUT.exec(line)?.[1] ?? []);
  return { text: command, output: lines.length === 0 ? undefined : lines.join("\n"), code: 0 };
}

/**
 * Whether this was printed. `...` stands for anything; blanks between the parts of JSON count for
 * nothing.
 */
export function isPrinted(expected: string, printed: string): boolean {
  const pattern = tidy(expected, expected)
    .split("...")
    .map((part) => RegExp.escape(part))
    .join("[^]*");
  return new RegExp(`^${pattern}$`).test(tidy(printed, expected));
}

function tidy(text: string, expected: string): string {
  return /^[[{]/.test(expected)
    ? text.replace(/("(?:[^"\\]|\\.)*")|\s+/g, (_blank, quoted = "") => quoted)
    : text.replace(/[ \t]+$/gm, "").trimEnd();
}
