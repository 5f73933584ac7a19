/** The least time between two pictures. */
const PICTURE_MS = 200;

const BAR_COLUMNS = 24;

/** How far a long command is, on standard error while that is a terminal; else nothing. */
export class Progress {
  readonly #what: string;
  readonly #startedAtMs = performance.now();
  /** Before the first picture it is -Infinity, so that one comes at once. */
  #drawnAtMs = Number.NEGATIVE_INFINITY;
  #done = 0;

  /** `what` names the things that are counted. */
  constructor(what: string) {
    this.#what = what;
  }

  /** Whether anybody sees it. */
  static get isShown(): boolean {
    return process.stderr.isTTY;
  }

  /** So many more are done. `part`: how much of all, 0 to 1; `undefined` = that is not known. */
  add(count: number, part?: number): void {
    this.#done += count;
    const nowMs = performance.now();
    if (Progress.isShown && nowMs >= this.#drawnAtMs + PICTURE_MS) {
      this.#drawnAtMs = nowMs;
      this.#draw(part);
    }
  }

  /** Takes the picture away. */
  end(): void {
    if (this.#drawnAtMs > 0) {
      process.stderr.write("\r\u001b[K");
    }
  }

  #draw(part: number | undefined): void {
    const perSecond = this.#done / ((performance.now() - this.#startedAtMs) / 1000);
    const done = `${number(this.#done)} ${this.#what}, ${number(perSecond)} a second`;
    process.stderr.write(`\r\u001b[K${part === undefined ? "" : `${bar(Math.min(1, part))} `}${done}`);
  }
}

function bar(part: number): string {
  const filled = "#".repeat(Math.floor(part * BAR_COLUMNS)).padEnd(BAR_COLUMNS, ".");
  return `[${filled}] ${String(Math.floor(part * 100)).padStart(3)}%`;
}

function number(count: number): string {
  return Math.round(count).toLocaleString("en-US");
}
