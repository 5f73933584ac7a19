/**
 * Edits of the list `namespaces` in the text of a configuration file. Everything else stays as it
 * is, byte for byte: comments, order and spaces.
 */
import { isDeepStrictEqual } from "node:util";
import { Document, isMap, isScalar, isSeq, type Node, parseDocument, YAMLMap, type YAMLSeq } from "yaml";
import { DEFAULT_NAMESPACE } from "../limits.ts";

/** An item of the list, in the words of the file. */
export type NamespaceEntry = Readonly<Record<string, unknown>> & { readonly name: string };

const LIST = "namespaces";

/** How nodes become text. Long lines stay one line. */
const STYLE = { lineWidth: 0, flowCollectionPadding: false } as const;

/** The text cannot be edited; the message says why. */
export class NotEditable extends Error {
  override readonly name = "NotEditable";
}

/**
 * Puts a namespace at the end of the list, or in the place of the one of its name, whose comments
 * stay. A file without the list gets it, with the namespace that it stands for.
 */
export function putNamespace(text: string, entry: NamespaceEntry): string {
  const { document, list } = read(text);
  if (list === undefined) {
    return withList(text, document, [{ name: DEFAULT_NAMESPACE }, entry]);
  }
  const index = indexOf(list, entry.name);
  const item = list.items[index];
  if (!isMap(item)) {
    return withItem(text, document, list, entry);
  }
  const [start, end] = extentOf(text, list, index);
  change(document, item, entry);
  return text.slice(0, start) + rendered(item, columnOf(text, start)) + text.slice(end);
}

/** Takes a namespace out of the list. Throws {@link NotEditable} if it is the only one. */
export function removeNamespace(text: string, name: string): string {
  const { list } = read(text);
  const index = list === undefined ? -1 : indexOf(list, name);
  if (list === undefined || index < 0) {
    throw new NotEditable(`it has no namespace "${name}"`);
  }
  if (list.items.length === 1) {
    throw new NotEditable(`"${name}" is its only namespace, and it needs one`);
  }
  const [start, end] = extentOf(text, list, index);
  if (!list.flow) {
    return text.slice(0, lineStart(text, start)) + text.slice(lineEnd(text, end));
  }
  return index === 0
    ? text.slice(0, start) + text.slice(extentOf(text, list, 1)[0])
    : text.slice(0, extentOf(text, list, index - 1)[1]) + text.slice(end);
}

function read(text: string): { readonly document: Document; readonly list: YAMLSeq | undefined } {
  const document = parseDocument(text, { keepSourceTokens: true });
  const list = document.get(LIST);
  if (document.errors.length > 0 || (list !== undefined && !isSeq(list))) {
    throw new NotEditable("it is no configuration");
  }
  return { document, list };
}

function indexOf(list: YAMLSeq, name: string): number {
  return list.items.findIndex((item) => isMap(item) && item.get("name") === name);
}

/** From where to where the text of an item goes. */
function extentOf(text: string, list: YAMLSeq, index: number): readonly [number, number] {
  const item = list.items[index] as Node | undefined;
  const [start, valueEnd] = item?.range ?? [0, 0];
  // A block ends behind the comment and the line feed of its last value.
  return [start, start + text.slice(start, valueEnd).trimEnd().length];
}

function lineStart(text: string, offset: number): number {
  return text.lastIndexOf("\n", offset - 1) + 1;
}

/** Behind the line feed. */
function lineEnd(text: string, offset: number): number {
  const end = text.indexOf("\n", offset);
  return end < 0 ? text.length : end + 1;
}

function columnOf(text: string, offset: number): number {
  return offset - lineStart(text, offset);
}

/** Gives the item what the entry has. What is the same keeps its form. */
function change(document: Document, item: YAMLMap, entry: NamespaceEntry): void {
  const before: Readonly<Record<string, unknown>> = item.toJS(document);
  for (const key of Object.keys(before).filter((key) => entry[key] === undefined)) {
    item.delete(key);
  }
  for (const [key, value] of Object.entries(entry)) {
    if (!isDeepStrictEqual(before[key], value)) {
      item.set(key, document.createNode(value));
    }
  }
}

/** A node as text whose first line begins at this column. */
function rendered(node: unknown, column: number): string {
  const document = new Document(undefined);
  document.contents = node as Node;
  return document
    .toString(STYLE)
    .trimEnd()
    .replaceAll("\n", `\n${" ".repeat(column)}`);
}

function withItem(text: string, document: Document, list: YAMLSeq, entry: NamespaceEntry): string {
  const node = document.createNode(entry);
  const [start, end] = extentOf(text, list, list.items.length - 1);
  if (list.flow) {
    return `${text.slice(0, end)}, ${inline(node)}${text.slice(end)}`;
  }
  const dash = text.slice(lineStart(text, start), start);
  if (!/^ *- *$/.test(dash)) {
    throw new NotEditable("the items of its namespaces do not each begin on a line of their own");
  }
  const at = lineEnd(text, end);
  const before = text.slice(0, at);
  return `${before}${before.endsWith("\n") ? "" : "\n"}${dash}${rendered(node, dash.length)}\n${text.slice(at)}`;
}

function inline(node: unknown): string {
  if (node instanceof YAMLMap) {
    node.flow = true;
  }
  return rendered(node, 0);
}

function withList(text: string, document: Document, entries: readonly NamespaceEntry[]): string {
  const { contents } = document;
  const list = { [LIST]: entries };
  if (isMap(contents) && contents.flow) {
    const last = contents.items.at(-1)?.value as Node | undefined;
    const end = last?.range?.[1];
    if (end === undefined) {
      throw new NotEditable("its outermost mapping is empty braces");
    }
    const inner = inline(document.createNode(list)).slice(1, -1);
    return `${text.slice(0, end)}, ${inner}${text.slice(end)}`;
  }
  if (contents !== null && !isMap(contents) && !(isScalar(contents) && contents.value === null)) {
    throw new NotEditable("it is no configuration");
  }
  const before = text === "" || text.endsWith("\n") ? text : `${text}\n`;
  return `${before}${rendered(document.createNode(list), 0)}\n`;
}
