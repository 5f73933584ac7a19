import { type FileHandle, open, stat } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";

/** The most characters of lines that wait to be written. Further lines are lost. */
const MAX_WAITING = 1024 * 1024;

/** How long the end waits for a disk. One that is on a network can hang for ever. */
const MAX_CLOSE_MS = 2_000;

/** Nobody but the server's own user reads it. */
const MODE = 0o600;

const LINE_FEED = 0x0a;

/** What became of lines. */
export interface AuditFileListener {
  /** Lines could not be written. */
  failed(error: unknown): void;
  /** So many lines could not be written. Told when lines can be written again, and at the end. */
  lost(lines: number): void;
}

/**
 * A file that lines are appended to. Nobody waits for it: lines wait in memory, and what cannot be
 * written is counted. Before it writes it looks whether the file was moved away, as programs do
 * that rotate logs, and then makes a new one.
 */
export class AuditFile {
  readonly #path: string;
  readonly #listener: AuditFileListener;
  #handle: FileHandle | undefined;
  #waiting: string[] = [];
  #waitingCharacters = 0;
  #lost = 0;
  /** True: the file ends within a line, because the disk was full then. */
  #isTorn = false;
  #mustReopen = false;
  /** How many lines are being written. */
  #underWay = 0;
  #isWriting = false;
  #work: Promise<void> = Promise.resolve();

  /** `path` is absolute. */
  constructor(path: string, listener: AuditFileListener) {
    this.#path = path;
    this.#listener = listener;
  }

  /** Opens it, and makes it if it is not there. Throws Node's own error. */
  async open(): Promise<void> {
    this.#handle = await open(this.#path, "a", MODE);
  }

  /** Adds a line, which ends with a line feed. */
  write(line: string): void {
    if (this.#waitingCharacters >= MAX_WAITING) {
      this.#lost++;
      return;
    }
    this.#waiting.push(line);
    this.#waitingCharacters += line.length;
    this.#start();
  }

  /** Opens the file at its path anew, whatever is there now. */
  reopen(): void {
    this.#mustReopen = true;
    this.#start();
  }

  /**
   * Writes the lines that wait, and closes the file. What is not written in `maxMs` counts as lost.
   */
  async close(maxMs = MAX_CLOSE_MS): Promise<void> {
    const ended = new AbortController();
    const late = delay(maxMs, true, { signal: ended.signal }).catch(() => false);
    const isLate = await Promise.race([this.#end(), late]);
    ended.abort();
    if (isLate) {
      this.#lost += this.#underWay + this.#waiting.length;
      this.#listener.failed(Object.assign(new Error(`not written in ${maxMs} ms`), { code: "ETIMEDOUT" }));
    }
    this.#tellLost();
  }

  async #end(): Promise<false> {
    await this.#work;
    await this.#handle?.close();
    this.#handle = undefined;
    return false;
  }

  #start(): void {
    if (!this.#isWriting) {
      this.#isWriting = true;
      this.#work = this.#writeAll();
    }
  }

  async #writeAll(): Promise<void> {
    do {
      const lines = this.#waiting;
      this.#waiting = [];
      this.#waitingCharacters = 0;
      this.#underWay = lines.length;
      try {
        await this.#append(lines.join(""));
        if (lines.length > 0) {
          this.#tellLost();
        }
      } catch (error) {
        this.#lost += lines.length;
        this.#listener.failed(error);
      }
      this.#underWay = 0;
    } while (this.#waiting.length > 0 || this.#mustReopen);
    // In the turn of the last look, so that nothing that comes later waits in vain.
    this.#isWriting = false;
  }

  #tellLost(): void {
    if (this.#lost > 0) {
      const lost = this.#lost;
      this.#lost = 0;
      this.#listener.lost(lost);
    }
  }

  async #append(text: string): Promise<void> {
    const handle = await this.#current();
    const bytes = Buffer.from(this.#isTorn ? `\n${text}` : text);
    let written = 0;
    try {
      while (written < bytes.length) {
        written += (await handle.write(bytes, written)).bytesWritten;
      }
    } finally {
      if (written > 0) {
        this.#isTorn = bytes[written - 1] !== LINE_FEED;
      }
    }
  }

  /** The file at the path, opened anew if it is another one by now. */
  async #current(): Promise<FileHandle> {
    const mustReopen = this.#mustReopen;
    this.#mustReopen = false;
    if (this.#handle !== undefined && (mustReopen || (await this.#wasMoved(this.#handle)))) {
      const old = this.#handle;
      this.#handle = undefined;
      await old.close();
    }
    if (this.#handle === undefined) {
      this.#handle = await open(this.#path, "a", MODE);
      this.#isTorn = false;
    }
    return this.#handle;
  }

  async #wasMoved(handle: FileHandle): Promise<boolean> {
    const [own, there] = await Promise.all([handle.stat(), stat(this.#path).catch(() => undefined)]);
    return there === undefined || there.ino !== own.ino || there.dev !== own.dev;
  }
}
