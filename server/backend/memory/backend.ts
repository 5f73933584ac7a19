import type { Clock } from "../clock.ts";
import type { Commit, CommitAnswer } from "../commit.ts";
import {
  type Backend,
  type CommitStore,
  type EntryStore,
  type Interfaces,
  isRefusal,
  type ListStore,
  Refusal,
  type ScanStore,
} from "../contract.ts";
import { decide, readHeld } from "../decide.ts";
import type { ListInsert, ListMove, ListPlace, ListPut, ListRange, ListRemove, ListSlice } from "../lists.ts";
import { STORE_MESSAGES, storeError } from "../store-errors.ts";
import type { MemoryConfig } from "./config.ts";
import { EntryTable } from "./entry-table.ts";
import { ListTable } from "./list-table.ts";
import { createReclaimer, type Reclaimer, whenReclaimed } from "./reclaimer.ts";
import { RecordTable } from "./record-table.ts";
import { createRecords } from "./records.ts";
import { StreamTable } from "./stream-table.ts";
import { createStreams } from "./streams.ts";

/**
 * What one namespace holds. It stays when it is empty, until the namespace is erased; the operator
 * names the namespaces, so their number is bounded.
 */
interface Space {
  readonly entries: EntryTable;
  readonly lists: ListTable;
  readonly records: RecordTable;
  readonly streams: StreamTable;
  readonly reclaimer: Reclaimer;
  /**
   * The last version that was given. Counted from the time in microseconds, so versions grow over
   * restarts too: no gateway makes a million writes in each second of its life.
   */
  version: number;
}

/**
 * A store in this process's memory; closing it drops the data. Every call except a count is
 * answered at once.
 */
export function createMemoryBackend(config: MemoryConfig, { clock }: { readonly clock: Clock }): Backend {
  const spaces = new Map<string, Space>();
  /** No entry of an erased namespace had a greater version. */
  let erasedVersion = 0;

  function space(namespace: string): Space {
    const found = spaces.get(namespace);
    if (found !== undefined) {
      return found;
    }
    const entries = new EntryTable();
    const records = new RecordTable();
    const streams = new StreamTable();
    const reclaimer = createReclaimer(clock, (nowMs) => {
      const nextMs = [entries, records, streams].map((table) => table.reclaim(nowMs) ?? Infinity);
      const soonestMs = Math.min(...nextMs);
      return soonestMs === Infinity ? undefined : soonestMs;
    });
    const version = Math.max(clock.now() * 1000, erasedVersion);
    const created = { entries, lists: new ListTable(), records, streams, reclaimer, version };
    spaces.set(namespace, created);
    return created;
  }

  return {
    type: config.type,
    atomic: "namespace",
    countsCheaply: true,
    entries: createEntries(space, clock),
    commits: createCommits(space, clock),
    scans: createScans(space, clock),
    lists: createLists(space),
    ...createListEdits(space),
    listNames: { pageNames: async (namespace, query) => space(namespace).lists.page(query) },
    records: createRecords(space, clock),
    recordIds: {
      async pageIds(namespace, query, call) {
        const { records } = space(namespace);
        return await whenReclaimed(records, clock, call, () => records.pageIds(query));
      },
    },
    ...createStreams(space, clock),
    async erase(namespace) {
      const erased = spaces.get(namespace);
      if (erased !== undefined) {
        erased.reclaimer.stop();
        erasedVersion = Math.max(erasedVersion, erased.version);
        spaces.delete(namespace);
      }
      return undefined;
    },
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
      const into = space(namespace);
      const { entries, reclaimer } = into;
      // Checked before the first write, because a batch is written whole or not at all.
      if (!entries.hasRoom(writes.length)) {
        throw storeError("store_full");
      }
      const nowMs = clock.now();
      for (const { key, value, ttlMs } of writes) {
        const expiresAtMs = ttlMs === 0 ? undefined : nowMs + ttlMs;
        entries.set(key, value, expiresAtMs, ++into.version);
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

function createCommits(space: (namespace: string) => Space, clock: Clock): CommitStore {
  return {
    async read(namespace, reads) {
      const { entries } = space(namespace);
      const nowMs = clock.now();
      return reads.map((read) => readHeld(read, (key) => entries.look(key, nowMs), nowMs));
    },
    async commit(namespace, commits) {
      const into = space(namespace);
      const nowMs = clock.now();
      return commits.map((commit) => commitTo(into, commit, nowMs));
    },
  };
}

function commitTo(into: Space, commit: Commit, nowMs: number): CommitAnswer | Refusal {
  const { entries, reclaimer } = into;
  const version = ++into.version;
  const decision = decide(commit, (key) => entries.look(key, nowMs), nowMs, version);
  if (isRefusal(decision)) {
    return decision;
  }
  const { answer, writes } = decision;
  // Checked before the first write; what only deletes needs no room.
  if (answer.committed && answer.version !== 0 && !entries.hasRoom(writes.size)) {
    return new Refusal("store_full", STORE_MESSAGES.store_full);
  }
  for (const [key, left] of writes) {
    if (left === undefined) {
      entries.delete(key, nowMs);
      continue;
    }
    const { value, expiresAtMs } = left;
    if (value === undefined) {
      entries.touch(key, expiresAtMs, version);
    } else {
      entries.set(key, value, expiresAtMs, version);
    }
    if (expiresAtMs !== undefined) {
      reclaimer.expect(expiresAtMs);
    }
  }
  return answer;
}

function createScans(space: (namespace: string) => Space, clock: Clock): ScanStore {
  return {
    async scanPage(namespace, query) {
      return space(namespace).entries.page(query, clock.now());
    },
    async count(namespace, prefix, call) {
      const { entries } = space(namespace);
      return await whenReclaimed(entries, clock, call, () => entries.count(prefix));
    },
  };
}

function createLists(space: (namespace: string) => Space): ListStore {
  return {
    async push(namespace, pushes) {
      const { lists } = space(namespace);
      return pushes.map(({ key, end, value }) => lists.push(key, end, value));
    },
    async pop(namespace, pops) {
      const { lists } = space(namespace);
      return pops.map(({ key, end }) => lists.pop(key, end));
    },
    async length(namespace, keys) {
      const { lists } = space(namespace);
      return keys.map((key) => lists.length(key));
    },
  };
}

function createListEdits(
  space: (namespace: string) => Space,
): Pick<Interfaces, "listRanges" | "listIndexes" | "listMoves"> {
  /** Makes a method that answers each item at once. */
  const each =
    <Item, Answer>(answer: (lists: ListTable, item: Item) => Answer) =>
    async (namespace: string, items: readonly Item[]): Promise<readonly Answer[]> => {
      const { lists } = space(namespace);
      return items.map((item) => answer(lists, item));
    };
  return {
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
