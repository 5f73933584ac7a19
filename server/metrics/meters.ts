import { StoreMeter } from "../backend/store-meter.ts";
import type { CallMeter } from "../calls/call-meter.ts";

/** What a cache has counted since the start. */
export interface CacheCounts {
  /** For a label; of our own choice. */
  readonly name: string;
  readonly hits: number;
  readonly misses: number;
}

/** Everything that counts while calls run. The parts of the server write, a scrape reads. */
export class Meters {
  readonly calls: CallMeter;
  /** Caches that want to be seen add themselves. */
  readonly caches: CacheCounts[] = [];
  readonly #stores = new Map<string, StoreMeter>();

  constructor(calls: CallMeter) {
    this.calls = calls;
  }

  /** The meter of a configured store, by the operator's name; the same each time. */
  store(name: string): StoreMeter {
    let meter = this.#stores.get(name);
    if (meter === undefined) {
      meter = new StoreMeter();
      this.#stores.set(name, meter);
    }
    return meter;
  }

  /** Forgets the meters of stores that are not configured any more. */
  keepStores(configured: Pick<ReadonlySet<string>, "has">): void {
    for (const name of this.#stores.keys()) {
      if (!configured.has(name)) {
        this.#stores.delete(name);
      }
    }
  }
}
