/*
 * What stores that keep events as bytes share: texts of tags are short, and there are many.
 */

/** The longest text that a loop copies. Node's own methods are faster for longer text. */
const SHORT_TEXT = 32;

/** How many bytes of UTF-8 a text has. */
export function bytesOfText(text: string): number {
  return isShortAscii(text) ? text.length : Buffer.byteLength(text);
}

/** Writes a text as UTF-8. Answers where it ends. The bytes must have room for it. */
export function writeText(bytes: Buffer, at: number, text: string): number {
  if (!isShortAscii(text)) {
    return at + bytes.write(text, at);
  }
  for (let i = 0; i < text.length; i++) {
    bytes[at + i] = text.charCodeAt(i);
  }
  return at + text.length;
}

function isShortAscii(text: string): boolean {
  if (text.length > SHORT_TEXT) {
    return false;
  }
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) > 0x7f) {
      return false;
    }
  }
  return true;
}

/** Sets a tag of any name in an object that was made with `{}`. */
export function setTag(tags: Record<string, string>, name: string, value: string): void {
  if (name === "__proto__") {
    // An assignment would change the object's prototype.
    Object.defineProperty(tags, name, { value, enumerable: true, configurable: true, writable: true });
  } else {
    tags[name] = value;
  }
}
