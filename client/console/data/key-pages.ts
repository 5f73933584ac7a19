import type { KeyValueApi } from "../../web.ts";
import { KeySide, PAGE_KEYS } from "./key-side.ts";

/** After so much work the page may draw and take a key press. */
const WORK_MS = 8;

/** After so long without it the page draws. */
const DRAW_MS = 24;

/** While keys are passed that nobody sees, the view is told so seldom. */
const TELL_MS = 100;

/** Keys between two looks at the clock. */
const LOOK_KEYS = 64;

/** How far a read of keys is that nobody sees yet. */
export interface Progress {
  /** The row that it goes to. */
  readonly row: number;
  /** From 0 to 1. */
  readonly share: number;
}

/** A read to be made. */
interface Plan {
  readonly side: KeySide;
  readonly fromPage: number;
  /** Where `fromPage` begins. */
  readonly bound: string;
  readonly toPage: number;
}

/** A read that is under way. */
interface Walk extends Plan {
  readonly aborted: AbortController;
  /** The page that is read now. */
  page: number;
}

/**
 * The keys that begin with a prefix, as rows of a list of any length. Only what is seen is read, a
 * page at a time, from the end of the range that is nearer. Where a row is far from everything that
 * was read, the keys between are read too, because only they tell where a page begins. Keys may
 * come and go meanwhile: then rows shift, and none is shown that is not there.
 */
export class KeyPages {
  readonly #source: Pick<KeyValueApi, "rangeKeys" | "count">;
  readonly #prefix: string;
  readonly #onChange: () => void;
  readonly #closing = new AbortController();
  readonly #fromStart = new KeySide(false);
  readonly #fromEnd = new KeySide(true);
  /** As the gateway or the end of the range told; `undefined` = not yet. */
  #count: number | undefined;
  /** So many rows were found, while the gateway counts. */
  #found = 0;
  #hasRead = false;
  #seen = { from: 0, to: 1 };
  #walk: Walk | undefined;
  #problem: unknown;
  #toldMs = 0;

  /** `onChange` is called when there is more to show. Nothing is read before {@link see}. */
  constructor(source: Pick<KeyValueApi, "rangeKeys" | "count">, prefix: string, onChange: () => void) {
    this.#source = source;
    this.#prefix = prefix;
    this.#onChange = onChange;
    void this.#recount();
  }

  /** How many rows there are, as far as is known. */
  get rows(): number {
    return this.#count ?? this.#found;
  }

  /** Whether all are counted, or only those that were found so far. */
  get isCounted(): boolean {
    return this.#count !== undefined;
  }

  /** Whether anything was read: then no rows means that there are none. */
  get hasRead(): boolean {
    return this.#hasRead;
  }

  /** Why nothing more is read, until {@link refresh}; `undefined` = nothing failed. */
  get problem(): unknown {
    return this.#problem;
  }

  /** How far a long read is; `undefined` = there is none. */
  get progress(): Progress | undefined {
    if (this.#walk === undefined || this.#walk.toPage - this.#walk.fromPage < 3) {
      return undefined;
    }
    const { fromPage, toPage, page } = this.#walk;
    return { row: this.#seen.from, share: (page - fromPage) / (toPage - fromPage + 1) };
  }

  /** The key of a row; `undefined` = it is not read yet. */
  keyAt(row: number): string | undefined {
    const behind = this.rows - 1 - row;
    const sure = this.#fromStart.lacks(pageOf(row)) ? undefined : this.#fromStart.keyAt(row);
    return sure ?? this.#fromEnd.keyAt(behind) ?? this.#fromStart.keyAt(row);
  }

  /** Reads the rows from `from` to before `to`, in place of what was to be read before. */
  see(from: number, to: number): void {
    this.#seen = { from, to };
    this.#read();
  }

  /** A key was made (1) or deleted (-1) by who looks. */
  change(key: string, by: 1 | -1): void {
    if (!key.startsWith(this.#prefix)) {
      return;
    }
    this.#count = this.#count === undefined ? undefined : Math.max(0, this.#count + by);
    this.#fromStart.change(key);
    this.#fromEnd.change(key);
    this.#stop();
    this.#read();
    this.#tell();
  }

  /** Counts again, and reads again what is seen. */
  refresh(): void {
    this.#problem = undefined;
    this.#found = 0;
    this.#fromStart.expire();
    this.#fromEnd.expire();
    this.#stop();
    void this.#recount();
    this.#read();
    this.#tell();
  }

  /** Ends every read. */
  close(): void {
    this.#closing.abort();
    this.#stop();
  }

  async #recount(): Promise<void> {
    const { signal } = this.#closing;
    try {
      const count = await this.#source.count(this.#prefix, { signal });
      this.#count = Math.max(count, this.#found);
      this.#read();
      this.#tell();
    } catch {
      // A store that cannot count, or not in time: the list grows as it is read.
    }
  }

  #stop(): void {
    this.#walk?.aborted.abort();
    this.#walk = undefined;
  }

  /** Where a row is best read from; `undefined` = it is read. */
  #plan(row: number): Plan | undefined {
    const sides = [this.#fromStart];
    if (this.#count !== undefined && this.#count > PAGE_KEYS) {
      sides.push(this.#fromEnd);
    }
    const targets = sides.map((side) => ({
      side,
      toPage: pageOf(side.isReverse ? this.rows - 1 - row : row),
    }));
    if (targets.some(({ side, toPage }) => !side.lacks(toPage))) {
      return undefined;
    }
    return targets
      .map(({ side, toPage }) => ({ side, toPage, ...side.nearest(toPage) }))
      .reduce((a, b) => (b.toPage - b.fromPage < a.toPage - a.fromPage ? b : a));
  }

  /** Reads the first row in sight that lacks, unless it is on the way of what is read now. */
  #read(): void {
    if (this.#problem !== undefined || this.#closing.signal.aborted) {
      return;
    }
    const last = Math.max(1, this.#hasRead ? Math.min(this.#seen.to, this.rows) : this.#seen.to);
    for (let row = Math.min(this.#seen.from, last - 1); row < last; row++) {
      const plan = this.#plan(row);
      if (plan === undefined) {
        continue;
      }
      const walk = this.#walk;
      if (walk !== undefined && walk.side === plan.side && walk.page === plan.fromPage) {
        return;
      }
      this.#stop();
      const started = { ...plan, page: plan.fromPage, aborted: new AbortController() };
      this.#walk = started;
      void this.#run(started);
      return;
    }
    this.#stop();
  }

  async #run(walk: Walk): Promise<void> {
    try {
      await this.#pass(walk);
    } catch (thrown) {
      if (this.#walk === walk) {
        this.#problem = thrown;
      }
    }
    if (this.#walk === walk) {
      this.#walk = undefined;
      this.#read();
      this.#tell();
    }
  }

  /** Reads the pages of a walk, as long as it is the one that is wanted. */
  async #pass(walk: Walk): Promise<void> {
    const { side, bound, aborted } = walk;
    const keys = this.#source.rangeKeys({
      prefix: this.#prefix,
      ...(side.isReverse ? { end: bound, reverse: true } : { start: bound }),
      limit: (walk.toPage - walk.fromPage + 1) * PAGE_KEYS + 1,
      signal: aborted.signal,
    });
    let page: string[] = [];
    let workedMs = performance.now();
    for await (const { key } of keys) {
      if (this.#walk !== walk) {
        return;
      }
      if (page.length === PAGE_KEYS) {
        this.#put(walk, page, side.isReverse ? page[PAGE_KEYS - 1] : key);
        page = [];
      }
      page.push(key);
      if (page.length % LOOK_KEYS === 0 && performance.now() - workedMs > WORK_MS) {
        await pause();
        workedMs = performance.now();
      }
    }
    if (this.#walk === walk && walk.page <= walk.toPage) {
      this.#put(walk, page, undefined);
    }
  }

  /** `next` = `undefined`: the range ends with this page, so all rows are counted. */
  #put(walk: Walk, keys: readonly string[], next: string | undefined): void {
    walk.side.put(walk.page, keys, next);
    const end = walk.page * PAGE_KEYS + keys.length;
    if (next === undefined) {
      this.#count = end;
      this.#found = Math.min(this.#found, end);
    } else {
      // One more is known to be there.
      this.#found = Math.max(this.#found, end + 1);
      this.#count = this.#count === undefined ? undefined : Math.max(this.#count, end + 1);
    }
    this.#hasRead = true;
    walk.page++;
    const nowMs = performance.now();
    if (walk.page > walk.toPage || nowMs - this.#toldMs > TELL_MS) {
      this.#tell();
    }
  }

  #tell(): void {
    this.#toldMs = performance.now();
    if (!this.#closing.signal.aborted) {
      this.#onChange();
    }
  }
}

function pageOf(row: number): number {
  return Math.floor(row / PAGE_KEYS);
}

/** When the page last had its turn to draw. */
let drawnMs = 0;

/**
 * Lets the page answer to its user and, in time, draw. A browser puts drawing off for up to 100 ms
 * while there is work, so the work waits for it. A page that nobody sees does not draw: then the
 * time serves.
 */
async function pause(): Promise<void> {
  if (performance.now() - drawnMs > DRAW_MS && typeof requestAnimationFrame === "function") {
    await new Promise<void>((resolve) => {
      requestAnimationFrame(() => resolve());
      setTimeout(resolve, DRAW_MS);
    });
    drawnMs = performance.now();
  }
  // The work goes on after the drawing, not before it in the same turn.
  const { scheduler } = globalThis as { readonly scheduler?: { readonly yield?: () => Promise<void> } };
  await (scheduler?.yield?.() ?? new Promise((resolve) => setTimeout(resolve)));
}
