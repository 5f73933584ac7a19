import { ReadOnlyError } from "../../errors.ts";
import {
  type Backend,
  type Call,
  createCall,
  type EntryStore,
  type EntryWrite,
  type Interfaces,
  type ListNameStore,
  type ListStore,
  type ScanStore,
} from "../contract.ts";
import { keyRange } from "../key-range.ts";
import { buildInterfaces, type ItemsMethod } from "../operations.ts";
import { createSweeper, type Sweeper } from "../sweeper.ts";
import { bigintArray, booleanArray, byteaArray, textArray } from "./arrays.ts";
import { createCommits } from "./commits.ts";
import type { PostgresConfig } from "./config.ts";
import { Database } from "./database.ts";
import { createErase } from "./erase.ts";
import { notReadable, notWritable, openError, tablesMissing } from "./errors.ts";
import { inHalves } from "./halves.ts";
import { createListEdits, DAMAGED } from "./list-edits.ts";
import { MIGRATIONS, migrate } from "./migrations.ts";
import { createTeller, watchFilled, watchStreams } from "./notifications.ts";
import { readPackedPage } from "./packed-page.ts";
import { createRecords } from "./records.ts";
import { createStatements, SERVER_TIME, type Statements } from "./statements.ts";
import { createStreams } from "./streams.ts";
import { readUrl } from "./url.ts";

/** The most entries that one statement of a sweep deletes, so that it holds its locks briefly. */
const SWEEP_ENTRIES = 1000;

/** A {@link Backend} on PostgreSQL. */
export interface PostgresBackend extends Backend {
  /**
   * Deletes everything that is expired now; answers the number of entries. The store also does this
   * by itself, every second.
   */
  sweep(): Promise<number>;
}

/** The parts of an open store. */
interface Session {
  readonly database: Database;
  readonly sweeper: Sweeper;
  /** Ends background work: `closing` aborts when the store closes. */
  readonly closer: AbortController;
  readonly closing: Call;
}

/** Runs a statement of the open store. */
type Run = Database["run"];

/**
 * A store in a PostgreSQL schema, which several gateways may share. Acknowledged writes are as
 * durable as the server makes them. `now` is an SQL expression for the time, for tests.
 */
export function createPostgresBackend(
  config: PostgresConfig,
  { now = SERVER_TIME }: { readonly now?: string } = {},
): PostgresBackend {
  const statements = createStatements(config.schema, now);
  let session: Session | undefined;
  const teller = createTeller(config.schema, (payloads) =>
    run(statements.tellStreams, [textArray(payloads)]),
  );

  const run: Run = async (statement, values, call) => await current().database.run(statement, values, call);

  const dedicate = async () => await current().database.dedicate();

  function current() {
    if (session === undefined) {
      throw new Error("the store is not open");
    }
    return session;
  }

  async function sweep(): Promise<number> {
    const mine = current();
    let total = 0;
    for (const statement of [statements.sweep, statements.sweepItems]) {
      for (let rows = SWEEP_ENTRIES; rows === SWEEP_ENTRIES && session === mine; ) {
        rows = (await run(statement, [SWEEP_ENTRIES], mine.closing)).length;
        total += rows;
      }
    }
    for (let more = true; more && session === mine; ) {
      const [row] = await run(statements.sweepEvents, [SWEEP_ENTRIES], mine.closing);
      total += row?.[0] ?? 0;
      more = row?.[1] ?? false;
    }
    return total;
  }

  return {
    type: config.type,
    atomic: "namespace",
    ...refusing({
      entries: createEntries(run, statements),
      commits: createCommits(run, statements),
      lists: createLists(run, statements),
      ...createListEdits(run, statements),
      records: createRecords(run, statements),
      streams: createStreams(run, statements, teller),
    }),
    scans: createScans(run, statements),
    listNames: { pageNames: createNames(run, statements.listNames) },
    recordIds: { pageIds: createNames(run, statements.recordIds) },
    streamNames: { pageStreams: createNames(run, statements.streamNames) },
    sweep,
    erase: createErase(run, statements, teller),
    watchFilled: (listener) => watchFilled(dedicate, config.schema, listener),
    watchStreams: (listener) => watchStreams(dedicate, config.schema, listener),
    figures: () => session?.database.figures() ?? {},
    async open() {
      let database: Database | undefined;
      try {
        database = new Database(config);
        await database.use((client) => migrate(client, config.schema, MIGRATIONS));
      } catch (error) {
        await database?.close();
        throw openError(error, readUrl(config.url, true).place);
      }
      const closer = new AbortController();
      session = {
        database,
        sweeper: createSweeper(sweep),
        closer,
        closing: createCall(closer.signal),
      };
    },
    async check() {
      const [row] = await run(statements.check, []);
      const [isReadOnly, isThere, mayRead, mayWrite] = row ?? [];
      if (isThere !== true) {
        throw tablesMissing();
      }
      if (mayRead !== true) {
        throw notReadable();
      }
      if (isReadOnly === true) {
        throw new ReadOnlyError("the store takes no writes now");
      }
      if (mayWrite !== true) {
        throw notWritable();
      }
    },
    async close() {
      const { database, sweeper, closer } = current();
      // Aborts a sweep, which may wait for a lock.
      closer.abort();
      await sweeper.stop();
      await teller.idle();
      session = undefined;
      await database.close();
    },
  };
}

/** The same stores, with an item's fault as its own refusal: see {@link inHalves}. */
function refusing(stores: Interfaces): Interfaces {
  return buildInterfaces((of, method, row) => {
    const run: ItemsMethod<unknown, unknown> | undefined = Reflect.get(Object(stores[of]), method);
    return row.takes === "items" && run !== undefined
      ? (namespace: string, items: readonly unknown[], call: Call) => {
          // Commits and reads are apart even if one caller makes them.
          const each = call.each === true || of === "commits";
          return inHalves(items, call, { writes: row.writes, each }, (some) => run(namespace, some, call));
        }
      : undefined;
  });
}

function createEntries(run: Run, statements: Statements): EntryStore {
  return {
    async get(namespace, keys, call) {
      const rows = await run(statements.get, [namespace, keyArray(keys)], call);
      const [only] = keys;
      if (keys.length === 1 && only !== undefined) {
        return [rows[0]?.[1]];
      }
      const values = new Map(rows.map(([key, value]) => [key.toString(), value]));
      return keys.map((key) => values.get(key));
    },
    async exists(namespace, keys, call) {
      const rows = await run(statements.exists, [namespace, keyArray(keys)], call);
      const found = new Set(rows.map(([key]) => key.toString()));
      return keys.map((key) => found.has(key));
    },
    async set(namespace, entries, call) {
      const writes = ordered(entries);
      await run(
        statements.set,
        [
          namespace,
          byteaArray(writes.map(({ key }) => key)),
          byteaArray(writes.map(({ write }) => write.value)),
          bigintArray(writes.map(({ write }) => Math.ceil(write.ttlMs))),
        ],
        call,
      );
      return undefined;
    },
    async delete(namespace, keys, call) {
      const rows = await run(statements.delete, [namespace, keyArray(keys)], call);
      const found = new Set(rows.filter(([, wasLive]) => wasLive).map(([key]) => key.toString()));
      // When one key comes twice, only the first delete finds it.
      return keys.map((key) => found.delete(key));
    },
  };
}

function createScans(run: Run, statements: Statements): ScanStore {
  return {
    async scanPage(namespace, query, call) {
      const { reverse, after, maxEntries, maxBytes, keysOnly } = query;
      const { from, below } = keyRange(query, after);
      const statement = reverse ? statements.pageBackwards : statements.page;
      const rows = await run(statement, [namespace, from, below, maxEntries, maxBytes, keysOnly], call);
      const packs = rows.map(([pack]) => pack);
      return readPackedPage(packs, keysOnly, rows[0]?.[1] ?? 0);
    },
    async count(namespace, prefix, call) {
      const { from, below } = keyRange({ prefix });
      const rows = await run(statements.count, [namespace, from, below], call);
      return rows[0]?.[0] ?? 0;
    },
  };
}

/** Pages of names. */
function createNames(run: Run, statement: Statements["listNames"]): ListNameStore["pageNames"] {
  return async (namespace, query, call) => {
    const { from, below } = keyRange(query, query.after);
    // One more than wanted, to learn whether there are more.
    const rows = await run(statement, [namespace, from, below, query.maxNames + 1], call);
    const names = rows.slice(0, query.maxNames).map(([name]) => name.toString());
    return { names, next: rows.length > names.length ? names.at(-1) : undefined };
  };
}

function createLists(run: Run, statements: Statements): ListStore {
  return {
    async push(namespace, pushes, call) {
      const rows = await run(
        statements.push,
        [
          namespace,
          keyArray(pushes.map(({ key }) => key)),
          booleanArray(pushes.map(({ end }) => end === "left")),
          byteaArray(pushes.map(({ value }) => value)),
        ],
        call,
      );
      return rows.map(([length]) => length);
    },
    async pop(namespace, pops, call) {
      const rows = await run(
        statements.pop,
        [
          namespace,
          keyArray(pops.map(({ key }) => key)),
          booleanArray(pops.map(({ end }) => end === "left")),
          call.each !== true && pops.length > 1,
        ],
        call,
      );
      return rows.map(([value, damaged]) => (damaged ? DAMAGED : (value ?? undefined)));
    },
    async length(namespace, keys, call) {
      const rows = await run(statements.length, [namespace, keyArray(keys)], call);
      const lengths = new Map(rows.map(([key, length]) => [key.toString(), length]));
      return keys.map((key) => lengths.get(key) ?? 0);
    },
  };
}

function keyArray(keys: readonly string[]): Buffer {
  return byteaArray(keys.map((key) => Buffer.from(key)));
}

/** Each key once with its last write, in ascending byte order. */
function ordered(entries: readonly EntryWrite[]): { readonly key: Buffer; readonly write: EntryWrite }[] {
  const last = new Map(entries.map((write) => [write.key, write]));
  return Array.from(last.values(), (write) => ({ key: Buffer.from(write.key), write })).sort((a, b) =>
    a.key.compare(b.key),
  );
}
