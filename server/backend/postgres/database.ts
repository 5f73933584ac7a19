import { readFileSync } from "node:fs";
import { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { Client, type CustomTypesConfig, Pool, type PoolClient, type QueryConfig } from "pg";
import { abortError, PrismError, StartError } from "../../errors.ts";
import type { Call } from "../contract.ts";
import type { PostgresConfig } from "./config.ts";
import { isLost, isRetryable, type Kind, tooBusy, toPrismError, unavailable, wasCutOff } from "./errors.ts";

/**
 * A statement whose connection carries nothing either way for longer counts as lost: its server is gone without a word, or frozen.
 * Not for those that take time in proportion to what is there.
 */
const SILENCE_MS = 5_000;

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

/**
 * What the statements rely on, whatever the server's, the database's or the role's own settings are. Every one of them is to use an
 * index: before the first statistics are there, plans for a table that seems empty would read all of it. Of a session: a pooler in
 * between has to keep sessions apart.
 */
const SETTINGS = `
  SET bytea_output TO hex;
  SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED;
  SET enable_seqscan TO off;
  SET enable_bitmapscan TO off;
  SET enable_hashjoin TO off;
  SET enable_mergejoin TO off`;

/** Of pg_type.dat in PostgreSQL's source: from text, which is all that the driver reads, to values. */
const PARSERS: Readonly<Record<number, (text: string) => unknown>> = {
  16: (text) => text === "t",
  // In hexadecimal digits, after "\\x" (postgresql.org/docs/current/datatype-binary.html).
  17: (text) => Buffer.from(text.slice(2), "hex"),
  20: Number,
  23: Number,
};
const TYPES: CustomTypesConfig = {
  getTypeParser: (type: number) => PARSERS[type] ?? ((text: string) => text),
};

/** A statement that is prepared once on each connection. */
export interface Statement<Row extends readonly unknown[]> {
  /** Unique among the statements of a database. */
  readonly name: string;
  readonly text: string;
  readonly kind: Kind;
  /** It takes time in proportion to what is there, and may be silent all the while. */
  readonly isLong?: boolean;
  /** For the types only: what a row is. BYTEA are Buffers, BIGINT numbers. */
  readonly row?: Row;
}

/** The connections to one database. */
export interface Database {
  /**
   * Runs one statement, in a transaction of its own, and answers its rows. With a call it is ended when that is aborted: for the few
   * that can take long. Rejects with PrismError.
   */
  run<Row extends readonly unknown[]>(
    statement: Statement<Row>,
    values: readonly unknown[],
    call?: Call,
  ): Promise<Row[]>;
  /** Runs `work` on a connection of its own. Rejects with what it throws, or PrismError `store_unavailable`. */
  use<T>(work: (client: PoolClient) => Promise<T>): Promise<T>;
  /** Waits for what is under way, and closes every connection. */
  close(): Promise<void>;
}

/** Makes the pool; it does not connect yet. Throws StartError where a file of `ssl` cannot be read. */
export function createDatabase(config: PostgresConfig): Database {
  const { max, connect_timeout_ms: connectTimeoutMs } = config.pool;
  const connection = {
    connectionString: config.ssl === undefined ? config.url : withoutSsl(config.url),
    ...(config.ssl && { ssl: readSsl(config.ssl) }),
    connectionTimeoutMillis: connectTimeoutMs,
    keepAlive: true,
    application_name: "prism",
  };
  const pool = new Pool({
    ...connection,
    max,
    idleTimeoutMillis: IDLE_TIMEOUT_MS,
    query_timeout: MIGRATION_MS,
    onConnect: async (client) => {
      const query: QueryConfig & { query_timeout: number } = {
        text: SETTINGS,
        query_timeout: connectTimeoutMs,
      };
      await client.query(query);
    },
  });
  // An idle connection that breaks is replaced when a call needs one.
  pool.on("error", () => {});
  let counting = 0;

  async function connect(): Promise<PoolClient> {
    for (let retries = 0; ; retries++) {
      const isBusy = pool.totalCount >= max && pool.idleCount === 0;
      try {
        return await pool.connect();
      } catch (error) {
        // Nobody has asked anything over it yet.
        if (wasCutOff(error) && retries < MAX_RETRIES) continue;
        throw isBusy ? tooBusy(error) : unavailable(error);
      }
    }
  }

  async function use<T>(work: (client: PoolClient) => Promise<T>): Promise<T> {
    const client = await connect();
    // Said to the statement that is under way too.
    const onError = () => {};
    client.on("error", onError);
    let lost = false;
    try {
      return await work(client);
    } catch (error) {
      lost = isLost(error);
      throw error;
    } finally {
      client.off("error", onError);
      client.release(lost);
    }
  }

  /** Ends what runs on a connection, by one that is made for it: those of the pool may all be waiting. */
  async function cancel(pid: unknown): Promise<void> {
    const client = new Client({ ...connection, query_timeout: CANCEL_MS });
    client.on("error", () => {});
    try {
      await client.connect();
      await client.query("SELECT pg_cancel_backend($1)", [pid]);
    } catch {
      // The connection is given up all the same; on a server that is gone there is nothing to end.
    } finally {
      await client.end().catch(() => {});
    }
  }

  /** Runs a statement that ends with its call; its connection is of no more use then, since it could be ended late. */
  async function untilAborted<T>(client: PoolClient, { signal }: Call, work: () => Promise<T>): Promise<T> {
    const gaveUp = Promise.withResolvers<never>();
    let timer: NodeJS.Timeout | undefined;
    const onAbort = () => {
      void cancel(Reflect.get(client, "processID"));
      timer = setTimeout(() => gaveUp.reject(abortError(signal)), CANCEL_MS);
    };
    signal.addEventListener("abort", onAbort);
    try {
      const result = await Promise.race([work(), gaveUp.promise]);
      if (signal.aborted) throw abortError(signal);
      return result;
    } catch (error) {
      throw signal.aborted ? abortError(signal) : error;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** Those that can take long leave connections for the others. */
  async function unlessMany<T>(work: () => Promise<T>): Promise<T> {
    if (counting >= Math.ceil(max / 2)) throw tooBusy(undefined);
    counting++;
    try {
      return await work();
    } finally {
      counting--;
    }
  }

  async function once<Row extends readonly unknown[]>(
    { name, text, isLong = false }: Statement<Row>,
    values: readonly unknown[],
    call: Call | undefined,
  ): Promise<Row[]> {
    return await use(async (client) => {
      const query = {
        name,
        text,
        values: [...values],
        rowMode: "array",
        types: TYPES,
        query_timeout: FOR_EVER_MS,
      };
      const ask = async () => {
        const { rows } = await client.query<Row[]>(query);
        return rows as unknown as Row[];
      };
      const work = () => (isLong ? ask() : unlessSilent(client, ask()));
      if (call?.aborted === true) throw abortError(call.signal);
      return await (call === undefined ? work() : untilAborted(client, call, work));
    });
  }

  return {
    use,
    async run(statement, values, call) {
      for (let retries = 0; ; retries++) {
        try {
          const work = () => once(statement, values, call);
          return await (statement.isLong === true ? unlessMany(work) : work());
        } catch (error) {
          // Idle connections break unseen when the server goes and comes back; those who read just take the next.
          const isBroken = statement.kind === "read" && isLost(error) && !(error instanceof PrismError);
          const again = isRetryable(error) || (isBroken && !(error instanceof SilenceError));
          if (!again || retries === MAX_RETRIES) throw toPrismError(error, statement.kind);
          // Where one connection broke others did, which the pool has to hear of first.
          if (isBroken) await delay(RETRY_MS);
        }
      }
    },
    close: () => pool.end(),
  };
}

/** Longer than anybody waits, and what a timer can hold: 0 would be the pool's own. */
const FOR_EVER_MS = 2 ** 31 - 1;

/** Nothing came or went for {@link SILENCE_MS}. */
class SilenceError extends Error {
  override readonly name = "SilenceError";
}

/** Settles as `work` does, or rejects when the connection is silent: a large answer over a slow network is not. */
async function unlessSilent<T>(client: PoolClient, work: Promise<T>): Promise<T> {
  const silent = Promise.withResolvers<never>();
  let moved = bytesMoved(client);
  const look = () => {
    const now = bytesMoved(client);
    if (now === moved) {
      silent.reject(new SilenceError(`PostgreSQL said nothing for ${SILENCE_MS} ms`));
    } else {
      moved = now;
      timer = setTimeout(look, SILENCE_MS);
    }
  };
  let timer = setTimeout(look, SILENCE_MS);
  // Where the other is first.
  work.catch(() => {});
  silent.promise.catch(() => {});
  try {
    return await Promise.race([work, silent.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** What the client's socket has received and sent so far. */
function bytesMoved(client: PoolClient): number {
  const socket: unknown = Reflect.get(Object(Reflect.get(client, "connection")), "stream");
  return socket instanceof Socket ? socket.bytesRead + socket.bytesWritten - socket.writableLength : 0;
}

/** The URL says how to use TLS too, and would win. */
function withoutSsl(text: string): string {
  const url = new URL(text);
  for (const name of [...url.searchParams.keys()]) {
    if (name.startsWith("ssl") || name === "uselibpqcompat") url.searchParams.delete(name);
  }
  return url.href;
}

function readSsl({ ca, cert, key }: NonNullable<PostgresConfig["ssl"]>) {
  try {
    return {
      ...(ca !== undefined && { ca: readFileSync(ca, "utf8") }),
      ...(cert !== undefined && { cert: readFileSync(cert, "utf8") }),
      ...(key !== undefined && { key: readFileSync(key, "utf8") }),
    };
  } catch (error) {
    throw new StartError(error instanceof Error ? error.message : String(error), error);
  }
}
