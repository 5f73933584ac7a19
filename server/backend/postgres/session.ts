import type { EventEmitter } from "node:events";
import { Socket } from "node:net";
import { Client, type ClientConfig, type CustomTypesConfig, type QueryConfig } from "pg";
import { MAX_TIMER_MS } from "../../limits.ts";
import type { Kind } from "./errors.ts";
import type { PostgresHost } from "./url.ts";

/** Longer than anybody waits: 0 would be the pool's own. */
const FOR_EVER_MS = MAX_TIMER_MS;

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

/** The driver knows it, its types do not. */
type TimedQuery = QueryConfig & { readonly query_timeout: number };

/**
 * What the statements rely on, whatever the server's, the database's or the role's own settings are. Every one of them is to use an
 * index: before the first statistics are there, plans for a table that seems empty would read all of it.
 */
const SETTINGS: Readonly<Record<string, string>> = {
  bytea_output: "hex",
  enable_seqscan: "off",
  enable_bitmapscan: "off",
  enable_hashjoin: "off",
  enable_mergejoin: "off",
};
/**
 * Behind a pooler a statement that waits for a lock gives up after this, and is made again (see `isLocked`): its connection says
 * something by then, so that a server that is frozen is told from one that is at it, and others have their turn.
 */
const LOCK_WAIT_MS = 1_000;
const TRANSACTION_SETTINGS = { ...SETTINGS, lock_timeout: String(LOCK_WAIT_MS) };
const SESSION_SETTINGS = { ...SETTINGS, default_transaction_isolation: "read committed" };

/** `$1`: the process that the server named when the session began. Where it is this one, what is set is for the session. */
const BEGIN_SESSION = `
  SELECT is_own, current_setting('transaction_read_only')::boolean AS is_read_only,
    ${setting(SESSION_SETTINGS, false, (set) => `CASE WHEN is_own THEN ${set} END`)}
  FROM (SELECT pg_backend_pid() = $1::bigint AS is_own) AS session`;

/** The same for a transaction. Its second answer has the process that runs it. */
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

/** To end what a session is at. */
const CANCEL_MS = 1_000;

/** A statement. Where sessions are our own it is prepared once in each. */
export interface Statement<Row extends readonly unknown[]> {
  /** Stands for this text and for no other, in any database and of any version of Prism. */
  readonly name: string;
  readonly text: string;
  readonly kind: Kind;
  /** The table that it may have to wait for; absent = it waits for none. */
  readonly table?: "entry" | "list";
  /** It takes time in proportion to what is there. */
  readonly isLong?: boolean;
  /** It is ended when its call is aborted; else it goes on, and its answer is thrown away. */
  readonly endsWithCall?: boolean;
  /** For the types only: what a row is. BYTEA are Buffers, BIGINT numbers. */
  readonly row?: Row;
}

/** A connection. */
export class Session extends Client {
  readonly at: PostgresHost;
  readonly #options: ClientConfig;
  /** Whether what is set and prepared in the session is there at the next statement; see {@link begin}. */
  #isOwn = false;
  #process: number | undefined;
  // The driver's, not among its types.
  declare readonly processID: number | null;
  declare readonly secretKey: number | null;

  constructor(at: PostgresHost, options: ClientConfig) {
    super({ ...options, connectionString: at.url });
    this.at = at;
    this.#options = options;
  }

  /**
   * To be called before all else; answers whether the server takes no writes. A process that is not the one which the server named at
   * the start says that a pooler is in between: its server connections may be another client's at the next statement, so that nothing
   * can be set or prepared for longer than a transaction, for our sake and for theirs.
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

  /** Runs a statement in a transaction of its own. `mayPrepare` false: also in a session that seems to be our own it is not prepared. */
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
    // They leave together, and come back together.
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

  /** The server's process that is at the statement; `undefined` = the server has not told yet. */
  get process(): number | undefined {
    return this.#process;
  }

  /** Bytes received and sent so far. */
  get bytesMoved(): number {
    const { stream } = this.connection;
    return stream instanceof Socket ? stream.bytesRead + stream.bytesWritten - stream.writableLength : 0;
  }

  /**
   * Ends what the session is at, over a connection that is made for it (postgresql.org/docs/current/protocol-flow.html, Canceling
   * Requests in Progress). The session is of no more use then: the next statement could be the one that ends.
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
      // A file of TLS that the URL names is away for a moment: the statement ends by itself.
      return;
    }
    const connection: CancelConnection = other.connection as unknown as CancelConnection;
    const send = () => connection.cancel(processID, secretKey);
    const end = () => {
      clearTimeout(late);
      connection.stream.destroy();
    };
    // On a server that is gone there is nothing to end.
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

  /** To be called where the connection is of no more use: what is under way in it is not waited for. */
  giveUp(): void {
    Reflect.set(this, "pipeline", false);
  }
}

/** What the driver's connections can do beside what its types tell. */
interface CancelConnection extends EventEmitter {
  readonly stream: Socket;
  readonly sslNegotiation: string;
  connect(port: number, host: string): void;
  requestSsl(): void;
  cancel(process: number, key: number): void;
}
