/** The most that is kept. The oldest goes first. */
const MAX_KEPT = 10_000;

/** The most characters of all credentials that are kept. */
const MAX_CHARACTERS = 8 * 1024 * 1024;

/** What was found out of credentials, until a time on the clock of `performance.now()`. */
interface Known<T> {
  readonly found: T;
  readonly untilMs: number;
}

/** What was found out of credentials, for a while. It holds so much and no more. */
export class KnownCredentials<T> {
  readonly #known = new Map<string, Known<T>>();
  #characters = 0;

  /** `undefined` = not known, or not any more. */
  get(credentials: string, nowMs: number): T | undefined {
    const known = this.#known.get(credentials);
    return known === undefined || known.untilMs <= nowMs ? undefined : known.found;
  }

  /** Keeps it in the place of what was known before. */
  set(credentials: string, found: T, untilMs: number): void {
    this.#delete(credentials);
    this.#known.set(credentials, { found, untilMs });
    this.#characters += credentials.length;
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= MAX_KEPT && this.#characters <= MAX_CHARACTERS) {
        break;
      }
      this.#delete(oldest);
    }
  }

  /** How many are kept. */
  get size(): number {
    return this.#known.size;
  }

  /** Forgets everything. */
  clear(): void {
    this.#known.clear();
    this.#characters = 0;
  }

  #delete(credentials: string): void {
    if (this.#known.delete(credentials)) {
      this.#characters -= credentials.length;
    }
  }
}
