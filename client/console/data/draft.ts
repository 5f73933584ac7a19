import { bytesOf, fromHex, kindOf, textOf, toHex } from "./bytes.ts";

/** A way to show or to edit a value. */
export type Mode = "text" | "json" | "hex" | "image";

/** So much of a value is shown or edited unasked: more makes a page slow. */
export const UNASKED_BYTES = 64 * 1024;

/** The ways to show a value; the best one first. */
export function modesOf(value: Uint8Array): readonly [Mode, ...Mode[]] {
  switch (kindOf(value)) {
    case "json":
      return value.length > UNASKED_BYTES ? ["text", "json", "hex"] : ["json", "text", "hex"];
    case "text":
      return ["text", "hex"];
    case "image":
      return ["image", "hex"];
    case "bytes":
      return ["hex"];
  }
}

/** A larger value is no help as digits to type in. */
const MAX_HEX_BYTES = 256 * 1024;

/** A text field with a larger one halts the page. */
const MAX_TEXT_BYTES = 1024 * 1024;

/** A way to edit a value. As a `whole` it is only seen, and replaced by a file. */
export type EditMode = "text" | "json" | "hex" | "whole";

/** The ways to edit a value; the best one first. Any text may become JSON. */
export function editModesOf(value: Uint8Array): readonly [EditMode, ...EditMode[]] {
  const kind = kindOf(value);
  const hex: readonly EditMode[] = value.length > MAX_HEX_BYTES ? [] : ["hex"];
  const isText = kind !== "bytes" && value.length <= MAX_TEXT_BYTES;
  if (kind === "image" || (!isText && value.length > UNASKED_BYTES)) {
    return ["whole", ...hex];
  }
  if (value.length > UNASKED_BYTES) {
    return ["whole", "text", "json", ...hex];
  }
  switch (kind) {
    case "json":
      return ["json", "text", "hex"];
    case "text":
      return ["text", "json", "hex"];
    case "bytes":
      return ["hex"];
  }
}

/** How the lines of a text end. A text field of a page knows only "\n". */
export type LineEnd = "\n" | "\r\n" | "mixed";

/** A value that somebody edits. */
export interface Draft {
  readonly mode: EditMode;
  /** What stands in the text field; as a whole: nothing. */
  readonly text: string;
  readonly lineEnd: LineEnd;
  /** The value that would be saved; `undefined` = what was typed is none. */
  readonly value: Uint8Array<ArrayBuffer> | undefined;
}

/** A value as it is before anything is typed. Nothing of it is changed by that. */
export function draftOf(value: Uint8Array<ArrayBuffer>, mode: EditMode = editModesOf(value)[0]): Draft {
  switch (mode) {
    case "whole":
      return { mode, text: "", lineEnd: "\n", value };
    case "hex":
      return { mode, text: toHex(value), lineEnd: "\n", value };
    case "text":
    case "json": {
      const text = textOf(value) ?? "";
      const shown = mode === "json" ? indentJson(text) : text;
      return { mode, text: shown.replace(/\r\n?/g, "\n"), lineEnd: lineEndOf(shown), value };
    }
  }
}

/** The draft after `text` was typed. */
export function typed(draft: Draft, text: string): Draft {
  const ends = draft.lineEnd === "\r\n" ? text.replaceAll("\n", "\r\n") : text;
  return { ...draft, text, value: draft.mode === "hex" ? fromHex(text) : bytesOf(ends) };
}

function lineEndOf(text: string): LineEnd {
  const returns = text.match(/\r/g)?.length ?? 0;
  if (returns === 0) {
    return "\n";
  }
  const pairs = text.match(/\r\n/g)?.length ?? 0;
  const newlines = text.match(/\n/g)?.length ?? 0;
  return returns === pairs && newlines === pairs ? "\r\n" : "mixed";
}

/** Something that is wrong with what was typed, and where. */
export interface Flaw {
  readonly message: string;
  /** The index in the text; `undefined` = it is not known. */
  readonly at: number | undefined;
}

/**
 * What is wrong with a draft; `undefined` = nothing. Text that is no JSON can be saved all the
 * same.
 */
export function flawOf({ mode, text }: Draft): Flaw | undefined {
  switch (mode) {
    case "json":
      return flawOfJson(text);
    case "hex":
      return flawOfHex(text);
    case "text":
    case "whole":
      return undefined;
  }
}

function flawOfHex(text: string): Flaw | undefined {
  const at = text.search(/[^\s\da-f]/i);
  if (at >= 0) {
    return { message: `${JSON.stringify(text.charAt(at))} is no hexadecimal digit (0 to 9, a to f)`, at };
  }
  const isOdd = text.replace(/\s+/g, "").length % 2 !== 0;
  return isOdd ? { message: "A byte has two digits: one is missing", at: text.trimEnd().length } : undefined;
}

/** What is wrong with a text that should be JSON, as the browser tells it. */
export function flawOfJson(text: string): Flaw | undefined {
  try {
    JSON.parse(text);
    return undefined;
  } catch (error) {
    const told = error instanceof Error ? error.message : String(error);
    const at = placeIn(text, told);
    return { message: `This is no JSON${at === undefined ? "" : ` from ${lineAndColumn(text, at)} on`}`, at };
  }
}

/** Chromium tells an index, Firefox line and column, others nothing. */
function placeIn(text: string, told: string): number | undefined {
  const index = /position (\d+)/.exec(told)?.[1];
  if (index !== undefined) {
    return Number(index);
  }
  const [, line, column] = /line (\d+) column (\d+)/.exec(told) ?? [];
  if (line !== undefined && column !== undefined) {
    const before = text.split("\n").slice(0, Number(line) - 1);
    return before.reduce((sum, { length }) => sum + length + 1, 0) + Number(column) - 1;
  }
  return /end of/.test(told) ? text.length : undefined;
}

/** Where an index is, as people count. */
export function lineAndColumn(text: string, at: number): string {
  const before = text.slice(0, at);
  const line = before.split("\n").length;
  return `line ${line}, column ${at - before.lastIndexOf("\n")}`;
}

/**
 * JSON with a line for each member. Only white space changes: numbers that JavaScript cannot hold,
 * and members that are there twice, stay as they are. Text that is no JSON stays whole.
 */
export function indentJson(text: string): string {
  return flawOfJson(text) === undefined ? respaced(text, true) : text;
}

/** JSON without white space around its parts. Text that is no JSON stays whole. */
export function compactJson(text: string): string {
  return flawOfJson(text) === undefined ? respaced(text, false) : text;
}

/** Deeper members are indented no further: a value may be a million brackets. */
const MAX_INDENTS = 20;

function respaced(text: string, isIndented: boolean): string {
  const parts: string[] = [];
  let depth = 0;
  let opened = false;
  const newLine = () => (isIndented ? `\n${"  ".repeat(Math.min(depth, MAX_INDENTS))}` : "");
  for (const token of tokensOf(text)) {
    const closes = token === "}" || token === "]";
    if (closes) {
      depth--;
    }
    // Nothing is between the brackets of an empty object or array.
    if (opened !== closes) {
      parts.push(newLine());
    }
    opened = token === "{" || token === "[";
    if (opened) {
      depth++;
    }
    parts.push(token === ":" && isIndented ? ": " : token);
    if (token === ",") {
      parts.push(newLine());
    }
  }
  return parts.join("");
}

/** The parts of a text that is JSON. */
function* tokensOf(text: string): Generator<string, void> {
  const scalar = /[^\s{}[\],:"]+/y;
  for (let at = 0; at < text.length; ) {
    const start = at;
    const char = text.charAt(at);
    scalar.lastIndex = at;
    if (char === '"') {
      at = endOfString(text, at);
    } else if (scalar.test(text)) {
      at = scalar.lastIndex;
    } else {
      at++;
    }
    if (char.trim() !== "") {
      yield text.slice(start, at);
    }
  }
}

/** A regular expression would need as much memory as the longest string. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text.charAt(at) !== '"') {
    at += text.charAt(at) === "\\" ? 2 : 1;
  }
  return at + 1;
}
