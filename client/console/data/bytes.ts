/** The most bytes of a key, of an id, and of a key of an item; server/limits.ts has it too. */
export const MAX_KEY_BYTES = 1024;

/** What a value is, for how it is shown. */
export type ValueKind = "json" | "text" | "image" | "bytes";

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The text, or `undefined` if the bytes are no UTF-8. */
export function textOf(bytes: Uint8Array): string | undefined {
  try {
    return UTF8.decode(bytes);
  } catch {
    return undefined;
  }
}

/** The bytes of a text. */
export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** The first bytes of the kinds of pictures that every browser draws without running anything. */
const IMAGES: readonly (readonly [type: string, start: readonly number[]])[] = [
  ["image/png", [0x89, 0x50, 0x4e, 0x47]],
  ["image/jpeg", [0xff, 0xd8, 0xff]],
  ["image/gif", [0x47, 0x49, 0x46, 0x38]],
];
const RIFF = [0x52, 0x49, 0x46, 0x46];
const WEBP = [0x57, 0x45, 0x42, 0x50];

/** The media type of a picture; `undefined` = it is none that is known. */
export function imageTypeOf(bytes: Uint8Array): string | undefined {
  const has = (start: readonly number[], at = 0) => start.every((byte, i) => bytes[at + i] === byte);
  if (has(RIFF) && has(WEBP, 8)) {
    return "image/webp";
  }
  return IMAGES.find(([, start]) => has(start))?.[0];
}

/** How a value is best shown. */
export function kindOf(bytes: Uint8Array): ValueKind {
  if (imageTypeOf(bytes) !== undefined) {
    return "image";
  }
  const text = textOf(bytes);
  if (text === undefined) {
    return "bytes";
  }
  return isJsonDocument(text) ? "json" : "text";
}

/** A longer text is believed by its beginning: to parse it would halt the page. */
const MAX_PARSED_LENGTH = 1024 * 1024;

/** An object or an array: a bare number or word is text to people. */
function isJsonDocument(text: string): boolean {
  if (!/^\s*[[{]/.test(text)) {
    return false;
  }
  if (text.length > MAX_PARSED_LENGTH) {
    return true;
  }
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/**
 * Control characters, and the marks that turn the direction of text or have no width: they would
 * hide what is there. https://www.unicode.org/reports/tr9/ has the marks.
 */
export const HIDDEN = /[\p{Cc}\p{Cf}\u2028\u2029]/gu;

/** One line of text in which everything is seen: `a\u202Eb`. */
export function visible(text: string): string {
  return text.replace(HIDDEN, (char) => {
    const code = char.codePointAt(0) ?? 0;
    return `\\u${code > 0xffff ? `{${code.toString(16)}}` : code.toString(16).padStart(4, "0")}`;
  });
}

/** Text of many lines in which everything is seen. */
export function visibleLines(text: string): string {
  return text
    .split(/\r?\n/)
    .map((line) => line.split("\t").map(visible).join("\t"))
    .join("\n");
}

/** Two hexadecimal digits for each byte, sixteen bytes a line. */
export function toHex(bytes: Uint8Array): string {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += 16) {
    lines.push(
      Array.from(bytes.subarray(at, at + 16), (byte) => byte.toString(16).padStart(2, "0")).join(" "),
    );
  }
  return lines.join("\n");
}

/** The bytes of hexadecimal digits; white space counts for nothing. `undefined` = they are none. */
export function fromHex(text: string): Uint8Array<ArrayBuffer> | undefined {
  const digits = text.replace(/\s+/g, "");
  if (digits.length % 2 !== 0 || /[^\da-f]/i.test(digits)) {
    return undefined;
  }
  const bytes = new Uint8Array(digits.length / 2);
  for (let i = 0; i < bytes.length; i++) {
    bytes[i] = Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16);
  }
  return bytes;
}
