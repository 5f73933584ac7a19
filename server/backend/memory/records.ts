import type { Clock } from "../clock.ts";
import type { RecordStore } from "../contract.ts";
import { itemsTooLarge } from "../decide-item.ts";
import { bytesOfItem } from "../records.ts";
import type { Reclaimer } from "./reclaimer.ts";
import type { RecordTable } from "./record-table.ts";

/** The part of a namespace that records need. */
interface RecordSpace {
  readonly records: RecordTable;
  readonly reclaimer: Reclaimer;
}

/** Records in memory. Every call is answered at once. */
export function createRecords(space: (namespace: string) => RecordSpace, clock: Clock): RecordStore {
  return {
    async putItems(namespace, puts) {
      const { records, reclaimer } = space(namespace);
      const nowMs = clock.now();
      for (const { id, items } of puts) {
        for (const item of items) {
          awaitExpiry(reclaimer, records.put(id, item, nowMs));
        }
      }
      return undefined;
    },
    async getItems(namespace, reads) {
      const { records } = space(namespace);
      const nowMs = clock.now();
      return reads.map((read) => {
        const { id, keys, maxBytes } = read;
        const items = keys.map((key) => records.get(id, key, nowMs));
        const bytes = items.reduce((sum, item) => sum + (item === undefined ? 0 : bytesOfItem(item)), 0);
        return bytes > maxBytes ? itemsTooLarge(read) : items;
      });
    },
    async pageItems(namespace, ranges) {
      const { records } = space(namespace);
      const nowMs = clock.now();
      return ranges.map((range) => records.page(range, nowMs));
    },
    async deleteItems(namespace, deletes) {
      const { records } = space(namespace);
      const nowMs = clock.now();
      return deletes.map((each) => records.delete(each, nowMs));
    },
    async swapItem(namespace, swaps) {
      const { records, reclaimer } = space(namespace);
      const nowMs = clock.now();
      return swaps.map((swap) => {
        const { answer, expiresAtMs } = records.swap(swap, nowMs);
        awaitExpiry(reclaimer, expiresAtMs);
        return answer;
      });
    },
  };
}

function awaitExpiry(reclaimer: Reclaimer, expiresAtMs: number | undefined): void {
  if (expiresAtMs !== undefined) {
    reclaimer.expect(expiresAtMs);
  }
}
