import { type ClientBase, type ClientConfig, DatabaseError, Pool, type PoolClient } from "pg";
import { PrismError, StartError } from "../../errors.ts";
import { readTlsFiles } from "../../tls-files.ts";
import type { Call } from "../contract.ts";
import type { Figures } from "../figures.ts";
import { storeError } from "../store-errors.ts";
import type { PostgresConfig } from "./config.ts";
import { isLost, isReadOnly, isUnprepared, wasCutOff } from "./errors.ts";
import { Session } from "./session.ts";
import { createSilence, type Silence } from "./silence.ts";
import { type PostgresHost, readUrl } from "./url.ts";

/** The time limit of a statement. Making the tables takes longest. */
const MIGRATION_MS = 60_000;

/** A connection is closed after it was idle this long. */
const IDLE_TIMEOUT_MS = 60_000;

/** The most retries of a connection attempt that was cut off before its connection was used. */
const MAX_CUTS = 3;

/** The connections to one database: a pool, and the choice among several hosts. */
export class Connections {
  /** The most connections at a time. */
  readonly max: number;
  /** Whether hosts that take no writes are skipped. */
  readonly needsWrites: boolean;
  /** Tells a silent server from one that is gone. */
  readonly silence: Silence;
  readonly #hosts: Hosts;
  readonly #pool: Pool;
  readonly #connectTimeoutMs: number;
  readonly #options: ClientConfig;

  /** Does not connect yet. Throws StartError if a file of `tls` or of the URL cannot be read. */
  constructor(config: PostgresConfig) {
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
    const hostList = new Hosts(hosts);
    this.max = max;
    this.needsWrites = needsWrites;
    this.#connectTimeoutMs = connectTimeoutMs;
    this.#hosts = hostList;
    this.#options = options;
    this.silence = createSilence(
      ({ at }, timeoutMs) =>
        new Session(at, { ...options, connectionTimeoutMillis: timeoutMs, query_timeout: timeoutMs }),
    );
    this.#pool = new Pool({
      ...options,
      max,
      idleTimeoutMillis: IDLE_TIMEOUT_MS,
      Client: class extends Session {
        constructor() {
          super(hostList.current, options);
        }
      },
      onConnect: (client) => this.#begin(sessionOf(client)),
    });
    // A broken idle connection is replaced when a call needs one.
    this.#pool.on("error", () => {});
  }

  /**
   * Runs `work` with a connection of its own, which is given up if it broke. Rejects with what
   * `work` throws, or with PrismError `store_unavailable` or `overloaded` if there is no
   * connection.
   */
  async use<T>(work: (session: Session) => Promise<T>, call?: Call): Promise<T> {
    const session = await this.#acquire(call);
    // The statement under way hears of the error too.
    const onError = () => {};
    session.on("error", onError);
    let lost = false;
    try {
      return await work(session);
    } catch (error) {
      if (this.needsWrites && isReadOnly(error)) {
        this.#hosts.leave(session.at);
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

  /**
   * Makes a connection outside of the pool, for somebody who keeps it and ends it. Rejects with the
   * driver's error.
   */
  async dedicate(): Promise<Session> {
    const session = new Session(this.#hosts.current, this.#options);
    // It ends then, which its user notices.
    session.on("error", () => {});
    try {
      await session.connect();
      await this.#begin(session);
      return session;
    } catch (error) {
      session.end().catch(() => {});
      throw error;
    }
  }

  /** What the pool counts now. */
  figures(): Figures {
    const { totalCount, idleCount, waitingCount } = this.#pool;
    return {
      connectionsUsed: totalCount - idleCount,
      connectionsIdle: idleCount,
      connectionsMax: this.max,
      connectionWaits: waitingCount,
    };
  }

  /** Waits for statements under way and closes every connection of the pool. */
  close(): Promise<void> {
    return this.#pool.end();
  }

  /** The first statement of a new connection. Throws if the connection is unusable. */
  async #begin(session: Session): Promise<void> {
    const startMs = performance.now();
    const { isReadOnly } = await session.begin(this.#connectTimeoutMs).catch((error: unknown) => {
      const isSilence = !(error instanceof DatabaseError) && !wasCutOff(error);
      throw isSilence && this.silence.wasHeardAfter(startMs, session)
        ? storeError("overloaded", error)
        : error;
    });
    if (isReadOnly && this.needsWrites) {
      throw new Error(`${session.at.name} takes no writes`);
    }
  }

  async #acquire(call: Call | undefined): Promise<PoolClient & Session> {
    let cuts = 0;
    for (let tried = 1; ; ) {
      const isBusy = this.#pool.totalCount >= this.max && this.#pool.idleCount === 0;
      const host = this.#hosts.current;
      try {
        const session = sessionOf(await this.#pool.connect());
        if (session.at === this.#hosts.current) {
          return session;
        }
        session.release(true);
      } catch (error) {
        // Nothing was sent over it yet, so another try is safe.
        if (wasCutOff(error) && cuts++ < MAX_CUTS) {
          continue;
        }
        if (error instanceof PrismError) {
          // The server answers others: a pooler had no free connection.
          if (call?.aborted === false) {
            continue;
          }
          throw error;
        }
        if (isBusy) {
          throw storeError("overloaded", error);
        }
        this.#hosts.leave(host);
        if (!isLost(error) || tried++ >= this.#hosts.count) {
          throw storeError("store_unavailable", error);
        }
      }
    }
  }
}

/** Chooses a host, and stays with it as long as it accepts connections. */
class Hosts {
  readonly #hosts: readonly PostgresHost[];
  #at = 0;

  constructor(hosts: readonly PostgresHost[]) {
    this.#hosts = hosts;
  }

  get count(): number {
    return this.#hosts.length;
  }

  get current(): PostgresHost {
    const host = this.#hosts[this.#at];
    if (host === undefined) {
      throw new Error("no host");
    }
    return host;
  }

  /** Moves to the next host, unless another call already did. */
  leave(host: PostgresHost): void {
    if (host === this.current) {
      this.#at = (this.#at + 1) % this.#hosts.length;
    }
  }
}

/** The cast is safe: the pool makes no other clients. */
function sessionOf<C extends ClientBase>(client: C): C & Session {
  if (!(client instanceof Session)) {
    throw new TypeError("not a connection of this pool");
  }
  return client;
}

/** Throws StartError if the URL names files that cannot be read. */
function readUrlFiles(host: PostgresHost, options: ClientConfig): void {
  try {
    new Session(host, options);
  } catch (error) {
    throw new StartError(error instanceof Error ? error.message : String(error), error);
  }
}
