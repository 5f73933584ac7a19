import type { ListApi } from "../../web.ts";
import { type Preview, previewOf } from "./preview.ts";

/** Values of a page. A value may have megabytes, so a page has few. */
const PAGE = 50;
/** Pages that are kept, of what they begin with alone. */
const MOST_PAGES = 100;

/** A list, of which what is in sight is read. */
export class ListPages {
  /** `undefined` = not known yet; 0 = there is no such list. */
  length: number | undefined;
  /** Why the last read failed; {@link refresh} tries again. */
  problem: unknown;
  /** How often everything was read again; -1 = it was not read yet. */
  readings = -1;
  readonly #list: Pick<ListApi, "length" | "range">;
  readonly #key: string;
  readonly #onChange: () => void;
  readonly #pages = new Map<number, readonly Preview[]>();
  #aborted = new AbortController();
  #seen = { from: 0, to: 0 };
  #isReading = false;

  constructor(list: Pick<ListApi, "length" | "range">, key: string, onChange: () => void) {
    this.#list = list;
    this.#key = key;
    this.#onChange = onChange;
    this.refresh();
  }

  /** What the value in a place begins with; `undefined` = it is not read yet. */
  at(index: number): Preview | undefined {
    return this.#pages.get(Math.floor(index / PAGE))?.[index % PAGE];
  }

  /** Says which places are seen, `to` exclusive. */
  see(from: number, to: number): void {
    this.#seen = { from, to: Math.min(to, from + (MOST_PAGES - 1) * PAGE) };
    void this.#read(this.#aborted.signal);
  }

  /** Reads everything again. What was read stays until the length is known. */
  refresh(): void {
    this.#aborted.abort();
    this.#aborted = new AbortController();
    this.#isReading = false;
    void this.#measure(this.#aborted.signal);
  }

  /** Reads everything again if others changed the length. Failures count for nothing. */
  async look(): Promise<boolean> {
    const { signal } = this.#aborted;
    const length = await this.#list.length(this.#key, { signal }).catch(() => this.length);
    if (signal.aborted || length === this.length) {
      return false;
    }
    this.refresh();
    return true;
  }

  /** Reads no more. */
  close(): void {
    this.#aborted.abort();
  }

  async #measure(signal: AbortSignal): Promise<void> {
    try {
      const length = await this.#list.length(this.#key, { signal });
      if (!signal.aborted) {
        this.length = length;
        this.readings++;
        this.problem = undefined;
        this.#pages.clear();
        this.#onChange();
        await this.#read(signal);
      }
    } catch (thrown) {
      this.#fail(signal, thrown);
    }
  }

  async #read(signal: AbortSignal): Promise<void> {
    if (this.#isReading || this.problem !== undefined) {
      return;
    }
    this.#isReading = true;
    try {
      for (let page = this.#missing(); page !== undefined && !signal.aborted; page = this.#missing()) {
        const previews: Preview[] = [];
        const start = page * PAGE;
        for await (const value of this.#list.range(this.#key, start, start + PAGE - 1, { signal })) {
          previews.push(previewOf(value));
        }
        if (!signal.aborted) {
          this.#keep(page, previews);
        }
      }
    } catch (thrown) {
      this.#fail(signal, thrown);
    } finally {
      if (!signal.aborted) {
        this.#isReading = false;
      }
    }
  }

  /** A page in sight that is not read. */
  #missing(): number | undefined {
    const { from, to } = this.#seen;
    const last = Math.ceil(Math.min(to, this.length ?? 0) / PAGE);
    for (let page = Math.floor(from / PAGE); page < last; page++) {
      if (!this.#pages.has(page)) {
        return page;
      }
    }
    return undefined;
  }

  #keep(page: number, previews: readonly Preview[]): void {
    this.#pages.set(page, previews);
    const [oldest] = this.#pages.keys();
    if (this.#pages.size > MOST_PAGES && oldest !== undefined) {
      this.#pages.delete(oldest);
    }
    this.#onChange();
  }

  #fail(signal: AbortSignal, thrown: unknown): void {
    if (!signal.aborted) {
      this.problem = thrown;
      this.#onChange();
    }
  }
}
