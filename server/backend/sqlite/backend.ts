import { resolve } from "node:path";
import { PrismError } from "../../errors.ts";
import type { Clock } from "../clock.ts";
import {
  type Answers,
  type Backend,
  type Call,
  type CommitStore,
  type EntryStore,
  type Interfaces,
  type RecordStore,
  type Refusal,
  refusalOf,
  type ScanStore,
  SILENT,
  type StoreLog,
  type StreamStore,
} from "../contract.ts";
import { type AnswerOf, type ItemOf, WRITES, type WriteName } from "../operations.ts";
import { storeError } from "../store-errors.ts";
import { createSweeper, type Sweeper } from "../sweeper.ts";
import type { SqliteConfig } from "./config.ts";
import type { DatabaseOptions } from "./database.ts";
import { FILES_GONE, openError, toPrismError } from "./errors.ts";
import { readIds } from "./names.ts";
import type { OperationOf } from "./operation.ts";
import { bytesOfAppend, packAppend } from "./packed-append.ts";
import { openSession, type Session } from "./session.ts";

/**
 * The most entries that one write of a sweep deletes, so that calls wait for a sweep no longer than
 * for each other.
 */
const SWEEP_ENTRIES = 512;

/** A {@link Backend} in a file. */
export interface SqliteBackend extends Backend {
  /**
   * Deletes everything that is expired now; answers the number of entries. The store also does this
   * by itself, every second.
   */
  sweep(): Promise<number>;
}

/**
 * A store in one SQLite file. A separate thread writes, many calls in one commit. This thread
 * reads, and sees every acknowledged write. Acknowledged writes are on the disk.
 */
export function createSqliteBackend(
  config: SqliteConfig,
  { clock, log = SILENT }: { readonly clock: Clock; readonly log?: StoreLog },
): SqliteBackend {
  const options: DatabaseOptions = { path: resolve(config.path), maxBytes: config.max_bytes };
  /** `session` is absent while the file is reopened, and after reopening failed. */
  let open: { session: Session | undefined; readonly sweeper: Sweeper } | undefined;
  let reopening: Promise<void> | undefined;

  function current(): Session {
    const session = open?.session;
    if (session === undefined) {
      throw new PrismError("store_unavailable", "the store is not open");
    }
    if (session.filesAreGone) {
      throw new PrismError("store_unavailable", FILES_GONE);
    }
    return session;
  }

  const startSession = () => openSession(options, clock, log, onRoom);

  /** The disk was too full to open the database for writing, and has room now. */
  function onRoom(): void {
    reopening ??= reopen().finally(() => {
      reopening = undefined;
    });
  }

  async function reopen(): Promise<void> {
    const mine = open;
    const old = mine?.session;
    if (mine === undefined || old === undefined) {
      return;
    }
    mine.session = undefined;
    try {
      await old.close();
      mine.session = await startSession();
      log.info({ path: options.path }, "store was opened again, because the disk has room");
    } catch (error) {
      log.error(
        { path: options.path, err: error },
        "store cannot be opened again: the server has to be restarted",
      );
    }
  }

  async function sweep(): Promise<number> {
    const { reader, writes } = current();
    const mine = open;
    let total = 0;
    while (open === mine && reader.hasExpired(clock.now())) {
      total += await writes.write({ type: "sweep", maxEntries: SWEEP_ENTRIES }, 0);
    }
    return total;
  }

  return {
    type: config.type,
    atomic: "namespace",
    entries: createEntries(current, clock),
    commits: createCommits(current, clock),
    scans: createScans(current, clock),
    ...createLists(current),
    listNames: {
      pageNames: async (namespace, query) => reading(() => current().reader.names.lists(namespace, query)),
    },
    records: createRecords(current, clock),
    recordIds: {
      async pageIds(namespace, query, call) {
        try {
          return await readIds(() => current().reader.names, clock, namespace, query, call);
        } catch (error) {
          throw toPrismError(error);
        }
      },
    },
    streams: createStreams(current, clock),
    streamNames: {
      pageStreams: async (namespace, query) =>
        reading(() => current().reader.names.streams(namespace, query)),
    },
    sweep,
    async erase(namespace, { maxItems }, call) {
      const hasMore = await current().writes.write({ type: "erase", namespace, maxItems }, 0, call);
      return hasMore ? "more" : undefined;
    },
    figures: () => open?.session?.writes.figures() ?? {},
    async open() {
      try {
        open = { session: await startSession(), sweeper: createSweeper(sweep) };
      } catch (error) {
        throw openError(error, options.path);
      }
    },
    async check() {
      const session = current();
      reading(() => session.reader.hasExpired(clock.now()));
      session.checkWrites();
    },
    async close() {
      if (open === undefined) {
        throw new PrismError("store_unavailable", "the store is not open");
      }
      await reopening;
      const { session, sweeper } = open;
      open = undefined;
      await sweeper.stop();
      await session?.close();
    },
  };
}

function createEntries(current: () => Session, clock: Clock): EntryStore {
  return {
    get: async (namespace, keys) => await current().gets.get(namespace, keys),
    async exists(namespace, keys) {
      const { reader } = current();
      const nowMs = clock.now();
      return readEach(keys, (key) => reader.exists(namespace, key, nowMs));
    },
    set: createWrite(current, "set"),
    delete: createWrite(current, "delete"),
  };
}

function createCommits(current: () => Session, clock: Clock): CommitStore {
  const commitOne = createWrite(current, "commit");
  return {
    async read(namespace, reads) {
      const { reader } = current();
      const nowMs = clock.now();
      return readEach(reads, (read) => reader.read(namespace, read, nowMs));
    },
    commit: (namespace, commits, call) => eachAlone(commitOne, namespace, commits, call),
  };
}

/** Each item is an operation of its own, because each takes effect or not on its own. */
async function eachAlone<Item, Answer>(
  write: (namespace: string, items: readonly Item[], call: Call) => Promise<Answers<Answer>>,
  namespace: string,
  items: readonly Item[],
  call: Call,
): Promise<Answers<Answer>> {
  if (items.length === 1) {
    return write(namespace, items, call);
  }
  return answersOfAll(await Promise.allSettled(items.map((item) => write(namespace, [item], call))));
}

/** A call that failed after some of its items were answered is in doubt. */
function answersOfAll<T>(made: readonly PromiseSettledResult<Answers<T>>[]): Answers<T> {
  const answers = made.flatMap((each) => (each.status === "fulfilled" ? each.value : []));
  for (const each of made) {
    if (each.status === "rejected") {
      throw answers.length === 0 ? each.reason : storeError("outcome_unknown", each.reason);
    }
  }
  return answers;
}

function createScans(current: () => Session, clock: Clock): ScanStore {
  return {
    async scanPage(namespace, query) {
      const { reader } = current();
      return reading(() => reader.page(namespace, query, clock.now()));
    },
    async count(namespace, prefix, call) {
      try {
        return await current().counter.count(namespace, prefix, call);
      } catch (error) {
        throw toPrismError(error);
      }
    },
  };
}

function createLists(
  current: () => Session,
): Pick<Interfaces, "lists" | "listRanges" | "listIndexes" | "listMoves"> {
  return {
    lists: {
      push: createWrite(current, "push"),
      pop: createWrite(current, "pop"),
      async length(namespace, keys) {
        const { reader } = current();
        return readEach(keys, (key) => reader.length(namespace, key));
      },
    },
    listRanges: {
      async slice(namespace, slices) {
        const { reader } = current();
        return readEach(slices, (slice) => reader.slice(namespace, slice));
      },
      trim: createWrite(current, "trim"),
    },
    listIndexes: {
      async at(namespace, places) {
        const { reader } = current();
        return readEach(places, ({ key, index }) => {
          const slice = { key, start: index, stop: index, maxEntries: 1, maxBytes: 1 };
          const [value] = reader.slice(namespace, slice).values;
          return value;
        });
      },
      put: createWrite(current, "put"),
      insert: createWrite(current, "insert"),
      remove: createWrite(current, "remove"),
    },
    listMoves: { move: createWrite(current, "move") },
  };
}

function createRecords(current: () => Session, clock: Clock): RecordStore {
  return {
    putItems: createWrite(current, "putItems"),
    async getItems(namespace, reads) {
      const { reader } = current();
      const nowMs = clock.now();
      return readEach(reads, (read) => reader.records.items(namespace, read, nowMs));
    },
    async pageItems(namespace, ranges, call) {
      const { itemPages } = current();
      return await Promise.all(
        ranges.map(async (range) => {
          try {
            return await itemPages.read(namespace, range, call);
          } catch (error) {
            return refusedOne(error);
          }
        }),
      );
    },
    deleteItems: createWrite(current, "deleteItems"),
    swapItem: createWrite(current, "swapItem"),
  };
}

function createStreams(current: () => Session, clock: Clock): StreamStore {
  const appendEvents = createAppend(current, clock);
  const write = createWrite(current, "createStream");
  const createStream: StreamStore["createStream"] = async (namespace, creates, call) =>
    (await write(namespace, creates, call)) ?? [];
  return {
    appendEvents: (namespace, appends, call) =>
      call.each === true
        ? eachAlone(appendEvents, namespace, appends, call)
        : appendEvents(namespace, appends, call),
    async queryEvents(namespace, queries) {
      const { reader } = current();
      const nowMs = clock.now();
      return readEach(queries, (query) => reader.streams.query(namespace, query, nowMs));
    },
    async readEvents(namespace, reads) {
      const { reader } = current();
      const nowMs = clock.now();
      return readEach(reads, (read) => reader.streams.read(namespace, read, nowMs));
    },
    createStream: (namespace, creates, call) =>
      call.each === true
        ? eachAlone(createStream, namespace, creates, call)
        : createStream(namespace, creates, call),
    async describeStream(namespace, streams) {
      const { reader } = current();
      const nowMs = clock.now();
      return readEach(streams, (stream) => reader.streams.describe(namespace, stream, nowMs));
    },
    deleteStream: createWrite(current, "deleteStream"),
  };
}

/** Packs events as soon as they come, so they are copied once. */
function createAppend(current: () => Session, clock: Clock): StreamStore["appendEvents"] {
  return async (namespace, appends, call) => {
    const nowMs = clock.now();
    const items = appends.map((append) => packAppend(append, nowMs));
    const bytes = items.reduce((sum, item) => sum + bytesOfAppend(item), 0);
    try {
      const write = { type: "appendEvents", namespace, items } as const;
      return (await current().writes.write(write, bytes, call)) ?? [];
    } catch (error) {
      return refused(items, error);
    }
  };
}

/** The answers of a writing method: a Set tells nothing of its items. */
type WriteAnswers<W extends WriteName> =
  | Answers<AnswerOf<W>>
  | ([AnswerOf<W>] extends [undefined] ? undefined : never);

/** Makes a writing call. It keeps its items and counts them until it is answered. */
function createWrite<W extends WriteName>(
  current: () => Session,
  type: W,
): (namespace: string, items: readonly ItemOf<W>[], call: Call) => Promise<WriteAnswers<W>> {
  const { kept, bytesOf } = WRITES[type].row;
  return async (namespace, items, call) => {
    const mine = kept === undefined ? items : items.map(kept);
    let bytes = 0;
    for (const item of mine) {
      bytes += bytesOf(item);
    }
    const write = { type, namespace, items: mine } as OperationOf<W>;
    try {
      // The writer answers each operation with the result of its type.
      return (await current().writes.write(write, bytes, call)) as WriteAnswers<W>;
    } catch (error) {
      return refused(items, error);
    }
  };
}

/**
 * An operation fails as a whole, so each of its items gets the refusal of one. Throws the store's
 * own failures.
 */
function refused(items: readonly unknown[], error: unknown): readonly Refusal[] {
  const refusal = refusedOne(error);
  return items.map(() => refusal);
}

function refusedOne(error: unknown): Refusal {
  const known = toPrismError(error);
  const refusal = refusalOf(known);
  if (refusal === undefined) {
    throw known;
  }
  return refusal;
}

/** Reads each item on its own. */
function readEach<Item, Answer>(items: readonly Item[], read: (item: Item) => Answer): Answers<Answer> {
  return items.map((item) => {
    try {
      return read(item);
    } catch (error) {
      return refusedOne(error);
    }
  });
}

function reading<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw toPrismError(error);
  }
}
