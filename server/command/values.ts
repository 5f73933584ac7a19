import { isUtf8 } from "node:buffer";
import { open } from "node:fs/promises";
import type { Options } from "../cli.ts";
import { CommandError, EXIT } from "./exit-codes.ts";
import { textOption } from "./options.ts";

/**
 * The most bytes of a value that is read. Gateways take at most as much (limits.max_value_bytes).
 */
export const MAX_VALUE_BYTES = 64 * 1024 * 1024;

/**
 * The value of a command: the argument, or all of the file of --file, or of standard input if the
 * argument is "-" or there is none of both. Throws {@link CommandError}.
 */
export async function readValue(argument: string | undefined, options: Options): Promise<string | Buffer> {
  const file = textOption(options, "file");
  if (file !== undefined) {
    if (argument !== undefined) {
      throw new CommandError(EXIT.misused, "a value and --file: give one of both");
    }
    return await readFile(file);
  }
  if (argument !== undefined && argument !== "-") {
    return argument;
  }
  return await readAll(process.stdin, "standard input");
}

/** All of a small file. Throws {@link CommandError}. */
export async function readFile(path: string): Promise<Buffer> {
  try {
    await using file = await open(path);
    return await readAll(file.createReadStream(), path);
  } catch (error) {
    if (error instanceof CommandError) {
      throw error;
    }
    throw new CommandError(EXIT.misused, error instanceof Error ? error.message : String(error), error);
  }
}

async function readAll(stream: AsyncIterable<Buffer>, name: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    bytes += chunk.length;
    if (bytes > MAX_VALUE_BYTES) {
      throw new CommandError(EXIT.misused, `${name} has more than ${MAX_VALUE_BYTES} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/**
 * Bytes for JSON: as text in `name` where they are UTF-8, else as base64 in `name_base64`. No byte
 * is lost: text has exactly these bytes as UTF-8.
 */
export function toJsonBytes(value: Uint8Array, name = "value"): Readonly<Record<string, string>> {
  const bytes = toBuffer(value);
  return isUtf8(bytes)
    ? { [name]: bytes.toString("utf8") }
    : { [`${name}_base64`]: bytes.toString("base64") };
}

function toBuffer(value: Uint8Array): Buffer {
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}

/** The most characters of a value on a terminal. */
const MAX_SHOWN = 200;

/**
 * Text for a line on a terminal. Control characters are escaped, because a terminal would obey
 * them.
 */
export function shownText(text: string): string {
  const cut = text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}... (${text.length} characters)` : text;
  return cut.replace(/[\p{Cc}\u2028\u2029]/gu, (character) => JSON.stringify(character).slice(1, -1));
}

/** Bytes for a line on a terminal. */
export function shownValue(value: Uint8Array): string {
  const bytes = toBuffer(value);
  return isUtf8(bytes) ? shownText(bytes.toString("utf8")) : `(${bytes.length} bytes)`;
}
