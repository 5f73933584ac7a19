import { setTimeout as delay } from "node:timers/promises";
import { type ClientBase, type ClientConfig, DatabaseError, Pool, type PoolClient } from "pg";
import { abortError, PrismError, StartError } from "../../errors.ts";
import { readTlsFiles } from "../../tls-files.ts";
import type { Call } from "../contract.ts";
import { createLane, type Lane } from "../lane.ts";
import type { PostgresConfig } from "./config.ts";
import {
  isLocked,
  isLost,
  isReadOnly,
  isRetryable,
  isUnprepared,
  tooBusy,
  toPrismError,
  unavailable,
  wasCutOff,
} from "./errors.ts";
import { Session, type Statement } from "./session.ts";
import { createSilence, SilenceError } from "./silence.ts";
import { type PostgresHost, readUrl } from "./url.ts";

/** To end a statement whose call was aborted, before its connection is given up. */
const CANCEL_MS = 1_000;

/** To make the tables. */
const MIGRATION_MS = 60_000;

/** Connections that are not used are closed after it. */
const IDLE_TIMEOUT_MS = 60_000;

/** Between the tries to read over a connection that broke and over the next. */
const RETRY_MS = 5;

/** Times that a statement is made again that was undone for another's sake, or read over a connection that broke; and a connection that was cut off. */
const MAX_RETRIES = 3;

/** Connections that statements on one table may have at the same time: somebody may have locked it. */
const TABLE_SHARE = 0.9;

/** The same of those that take long. */
const LONG_SHARE = 0.5;

/** The connections to one database. */
export interface Database {
  /**
   * Runs one statement, in a transaction of its own, and answers its rows. Nobody waits for a `call` that is aborted: its statement is
   * ended then, or soon after. Rejects with PrismError.
   */
  run<Row extends readonly unknown[]>(
    statement: Statement<Row>,
    values: readonly unknown[],
    call?: Call,
  ): Promise<Row[]>;
  /** Runs `work` on a connection of its own. Rejects with what it throws, or PrismError `store_unavailable`. */
  use<T>(work: (session: Session) => Promise<T>): Promise<T>;
  /** Waits for what is under way, and closes every connection. */
  close(): Promise<void>;
}

/** Makes the pool; it does not connect yet. Throws StartError where a file of `tls` cannot be read. */
export function createDatabase(config: PostgresConfig): Database {
  const { max, connect_timeout_ms: connectTimeoutMs } = config.pool;
  const { hosts, needsWrites } = readUrl(config.url, config.tls === undefined);
  const options: ClientConfig = {
    ...(config.tls && { ssl: readTlsFiles(config.tls) }),
    connectionTimeoutMillis: connectTimeoutMs,
    keepAlive: true,
    application_name: "prism",
    query_timeout: MIGRATION_MS,
  };
  for (const host of hosts) {
    readUrlFiles(host, options);
  }
  const way = createWay(hosts);
  const pool = new Pool({
    ...options,
    max,
    idleTimeoutMillis: IDLE_TIMEOUT_MS,
    Client: class extends Session {
      constructor() {
        super(way.current(), options);
      }
    },
    onConnect: async (client) => {
      const session = sessionOf(client);
      const startMs = performance.now();
      const { isReadOnly } = await session.begin(connectTimeoutMs).catch((error: unknown) => {
        const isSilence = !(error instanceof DatabaseError) && !wasCutOff(error);
        throw isSilence && silence.wasHeardAfter(startMs, session) ? tooBusy(error) : error;
      });
      if (isReadOnly && needsWrites) {
        throw new Error(`${session.at.name} takes no writes`);
      }
    },
  });
  // An idle connection that breaks is replaced when a call needs one.
  pool.on("error", () => {});
  const silence = createSilence(
    ({ at }, timeoutMs) =>
      new Session(at, { ...options, connectionTimeoutMillis: timeoutMs, query_timeout: timeoutMs }),
  );
  const lanes = {
    entry: createLane(shareOf(max, TABLE_SHARE)),
    list: createLane(shareOf(max, TABLE_SHARE)),
    long: createLane(shareOf(max, LONG_SHARE)),
  };
  /** Whether a session keeps what is prepared in it; once one did not, none is believed. */
  let mayPrepare = true;

  async function connect(call: Call | undefined): Promise<PoolClient & Session> {
    let cuts = 0;
    for (let tried = 1; ; ) {
      const isBusy = pool.totalCount >= max && pool.idleCount === 0;
      const host = way.current();
      try {
        const session = sessionOf(await pool.connect());
        if (session.at === way.current()) {
          return session;
        }
        session.release(true);
      } catch (error) {
        // Nobody has asked anything over it yet.
        if (wasCutOff(error) && cuts++ < MAX_RETRIES) {
          continue;
        }
        if (error instanceof PrismError) {
          // The server answers others: a pooler had no connection to spare.
          if (call?.aborted === false) {
            continue;
          }
          throw error;
        }
        if (isBusy) {
          throw tooBusy(error);
        }
        way.leave(host);
        if (!isLost(error) || tried++ >= hosts.length) {
          throw unavailable(error);
        }
      }
    }
  }

  async function use<T>(work: (session: Session) => Promise<T>, call?: Call): Promise<T> {
    const session = await connect(call);
    // Said to the statement that is under way too.
    const onError = () => {};
    session.on("error", onError);
    let lost = false;
    try {
      return await work(session);
    } catch (error) {
      if (needsWrites && isReadOnly(error)) {
        way.leave(session.at);
        lost = true;
      }
      lost ||= isLost(error) || isUnprepared(error);
      throw error;
    } finally {
      session.off("error", onError);
      if (lost) {
        session.giveUp();
      }
      session.release(lost);
    }
  }

  /** Runs a statement that ends with its call. */
  async function untilAborted<T>(session: Session, { signal }: Call, work: () => Promise<T>): Promise<T> {
    const gaveUp = Promise.withResolvers<never>();
    let timer: NodeJS.Timeout | undefined;
    const onAbort = () => {
      session.cancel();
      timer = setTimeout(() => gaveUp.reject(abortError(signal)), CANCEL_MS);
    };
    signal.addEventListener("abort", onAbort);
    try {
      const result = await Promise.race([work(), gaveUp.promise]);
      if (signal.aborted) {
        throw abortError(signal);
      }
      return result;
    } catch (error) {
      throw signal.aborted ? abortError(signal) : error;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    }
  }

  async function once<Row extends readonly unknown[]>(
    statement: Statement<Row>,
    values: readonly unknown[],
    call: Call | undefined,
  ): Promise<Row[]> {
    const rows = await use(async (session) => {
      // Nothing was asked: the session is as good as before.
      if (call?.aborted === true) {
        return undefined;
      }
      const work = () => silence.watch(session, session.run(statement, values, mayPrepare), call);
      const ends = statement.endsWithCall === true && call !== undefined;
      return await (ends ? untilAborted(session, call, work) : work());
    }, call);
    if (rows === undefined) {
      throw call === undefined ? new TypeError("no rows") : abortError(call.signal);
    }
    return rows;
  }

  /** Whether a statement that failed so had no effect, and may do better. */
  function isWorthAnother(error: unknown, { kind }: Statement<readonly unknown[]>): boolean {
    if (isRetryable(error) || (needsWrites && isReadOnly(error))) {
      return true;
    }
    if (isUnprepared(error)) {
      // There is a pooler after all.
      mayPrepare = false;
      return true;
    }
    return isBroken(error) && kind === "read";
  }

  async function retrying<Row extends readonly unknown[]>(
    statement: Statement<Row>,
    values: readonly unknown[],
    call: Call | undefined,
  ): Promise<Row[]> {
    for (let retries = 0; ; ) {
      try {
        return await once(statement, values, call);
      } catch (error) {
        if (isLocked(error) && call?.aborted === false) {
          continue;
        }
        const again = isWorthAnother(error, statement);
        if (!again || retries++ === MAX_RETRIES) {
          throw toPrismError(error, statement.kind);
        }
        // Where one connection broke others did, which the pool has to hear of first.
        if (isBroken(error)) {
          await delay(RETRY_MS);
        }
      }
    }
  }

  return {
    use,
    run(statement, values, call) {
      const { table, isLong = false } = statement;
      const work = () => retrying(statement, values, call);
      const inTable = table === undefined ? work : () => within(lanes[table], call, work);
      return isLong ? within(lanes.long, call, inTable) : inTable();
    },
    close: () => pool.end(),
  };
}

/** Does `work` when there is room for it. */
async function within<T>(lane: Lane, call: Call | undefined, work: () => Promise<T>): Promise<T> {
  const entered = lane.enter(call);
  if (entered !== undefined) {
    await entered;
  }
  try {
    return await work();
  } finally {
    lane.leave();
  }
}

/** Idle connections break unseen when the server goes and comes back; those who read just take the next. */
function isBroken(error: unknown): boolean {
  return isLost(error) && !(error instanceof PrismError) && !(error instanceof SilenceError);
}

/** One at least, and not all where there are more. */
function shareOf(max: number, share: number): number {
  return Math.max(1, Math.min(max - 1, Math.ceil(max * share)));
}

/** Which of the servers is the one: as long as it can be had, it stays. */
function createWay(hosts: readonly PostgresHost[]) {
  let at = 0;
  const current = () => {
    const host = hosts[at];
    if (host === undefined) {
      throw new Error("no host");
    }
    return host;
  };
  return {
    current,
    /** Goes on to the next, unless somebody else did. */
    leave(host: PostgresHost): void {
      if (host === current()) {
        at = (at + 1) % hosts.length;
      }
    },
  };
}

/** The pool makes no others. */
function sessionOf<C extends ClientBase>(client: C): C & Session {
  if (!(client instanceof Session)) {
    throw new TypeError("not a connection of this pool");
  }
  return client;
}

/** Throws StartError where the URL names files that cannot be read. */
function readUrlFiles(host: PostgresHost, options: ClientConfig): void {
  try {
    new Session(host, options);
  } catch (error) {
    throw new StartError(error instanceof Error ? error.message : String(error), error);
  }
}
