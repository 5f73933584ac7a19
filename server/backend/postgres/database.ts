import { readFileSync } from "node:fs";
import { type CustomTypesConfig, Pool, type PoolClient } from "pg";
import { abortError, StartError } from "../../errors.ts";
import type { Call } from "../contract.ts";
import type { PostgresConfig } from "./config.ts";
import { isLost, isRetryable, type Kind, toPrismError, unavailable } from "./errors.ts";

/**
 * A statement that is silent for longer counts as lost: its server is gone without a word, or frozen. Not for those that are ended
 * with their call.
 */
const STATEMENT_TIMEOUT_MS = 5_000;

/** Connections that are not used are closed after it. */
const IDLE_TIMEOUT_MS = 60_000;

/** Times that a statement is made again that was undone for another's sake, or read over a connection that broke; and until when. */
const MAX_RETRIES = 3;
const RETRY_WITHIN_MS = 1_000;

/**
 * What the statements rely on, whatever the server's, the database's or the role's own settings are. Of a session: a pooler in between
 * has to keep them apart.
 */
const SETTINGS = `
  SET bytea_output TO hex;
  SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED`;

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
  const pool = new Pool({
    connectionString: config.url,
    ...(config.ssl && { ssl: readSsl(config.ssl) }),
    max: config.pool.max,
    connectionTimeoutMillis: config.pool.connect_timeout_ms,
    idleTimeoutMillis: IDLE_TIMEOUT_MS,
    keepAlive: true,
    application_name: "prism",
    onConnect: async (client) => {
      await client.query(SETTINGS);
    },
  });
  // An idle connection that breaks is replaced when a call needs one.
  pool.on("error", () => {});

  async function connect(): Promise<PoolClient> {
    try {
      return await pool.connect();
    } catch (error) {
      throw unavailable(error);
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

  /** Ends what runs on a connection, by another. */
  function cancel(client: PoolClient): void {
    const pid: unknown = "processID" in client ? client.processID : undefined;
    // It may be over by then; and where it cannot be told, the statement goes on to its end.
    pool.query("SELECT pg_cancel_backend($1)", [pid]).catch(() => {});
  }

  async function once<Row extends readonly unknown[]>(
    { name, text }: Statement<Row>,
    values: readonly unknown[],
    call: Call | undefined,
  ): Promise<Row[]> {
    return await use(async (client) => {
      const onAbort = () => cancel(client);
      call?.signal.addEventListener("abort", onAbort);
      try {
        const query = {
          ...{ name, text, values: [...values], rowMode: "array", types: TYPES },
          ...(call === undefined && { query_timeout: STATEMENT_TIMEOUT_MS }),
        };
        const { rows } = await client.query<Row[]>(query);
        return rows as unknown as Row[];
      } finally {
        call?.signal.removeEventListener("abort", onAbort);
      }
    });
  }

  return {
    use,
    async run(statement, values, call) {
      const startedAtMs = performance.now();
      for (let retries = 0; ; retries++) {
        try {
          return await once(statement, values, call);
        } catch (error) {
          if (call?.aborted === true) throw abortError(call.signal);
          // Idle connections break unseen when the server goes and comes back; those who read just take the next.
          const again = isRetryable(error) || (statement.kind === "read" && isLost(error));
          const isLate = performance.now() - startedAtMs > RETRY_WITHIN_MS;
          if (!again || retries === MAX_RETRIES || isLate) throw toPrismError(error, statement.kind);
        }
      }
    },
    close: () => pool.end(),
  };
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
