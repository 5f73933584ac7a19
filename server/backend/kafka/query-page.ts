import { bytesOfEvent, type EventPlace, type EventQuery, type HeldEvent } from "../streams.ts";

/** Whether `a` comes before `b` in the order of times, and at one time in that of offsets. */
export function isBefore(a: EventPlace, b: EventPlace): boolean {
  return a.timestampMs < b.timestampMs || (a.timestampMs === b.timestampMs && a.offset < b.offset);
}

/**
 * The first events of a page, in the order of {@link isBefore}, out of events that come in any
 * order. It has no more than the page can take.
 */
export class QueryPage {
  readonly #maxEvents: number;
  readonly #maxBytes: number;
  readonly #events: HeldEvent[] = [];
  #bytes = 0;

  constructor({ maxEvents, maxBytes }: Pick<EventQuery, "maxEvents" | "maxBytes">) {
    this.#maxEvents = maxEvents;
    this.#maxBytes = maxBytes;
  }

  get events(): readonly HeldEvent[] {
    return this.#events;
  }

  /** If the page is full, its last event: none behind it is wanted. */
  get limit(): HeldEvent | undefined {
    const isFull = this.#events.length >= this.#maxEvents || this.#bytes >= this.#maxBytes;
    return isFull ? this.#events.at(-1) : undefined;
  }

  /** Takes an event, and gives away those that it makes too many. */
  add(event: HeldEvent): void {
    this.#events.splice(this.#placeOf(event), 0, event);
    this.#bytes += bytesOfEvent(event);
    let last = this.#events.at(-1);
    while (last !== undefined && this.#isFullWithout(last)) {
      this.#events.pop();
      this.#bytes -= bytesOfEvent(last);
      last = this.#events.at(-1);
    }
  }

  /** Gives away the events behind a place. */
  cut(place: EventPlace): void {
    while (isBefore(place, this.#events.at(-1) ?? place)) {
      this.#events.pop();
    }
  }

  #isFullWithout(last: HeldEvent): boolean {
    const bytes = this.#bytes - bytesOfEvent(last);
    return this.#events.length > this.#maxEvents || (bytes >= this.#maxBytes && this.#events.length > 1);
  }

  /** How many events come before it: mostly all. */
  #placeOf(event: EventPlace): number {
    let low = 0;
    let high = this.#events.length;
    if (isBefore(this.#events.at(-1) ?? event, event)) {
      return high;
    }
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (isBefore(this.#events[middle] as HeldEvent, event)) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }
}
