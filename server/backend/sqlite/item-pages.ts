import { setImmediate as nextTurn } from "node:timers/promises";
import { abortError, PrismError } from "../../errors.ts";
import { SCAN_PAGE_BYTES, SCAN_PAGE_ENTRIES } from "../../limits.ts";
import type { Clock } from "../clock.ts";
import type { Call } from "../contract.ts";
import { createLane } from "../lane.ts";
import { bytesOfItem, type HeldItem, type ItemPage, type ItemRange } from "../records.ts";
import type { Operation } from "./operation.ts";
import type { RecordReader } from "./records.ts";
import type { GroupObserver } from "./write-queue.ts";

/** Reads pages of records. It must observe every group that is written. */
export interface ItemPages extends GroupObserver {
  /** A page of one moment. Rejects with SQLite's errors, {@link PrismError} and the abort's. */
  read(namespace: string, range: ItemRange, call: Call): Promise<ItemPage>;
  /** Fails the page under way: the connection closes. */
  close(): void;
}

/** A page that takes several steps. */
interface LongPage {
  readonly namespace: string;
  readonly range: ItemRange;
  /** When its items are looked at. */
  readonly nowMs: number;
  /** A group may have changed the record since the first step. */
  isStale: boolean;
}

/**
 * A page as large as one of a scan is one step. A larger one takes several, each in a turn of the
 * event loop of its own, so that other calls do not wait for it. It holds no snapshot, because
 * SQLite cannot restart its log while one is open. Instead it observes the writes: if one may have
 * changed the record between the steps, all is read again at once. One long page is read at a time,
 * because it is kept until it is whole.
 */
export function createItemPages(reader: Pick<RecordReader, "page">, clock: Clock): ItemPages {
  const lane = createLane(1);
  let current: LongPage | undefined;
  let underWay: readonly Operation[] = [];
  let isClosed = false;

  function readStep(namespace: string, range: ItemRange, nowMs: number): ItemPage {
    checkOpen();
    return reader.page(namespace, firstStep(range), nowMs);
  }

  function checkOpen(): void {
    if (isClosed) {
      throw new PrismError("store_unavailable", "the store is opened again");
    }
  }

  async function readSteps(page: LongPage, first: ItemPage, call: Call): Promise<ItemPage> {
    const { namespace, range, nowMs } = page;
    const items: HeldItem[] = [];
    let bytes = 0;
    for (let step = first; ; ) {
      for (const item of step.items) {
        items.push(item);
        bytes += bytesOfItem(item);
      }
      const { next: after } = step;
      const maxItems = range.maxItems - items.length;
      const maxBytes = range.maxBytes - bytes;
      if (after === undefined || maxItems <= 0 || maxBytes <= 0) {
        return { items, next: after };
      }
      await nextTurn();
      if (call.aborted) {
        throw abortError(call.signal);
      }
      if (page.isStale) {
        checkOpen();
        return reader.page(namespace, range, clock.now());
      }
      step = readStep(namespace, { ...range, after, maxItems, maxBytes }, nowMs);
    }
  }

  return {
    async read(namespace, range, call) {
      let nowMs = clock.now();
      let first = readStep(namespace, range, nowMs);
      const isStep = range.maxItems <= SCAN_PAGE_ENTRIES && range.maxBytes <= SCAN_PAGE_BYTES;
      if (isStep || first.next === undefined) {
        return first;
      }
      const turn = lane.enter(call);
      if (turn !== undefined) {
        await turn;
      }
      try {
        if (turn !== undefined) {
          nowMs = clock.now();
          first = readStep(namespace, range, nowMs);
        }
        current = { namespace, range, nowMs, isStale: mayChange(underWay, namespace, range.id) };
        return await readSteps(current, first, call);
      } finally {
        current = undefined;
        lane.leave();
      }
    },
    close() {
      isClosed = true;
    },
    sending(operations) {
      underWay = operations;
      if (current !== undefined) {
        current.isStale ||= mayChange(operations, current.namespace, current.range.id);
      }
    },
    answered() {
      underWay = [];
    },
  };
}

/** The part of a range that the first step reads. */
function firstStep(range: ItemRange): ItemRange {
  const { maxItems, maxBytes } = range;
  return {
    ...range,
    maxItems: Math.min(maxItems, SCAN_PAGE_ENTRIES),
    maxBytes: Math.min(maxBytes, SCAN_PAGE_BYTES),
  };
}

/** Whether a group of writes may change a record. A sweep may: it takes what expired meanwhile. */
function mayChange(operations: readonly Operation[], namespace: string, id: string): boolean {
  return operations.some((operation) => {
    switch (operation.type) {
      case "putItems":
      case "deleteItems":
      case "swapItem":
        return operation.namespace === namespace && operation.items.some((item) => item.id === id);
      case "erase":
        return operation.namespace === namespace;
      case "sweep":
        return true;
      default:
        return false;
    }
  });
}
