import { toHex, visible } from "./bytes.ts";

/** The bytes of a value that a row of a list shows. */
const MAX_TEXT_BYTES = 400;
const MAX_HEX_BYTES = 32;

/** One line that tells what a value begins with. `size` = all its bytes. */
export interface Preview {
  readonly text: string;
  readonly size: number;
}

/** The preview of a value. Text is shown as text, other bytes as hexadecimal digits. */
export function previewOf(bytes: Uint8Array): Preview {
  const size = bytes.length;
  const start = bytes.subarray(0, MAX_TEXT_BYTES);
  try {
    // A character that is cut off at the end is left out.
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(start, {
      stream: size > start.length,
    });
    return { text: `${visible(text)}${size > start.length ? " …" : ""}`, size };
  } catch {
    const hex = toHex(bytes.subarray(0, MAX_HEX_BYTES)).replaceAll("\n", " ");
    return { text: `${hex}${size > MAX_HEX_BYTES ? " …" : ""}`, size };
  }
}
