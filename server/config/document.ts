import type { Document, Node, ScalarTag } from "yaml";
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, Scalar } from "yaml";
import { extendPath, type Problem, renderPath } from "./problem.ts";
import { substitute } from "./substitute.ts";

const DUPLICATE = "the key is there twice";

interface Position {
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
}

/** The place of a setting in the file: the position of its key, or of the item in a list. */
export interface Place extends Position {
  /**
   * The file's text there, before substitution and so without secrets from the environment; "" for
   * a collection.
   */
  readonly source: string;
}

/** A parsed configuration file. */
export interface ConfigDocument {
  /** Plain values, lists and objects without prototypes. An empty file is an empty mapping. */
  readonly value: unknown;
  /**
   * The place of a setting. If the file does not have it, the place of the nearest enclosing one.
   */
  placeOf(path: readonly PropertyKey[]): Place;
  /** {@link Place.source} of the setting itself; "" = the file does not have it. */
  sourceOf(path: readonly PropertyKey[]): string;
}

/**
 * Parses YAML 1.2 (one document, string keys, no aliases, no custom tags) and puts the environment
 * into its scalars. It substitutes in parsed values, so a variable cannot add YAML. A plain scalar
 * gets its type afterwards (`${N}` may be a number); a quoted one stays text.
 *
 * Faults go to `problems`. `undefined` = the file is no YAML, and nothing more can be said of it. A
 * single unreadable value becomes `undefined` in the result.
 */
export function readDocument(
  text: string,
  file: string,
  env: Readonly<Record<string, string | undefined>>,
  problems: Problem[],
): ConfigDocument | undefined {
  const lines = new LineCounter();
  const yaml = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    stringKeys: true,
    resolveKnownTags: false,
    // Checked below, because the parser compares each key with every other.
    uniqueKeys: false,
  });
  const positionAt = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    // LineCounter has no first line for an empty file.
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const faults = syntaxFaults(yaml, file, positionAt);
  if (faults.length > 0) {
    problems.push(...faults);
    return undefined;
  }

  const places = new Map<string, Place>([["", { line: 1, column: 1, source: "" }]]);

  function read(node: unknown, path: string, offset: number): unknown {
    const place = { ...positionAt(offset), source: isScalar(node) ? (node.source ?? "") : "" };
    places.set(path, place);
    const refuse = (message: string) => {
      problems.push({ file, line: place.line, column: place.column, path, message });
      return undefined;
    };

    if (isAlias(node)) {
      return refuse(`aliases (*${node.source}) are not supported; write the value out`);
    }
    if (isMap(node)) {
      const mapping: Record<string, unknown> = Object.create(null);
      for (const { key, value } of node.items) {
        const name = String(isScalar(key) ? key.value : key);
        const inner = extendPath(path, name);
        const start = startOf(key, offset);
        if (name in mapping) {
          problems.push({
            file,
            ...positionAt(start),
            path: inner,
            message: DUPLICATE,
          });
        } else {
          mapping[name] = read(value, inner, start);
        }
      }
      return mapping;
    }
    if (isSeq(node)) {
      return node.items.map((item, index) => read(item, extendPath(path, index), startOf(item, offset)));
    }
    if (!isScalar(node)) {
      return null;
    }
    if (typeof node.value !== "string" || !node.value.includes("${")) {
      return node.value;
    }
    const result = substitute(node.value, env);
    if ("error" in result) {
      return refuse(result.error);
    }
    return node.type === Scalar.PLAIN && node.tag === undefined ? typed(yaml, result.text) : result.text;
  }

  const value = read(yaml.contents, "", startOf(yaml.contents, 0));
  const nearestPlace = (path: readonly PropertyKey[]): Place =>
    places.get(renderPath(path)) ?? nearestPlace(path.slice(0, -1));
  return {
    value: value === null ? {} : value,
    placeOf: nearestPlace,
    sourceOf: (path) => places.get(renderPath(path))?.source ?? "",
  };
}

function startOf(node: unknown, otherwise: number): number {
  return (node as Node | null)?.range?.[0] ?? otherwise;
}

/** The value of `text` as a plain scalar, by the parser's own rule. */
function typed(yaml: Document.Parsed, text: string): unknown {
  const tag = yaml.schema.tags.find(
    (tag): tag is ScalarTag => tag.default === true && tag.test?.test(text) === true,
  );
  if (tag === undefined) {
    return text;
  }
  const value = tag.resolve(text, () => {}, yaml.options);
  return isScalar(value) ? value.value : value;
}

/** Syntax faults, one for each line, because the first causes the others of its line. */
function syntaxFaults(
  yaml: Document.Parsed,
  file: string,
  positionAt: (offset: number) => Position,
): Problem[] {
  const faults = new Map<number, Problem>();
  for (const { pos, code, message } of [...yaml.errors, ...yaml.warnings]) {
    const position = positionAt(pos[0]);
    if (faults.has(position.line)) {
      continue;
    }
    faults.set(position.line, { file, ...position, path: "", message: syntaxMessage(code, message) });
  }
  return [...faults.values()];
}

function syntaxMessage(code: string, message: string): string {
  switch (code) {
    case "MULTIPLE_DOCS":
      return "expected one YAML document, found several";
    case "RESOURCE_EXHAUSTION":
      return "nested too deeply";
    case "BAD_ALIAS":
      return `${message}; a value that starts with "*" must be in quotes`;
    default:
      return message;
  }
}
