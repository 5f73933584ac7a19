import { once } from "node:events";

/** The characters of lines that are written together. */
const GATHERED_CHARACTERS = 64 * 1024;

/** Writes to standard output, and waits while its reader is slow. */
export async function write(data: string | Uint8Array): Promise<void> {
  if (!process.stdout.write(data)) {
    await once(process.stdout, "drain");
  }
}

/** Writes lines to standard output, many at a time. */
export class Lines {
  #text = "";

  /** Adds a line. The result has to be awaited if there is one. */
  add(line: string): Promise<void> | undefined {
    this.#text += `${line}\n`;
    return this.#text.length < GATHERED_CHARACTERS ? undefined : this.end();
  }

  /** Writes what was added and not written yet. */
  async end(): Promise<void> {
    const text = this.#text;
    this.#text = "";
    if (text !== "") {
      await write(text);
    }
  }
}
