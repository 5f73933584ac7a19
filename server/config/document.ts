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

/** Where a setting stands in the file: the position of its key or, for an item of a list, of the item. */
export interface Place extends Position {
  /** What the file says there, before substitution and therefore free of secrets from the environment; "" for a collection. */
  readonly source: string;
}

/** A configuration file, read. */
export interface ConfigDocument {
  /** Plain values, lists and prototype-less objects. An empty file is an empty mapping. */
  readonly value: unknown;
  /** The place of a setting or, where the file does not have it, of the nearest thing around it. */
  placeOf(path: readonly PropertyKey[]): Place;
  /** What {@link Place.source} says of the setting itself; "" where the file does not have it. */
  sourceOf(path: readonly PropertyKey[]): string;
}

/**
 * Parses YAML 1.2 (one document, string keys, no aliases, no tags of its own) and puts the environment into
 * its scalars. It works on parsed values, so a variable can hold no YAML; a plain scalar gets its type
 * afterwards (`${N}` may be a number), a quoted one stays text.
 *
 * What is wrong goes to `problems`. `undefined` = the file is no YAML, and nothing more can be said of it;
 * a single value that cannot be read becomes `undefined` in the value.
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
    // Looked for below: the parser compares each key with every other.
    uniqueKeys: false,
  });
  const positionAt = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    // An empty file has no first line to LineCounter.
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

/** The value that `text` has as a plain scalar: the rule that the parser itself goes by. */
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

/** What makes the file no YAML at all: one fault a line, because the first brings the others of its line about. */
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
