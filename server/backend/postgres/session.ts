import type { EventEmitter } from "node:events";
import { Socket } from "node:net";
import { Client, type ClientConfig, type CustomTypesConfig, type QueryConfig } from "pg";
import { MAX_TIMER_MS } from "../../limits.ts";
import type { Access } from "./errors.ts";
import type { PostgresHost } from "./url.ts";

/** Longer than anybody waits. 0 would mean the pool's own default. */
const FOR_EVER_MS = MAX_TIMER_MS;

/** Parsers for type numbers from pg_type.dat in PostgreSQL's source. The driver reads text only. */
const PARSERS: Readonly<Record<number, (text: string) => unknown>> = {
  16: (text) => text === "t",
  // Hexadecimal digits after "\\x" (postgresql.org/docs/current/datatype-binary.html).
  17: (text) => Buffer.from(text.slice(2), "hex"),
  20: Number,
  23: Number,
};
const TYPES: CustomTypesConfig = {
  getTypeParser: (type: number) => PARSERS[type] ?? ((text: string) => text),
};

/** The driver's types lack this option. */
type TimedQuery = QueryConfig & { readonly query_timeout: number };

/**
 * Settings that the statements rely on, whatever the settings of the server, database or role.
 * Index use is forced: before the first statistics exist, a plan for a table that seems empty would
 * read all of it. So are plans that know no values: one made for 1,000 keys would read a whole
 * namespace then. Nothing is compiled: where a table is large, the server would take tens of
 * milliseconds to compile a statement that runs for three.
 */
const SETTINGS: Readonly<Record<string, string>> = {
  bytea_output: "hex",
  enable_seqscan: "off",
  enable_bitmapscan: "off",
  enable_hashjoin: "off",
  enable_mergejoin: "off",
  jit: "off",
  plan_cache_mode: "force_generic_plan",
};
/**
 * Behind a pooler a statement that waits for a lock gives up after this time and is tried again
 * (see `isLocked`). So its connection carries something regularly, which tells a waiting server
 * from a frozen one, and other clients get their turn.
 */
const LOCK_WAIT_MS = 1_000;
const TRANSACTION_SETTINGS = { ...SETTINGS, lock_timeout: String(LOCK_WAIT_MS) };
const SESSION_SETTINGS = { ...SETTINGS, default_transaction_isolation: "read committed" };

/**
 * `$1`: the process that the server named when the session began. If this is the same process, the
 * settings hold for the session.
 */
const BEGIN_SESSION = `
  SELECT is_own, current_setting('transaction_read_only')::boolean AS is_read_only,
    ${setting(SESSION_SETTINGS, false, (set) => `CASE WHEN is_own THEN ${set} END`)}
  FROM (SELECT pg_backend_pid() = $1::bigint AS is_own) AS session`;

/** The same for one transaction. Its second result is the process that runs it. */
const BEGIN_TRANSACTION: TimedQuery = {
  text: `
    BEGIN ISOLATION LEVEL READ COMMITTED;
    SELECT pg_backend_pid() AS process, ${setting(TRANSACTION_SETTINGS, true, (set) => set)}`,
  types: TYPES,
  query_timeout: FOR_EVER_MS,
};
const COMMIT: TimedQuery = { text: "COMMIT", query_timeout: FOR_EVER_MS };

function setting(
  values: Readonly<Record<string, string>>,
  isLocal: boolean,
  when: (set: string) => string,
): string {
  return Object.entries(values)
    .map(([name, value]) => when(`set_config('${name}', '${value}', ${isLocal})`))
    .join(", ");
}

/** How long a cancel request may take. */
const CANCEL_MS = 1_000;

/** A statement. It is prepared once in each session that is our own. */
export interface Statement<Row extends readonly unknown[]> {
  /** Unique to this text, in any database and for any version of Prism. */
  readonly name: string;
  readonly text: string;
  readonly kind: Access;
  /** The table whose lock it may wait for. Absent = none. */
  readonly table?: "entry" | "list" | "record" | "stream";
  /** Its time grows with the amount of data. */
  readonly isLong?: boolean;
  /** True: it is ended when its call aborts. Otherwise it goes on, and its answer is dropped. */
  readonly endsWithCall?: boolean;
  /** The type of a row, for the compiler only. BYTEA are Buffers, BIGINT numbers. */
  readonly row?: Row;
}

/** A connection. */
export class Session extends Client {
  readonly at: PostgresHost;
  readonly #options: ClientConfig;
  /**
   * Whether settings and prepared statements survive until the next statement; see {@link begin}.
   */
  #isOwn = false;
  #process: number | undefined;
  // A property that the driver's types lack.
  declare readonly processID: number | null;
  declare readonly secretKey: number | null;

  constructor(at: PostgresHost, options: ClientConfig) {
    super({ ...options, connectionString: at.url });
    this.at = at;
    this.#options = options;
  }

  /**
   * Must be called first; answers whether the server takes no writes. If the process differs from
   * the one that the server named at the start, there is a pooler in between. Its server
   * connections may serve other clients between statements, so nothing may be set or prepared for
   * longer than a transaction.
   */
  async begin(timeoutMs: number): Promise<{ readonly isReadOnly: boolean }> {
    const query = { text: BEGIN_SESSION, values: [this.processID], types: TYPES, query_timeout: timeoutMs };
    const { rows } = await this.query<{ is_own: boolean; is_read_only: boolean }>(query);
    const [row] = rows;
    this.#isOwn = row?.is_own === true;
    this.#process = this.#isOwn ? (this.processID ?? undefined) : undefined;
    Reflect.set(this, "pipeline", !this.#isOwn);
    return { isReadOnly: row?.is_read_only === true };
  }

  /**
   * Runs a statement in its own transaction. `mayPrepare` false: it is not prepared, even if the
   * session seems to be our own.
   */
  async run<Row extends readonly unknown[]>(
    { name, text }: Statement<Row>,
    values: readonly unknown[],
    mayPrepare: boolean,
  ): Promise<Row[]> {
    const query = {
      text,
      values: [...values],
      rowMode: "array",
      types: TYPES,
      query_timeout: FOR_EVER_MS,
    };
    if (this.#isOwn) {
      const { rows } = await this.query<Row[]>(mayPrepare ? { ...query, name } : query);
      return rows as unknown as Row[];
    }
    this.#process = undefined;
    // All three are sent together and answered together.
    const [begin, result, commit] = await Promise.allSettled([
      this.query(BEGIN_TRANSACTION).then((results) => this.#begun(results)),
      this.query<Row[]>(query),
      this.query(COMMIT),
    ]);
    for (const each of [begin, result, commit]) {
      if (each.status === "rejected") {
        throw each.reason;
      }
    }
    return (result.status === "fulfilled" ? result.value.rows : []) as unknown as Row[];
  }

  #begun(results: unknown): void {
    const process: unknown = Array.isArray(results) ? results[1]?.rows[0]?.process : undefined;
    this.#process = typeof process === "number" ? process : undefined;
  }

  /** Whether nobody else uses the server's session; known once `begin` has answered. */
  get isOwn(): boolean {
    return this.#isOwn;
  }

  /** The server's process that runs the statement. `undefined` = the server has not told it yet. */
  get process(): number | undefined {
    return this.#process;
  }

  /** Bytes received and sent so far. */
  get bytesMoved(): number {
    const { stream } = this.connection;
    return stream instanceof Socket ? stream.bytesRead + stream.bytesWritten - stream.writableLength : 0;
  }

  /**
   * Cancels the session's statement over a new connection
   * (postgresql.org/docs/current/protocol-flow.html, Canceling Requests in Progress). The session
   * is unusable then, because the cancel could hit its next statement.
   */
  cancel(): void {
    const { processID, secretKey } = this;
    if (processID === null || secretKey === null) {
      return;
    }
    let other: Client;
    try {
      other = new Client({ ...this.#options, connectionString: this.at.url });
    } catch {
      // A TLS file that the URL names is missing for a moment. The statement ends by itself.
      return;
    }
    const connection: CancelConnection = other.connection as unknown as CancelConnection;
    const send = () => connection.cancel(processID, secretKey);
    const end = () => {
      clearTimeout(late);
      connection.stream.destroy();
    };
    // The server is gone, so there is nothing to cancel.
    const late = setTimeout(end, CANCEL_MS);
    connection.on("error", end);
    connection.on("end", end);
    connection.on("sslconnect", send);
    connection.on("connect", () => {
      if (!other.ssl) {
        send();
      } else if (connection.sslNegotiation !== "direct") {
        connection.requestSsl();
      }
    });
    connection.connect(other.port, other.host);
  }

  /** Closes an unusable connection without waiting for its statement. */
  giveUp(): void {
    Reflect.set(this, "pipeline", false);
  }
}

/** A method of the driver's connections that its types lack. */
interface CancelConnection extends EventEmitter {
  readonly stream: Socket;
  readonly sslNegotiation: string;
  connect(port: number, host: string): void;
  requestSsl(): void;
  cancel(process: number, key: number): void;
}
