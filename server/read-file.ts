import { closeSync, openSync, readSync } from "node:fs";

/** A file's bytes, or an error in the operator's words. */
export type FileRead = { readonly bytes: Uint8Array } | { readonly error: string };

/**
 * Reads a file or a pipe (`--config <(...)`), whose size is not known in advance. A larger one is
 * an error.
 */
export function readFileAtMost(path: string, maxBytes: number): FileRead {
  const buffer = new Uint8Array(maxBytes + 1);
  try {
    const descriptor = openSync(path, "r");
    try {
      let length = 0;
      while (length < buffer.length) {
        const count = readSync(descriptor, buffer, length, buffer.length - length, null);
        if (count === 0) {
          return { bytes: buffer.subarray(0, length) };
        }
        length += count;
      }
      return { error: `larger than ${maxBytes} bytes` };
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    return { error: readFailure(error) };
  }
}

function readFailure(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  switch (code) {
    case "ENOENT":
    case "ENOTDIR":
      return "no such file";
    case "EISDIR":
      return "a folder, not a file";
    case "EACCES":
    case "EPERM":
      return "no permission to read it";
    default:
      return `cannot be read (${code ?? "unknown error"})`;
  }
}
