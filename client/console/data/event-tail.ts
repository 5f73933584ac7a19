import { PrismError, type StreamEvent, type Tags, type TimeSeriesApi } from "../../web.ts";
import { type EventRow, rowOf } from "./events.ts";

/** The most events that are kept: the newest. */
export const MOST_EVENTS = 1000;
/** So many of those that are there already come first. */
const BEFORE = 20;
/** Events that come at once are shown together. */
const GATHER_MS = 100;
/** Before a tail that broke is opened again. */
const AGAIN_MS = 1000;

/** The newest events of a stream, as they come. */
export class EventTail {
  /** In the order of their offsets. It is another array after each change. */
  rows: readonly EventRow[] = [];
  /** How many events came while nothing was read, and were too many to be read afterwards. */
  skipped = 0;
  /** Whether the gateway is lost; it goes on by itself. */
  isLost = false;
  /** Why it stopped; {@link start} tries again. */
  problem: unknown;
  readonly #timeseries: Pick<TimeSeriesApi, "tail" | "describeStream">;
  readonly #stream: string;
  readonly #tags: Tags;
  readonly #onChange: () => void;
  /** Those that are not in `rows` yet. */
  #new: EventRow[] = [];
  /** The next offset to read; `undefined` = nothing was read yet. */
  #next: number | undefined;
  #aborted: AbortController | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    timeseries: Pick<TimeSeriesApi, "tail" | "describeStream">,
    stream: string,
    tags: Tags,
    onChange: () => void,
  ) {
    this.#timeseries = timeseries;
    this.#stream = stream;
    this.#tags = tags;
    this.#onChange = onChange;
  }

  /** Begins, or goes on behind the last event. */
  start(): void {
    this.stop();
    this.problem = undefined;
    this.#aborted = new AbortController();
    void this.#follow(this.#aborted.signal);
  }

  /** Reads no more. */
  stop(): void {
    this.#aborted?.abort();
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  async #follow(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        const fromOffset = await this.#firstOffset(signal);
        const options = { fromOffset, tags: this.#tags, signal };
        for await (const event of this.#timeseries.tail(this.#stream, options)) {
          if (signal.aborted) {
            return;
          }
          this.#take(event);
        }
      } catch (thrown) {
        if (signal.aborted) {
          return;
        }
        this.isLost = isPassing(thrown);
        this.problem = this.isLost ? undefined : thrown;
        this.#tell();
        if (!this.isLost) {
          return;
        }
      }
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }

  /** Where to read on. What came meanwhile is read only as far as it would be kept. */
  async #firstOffset(signal: AbortSignal): Promise<number> {
    const { firstOffset, nextOffset } = await this.#timeseries.describeStream(this.#stream, { signal });
    signal.throwIfAborted();
    if (this.#next !== undefined && this.#next > nextOffset) {
      // It was deleted and made again.
      this.#new = [];
      this.rows = [];
      this.#next = undefined;
    }
    const wanted = this.#next ?? nextOffset - BEFORE;
    // With tags nobody knows how many of those that came are wanted.
    const all = Object.keys(this.#tags).length === 0;
    const first = Math.max(wanted, firstOffset, all ? nextOffset - MOST_EVENTS : 0);
    this.skipped += all && this.#next !== undefined ? first - this.#next : 0;
    this.#next = first;
    this.isLost = false;
    this.#tell();
    return first;
  }

  #take(event: StreamEvent): void {
    this.#next = event.offset + 1;
    this.#new.push(rowOf(event));
    if (this.#new.length > MOST_EVENTS) {
      this.#new.splice(0, this.#new.length - MOST_EVENTS);
    }
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#tell();
    }, GATHER_MS);
  }

  #tell(): void {
    this.rows = [...this.rows, ...this.#new].slice(-MOST_EVENTS);
    this.#new = [];
    this.#onChange();
  }
}

/** Whether a tail that broke may go on where it was. */
function isPassing(thrown: unknown): boolean {
  return thrown instanceof PrismError && (thrown.retryable || thrown.reason === "deadline_exceeded");
}
