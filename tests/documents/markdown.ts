/** The fenced blocks of a page, as its reader sees them. */

/**
 * What the tests do with a block: `sh` and `ts` are run, `yaml` is checked as a configuration,
 * `json` is parsed, and `text` is what the last command printed.
 */
export const LANGUAGES = ["sh", "ts", "yaml", "json", "text"] as const;

/** One of {@link LANGUAGES}. */
export type Language = (typeof LANGUAGES)[number];

/** A fenced block. */
export interface Block {
  readonly language: Language;
  readonly text: string;
  /** Of its fence, from 1 on. */
  readonly line: number;
  /** Why it is not run: from `<!-- not run: REASON -->` on the line before the fence. */
  readonly notRun: string | undefined;
  /** The file that its first line names: `# prism.yaml`, `// app.ts`. */
  readonly file: string | undefined;
}

const NOT_RUN = /^<!-- not run: (\S.*) -->$/;
const FILE = /^(?:#|\/\/) ([\w-]+\.(?:yaml|ts|json))$/;

/**
 * Reads the blocks of a page. Throws for a block that is indented in place of fenced, has no
 * language or one that is not known, or does not end.
 */
export function readBlocks(page: string): Block[] {
  const lines = page.split("\n");
  const blocks: Block[] = [];
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? "";
    if (/^ {4}\S/.test(line) && lines[at - 1] === "") {
      throw new Error(`line ${at + 1}: an indented block; fence it, and name its language`);
    }
    const language = /^```(.*)$/.exec(line)?.[1];
    if (language === undefined) {
      continue;
    }
    const end = lines.indexOf("```", at + 1);
    if (!isLanguage(language) || end < 0) {
      throw new Error(`line ${at + 1}: a block that does not end, or is none of ${LANGUAGES.join(", ")}`);
    }
    blocks.push({
      language,
      text: lines.slice(at + 1, end).join("\n"),
      line: at + 1,
      notRun: NOT_RUN.exec(lines[at - 1] ?? "")?.[1],
      file: FILE.exec(lines[at + 1] ?? "")?.[1],
    });
    at = end;
  }
  return blocks;
}

function isLanguage(word: string): word is Language {
  return LANGUAGES.some((language) => language === word);
}
