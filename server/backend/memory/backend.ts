import { setImmediate as nextTurn } from "node:timers/promises";
import { abortError } from "../../errors.ts";
import type { Clock } from "../clock.ts";
import type {
  Backend,
  EntryStore,
  Interfaces,
  ListInsert,
  ListMove,
  ListPlace,
  ListPop,
  ListPush,
  ListPut,
  ListRange,
  ListRemove,
  ListSlice,
  ScanStore,
} from "../contract.ts";
import { storeError } from "../store-errors.ts";
import type { MemoryConfig } from "./config.ts";
import { EntryTable } from "./entry-table.ts";
import { ListTable } from "./list-table.ts";
import { createReclaimer, type Reclaimer } from "./reclaimer.ts";

/**
 * What one namespace holds. It stays when it is empty; the operator names the namespaces, so their
 * number is bounded.
 */
interface Space {
  readonly entries: EntryTable;
  readonly lists: ListTable;
  readonly reclaimer: Reclaimer;
}

/**
 * A store in this process's memory; closing it drops the data. Every call except a count is
 * answered at once.
 */
export function createMemoryBackend(config: MemoryConfig, { clock }: { readonly clock: Clock }): Backend {
  const spaces = new Map<string, Space>();

  function space(namespace: string): Space {
    const found = spaces.get(namespace);
    if (found !== undefined) {
      return found;
    }
    const entries = new EntryTable();
    const reclaimer = createReclaimer(clock, (nowMs) => entries.reclaim(nowMs));
    const created = { entries, lists: new ListTable(), reclaimer };
    spaces.set(namespace, created);
    return created;
  }

  return {
    type: config.type,
    atomic: "namespace",
    entries: createEntries(space, clock),
    scans: createScans(space, clock),
    ...createLists(space),
    async open() {},
    async check() {},
    async close() {
      for (const { reclaimer } of spaces.values()) {
        reclaimer.stop();
      }
      spaces.clear();
    },
  };
}

function createEntries(space: (namespace: string) => Space, clock: Clock): EntryStore {
  return {
    async get(namespace, keys) {
      const { entries } = space(namespace);
      const nowMs = clock.now();
      return keys.map((key) => entries.get(key, nowMs));
    },
    async exists(namespace, keys) {
      const { entries } = space(namespace);
      const nowMs = clock.now();
      return keys.map((key) => entries.has(key, nowMs));
    },
    async set(namespace, writes) {
      const { entries, reclaimer } = space(namespace);
      // Checked before the first write, because a batch is written whole or not at all.
      if (!entries.hasRoom(writes.length)) {
        throw storeError("store_full");
      }
      const nowMs = clock.now();
      for (const write of writes) {
        const expiresAtMs = entries.set(write, nowMs);
        if (expiresAtMs !== undefined) {
          reclaimer.expect(expiresAtMs);
        }
      }
      return undefined;
    },
    async delete(namespace, keys) {
      const { entries } = space(namespace);
      const nowMs = clock.now();
      return keys.map((key) => entries.delete(key, nowMs));
    },
  };
}

function createScans(space: (namespace: string) => Space, clock: Clock): ScanStore {
  return {
    async scanPage(namespace, query) {
      return space(namespace).entries.page(query, clock.now());
    },
    async count(namespace, prefix, call) {
      const { entries } = space(namespace);
      for (;;) {
        const nowMs = clock.now();
        const soonestMs = entries.reclaim(nowMs);
        // Nothing held is expired now, so the size is the count.
        if (soonestMs === undefined || soonestMs > nowMs) {
          return entries.count(prefix);
        }
        await nextTurn();
        if (call.aborted) {
          throw abortError(call.signal);
        }
      }
    },
  };
}

function createLists(
  space: (namespace: string) => Space,
): Pick<Interfaces, "lists" | "listRanges" | "listIndexes" | "listMoves"> {
  /** Makes a method that answers each item at once. */
  const each =
    <Item, Answer>(answer: (lists: ListTable, item: Item) => Answer) =>
    async (namespace: string, items: readonly Item[]): Promise<readonly Answer[]> => {
      const { lists } = space(namespace);
      return items.map((item) => answer(lists, item));
    };
  return {
    lists: {
      push: each((lists, { key, end, value }: ListPush) => lists.push(key, end, value)),
      pop: each((lists, { key, end }: ListPop) => lists.pop(key, end)),
      length: each((lists, key: string) => lists.length(key)),
    },
    listRanges: {
      slice: each((lists, slice: ListSlice) => lists.slice(slice)),
      trim: each((lists, range: ListRange) => lists.trim(range)),
    },
    listIndexes: {
      at: each((lists, { key, index }: ListPlace) => lists.at(key, index)),
      put: each((lists, put: ListPut) => lists.put(put)),
      insert: each((lists, insert: ListInsert) => lists.insert(insert)),
      remove: each((lists, remove: ListRemove) => lists.remove(remove)),
    },
    listMoves: {
      move: each((lists, move: ListMove) => lists.move(move)),
    },
  };
}
