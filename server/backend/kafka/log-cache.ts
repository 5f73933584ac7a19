import type { Call } from "../contract.ts";
import type { Fetcher, LogPart, TopicPart } from "./fetcher.ts";

/** How much is kept of all logs together. */
const MAX_BYTES = 32 * 1024 * 1024;

/** A part is kept no longer: an operator may have removed what it has. */
const MAX_AGE_MS = 1000;

/** How many parts of one log are kept. */
const MAX_PARTS = 16;

interface KeptPart extends LogPart {
  readonly keptAtMs: number;
}

/**
 * Keeps what was just fetched. The pages of one reader lie in the same part of a log, and what was
 * written to a log never changes.
 */
export class LogCache {
  readonly #fetcher: Pick<Fetcher, "fetch">;
  /** By the topic's id, the one used last at the end. The newest part of each comes last. */
  readonly #logs = new Map<string, KeptPart[]>();
  #bytes = 0;

  constructor(fetcher: Pick<Fetcher, "fetch">) {
    this.#fetcher = fetcher;
  }

  /** A part of a log with the offset, if it is kept. */
  kept({ id }: TopicPart, offset: number): LogPart | undefined {
    const parts = this.#logs.get(id);
    const sinceMs = performance.now() - MAX_AGE_MS;
    return parts?.findLast(
      (part) => part.offset <= offset && offset < part.nextOffset && part.keptAtMs >= sinceMs,
    );
  }

  /**
   * A part of a log with the offset, fetched if it is not kept. Throws as {@link Fetcher.fetch}.
   */
  async at(topic: TopicPart, offset: number, call: Call): Promise<LogPart> {
    return this.kept(topic, offset) ?? (await this.fetch(topic, offset, call));
  }

  /** As `at`, but always fetches. */
  async fetch(topic: TopicPart, offset: number, call: Call): Promise<LogPart> {
    const part = await this.#fetcher.fetch(topic, offset, call);
    if (part.nextOffset > offset) {
      this.#keep(topic.id, part);
    }
    return part;
  }

  /** Forgets everything. */
  clear(): void {
    this.#logs.clear();
    this.#bytes = 0;
  }

  #keep(id: string, part: LogPart): void {
    const parts = this.#logs.get(id) ?? [];
    this.#logs.delete(id);
    this.#logs.set(id, parts);
    parts.push({ ...part, keptAtMs: performance.now() });
    this.#bytes += part.bytes;
    if (parts.length > MAX_PARTS) {
      this.#bytes -= parts.shift()?.bytes ?? 0;
    }
    for (const [oldest, olds] of this.#logs) {
      if (this.#bytes <= MAX_BYTES) {
        break;
      }
      while (this.#bytes > MAX_BYTES && olds.length > 0) {
        this.#bytes -= olds.shift()?.bytes ?? 0;
      }
      if (olds.length === 0) {
        this.#logs.delete(oldest);
      }
    }
  }
}
