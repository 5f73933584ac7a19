import { setTimeout as delay } from "node:timers/promises";
import { abortError, PrismError } from "../../errors.ts";
import type { Call } from "../contract.ts";
import type { Figures } from "../figures.ts";
import { createLane, type Lane, within } from "../lane.ts";
import type { PostgresConfig } from "./config.ts";
import { Connections } from "./connections.ts";
import { isLocked, isLost, isReadOnly, isRetryable, isUnprepared, toPrismError } from "./errors.ts";
import type { Session, Statement } from "./session.ts";
import { SilenceError } from "./silence.ts";

/** How long an aborted call's statement has to end before its connection is given up. */
const CANCEL_MS = 1_000;

/** The pause before a read is tried again after its connection broke. */
const RETRY_MS = 5;

/** The most retries of a statement that had no effect. */
const MAX_RETRIES = 3;

/**
 * The share of the connections that statements on one table may take: somebody may have locked the
 * table.
 */
const TABLE_SHARE = 0.9;

/** The share of the connections that long statements may take. */
const LONG_SHARE = 0.5;

/** Runs statements on one database. */
export class Database {
  readonly #connections: Connections;
  readonly #lanes: Readonly<Record<"entry" | "list" | "record" | "stream" | "long", Lane>>;
  /** Whether sessions keep prepared statements. False for all after one session lost them. */
  #mayPrepare = true;

  /** Does not connect yet. Throws StartError if a file of `tls` or of the URL cannot be read. */
  constructor(config: PostgresConfig) {
    this.#connections = new Connections(config);
    const { max } = this.#connections;
    this.#lanes = {
      entry: createLane(shareOf(max, TABLE_SHARE)),
      list: createLane(shareOf(max, TABLE_SHARE)),
      record: createLane(shareOf(max, TABLE_SHARE)),
      stream: createLane(shareOf(max, TABLE_SHARE)),
      long: createLane(shareOf(max, LONG_SHARE)),
    };
  }

  /**
   * Runs one statement in its own transaction and answers its rows. When `call` aborts, this stops
   * waiting, and the statement is ended then or soon after. Rejects with PrismError.
   */
  run<Row extends readonly unknown[]>(
    statement: Statement<Row>,
    values: readonly unknown[],
    call?: Call,
  ): Promise<Row[]> {
    const { table, isLong = false } = statement;
    const work = () => this.#runRetrying(statement, values, call);
    const inTable = table === undefined ? work : () => within(this.#lanes[table], call, work);
    return isLong ? within(this.#lanes.long, call, inTable) : inTable();
  }

  /**
   * Runs `work` with a connection of its own. Rejects with what it throws, or with PrismError
   * `store_unavailable`.
   */
  use<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return this.#connections.use(work);
  }

  /** See {@link Connections.dedicate}. */
  dedicate(): Promise<Session> {
    return this.#connections.dedicate();
  }

  /** What the pool and its lanes count now. A statement may wait for its lane before the pool. */
  figures(): Figures {
    const figures = this.#connections.figures();
    let connectionWaits = figures.connectionWaits ?? 0;
    for (const lane of Object.values(this.#lanes)) {
      connectionWaits += lane.waiting;
    }
    return { ...figures, connectionWaits };
  }

  /** Waits for statements under way and closes every connection of the pool. */
  close(): Promise<void> {
    return this.#connections.close();
  }

  async #runRetrying<Row extends readonly unknown[]>(
    statement: Statement<Row>,
    values: readonly unknown[],
    call: Call | undefined,
  ): Promise<Row[]> {
    for (let retries = 0; ; ) {
      try {
        return await this.#runOnce(statement, values, call);
      } catch (error) {
        if (isLocked(error) && call?.aborted === false) {
          continue;
        }
        const again = this.#isWorthAnother(error, statement);
        if (!again || retries++ === MAX_RETRIES) {
          throw toPrismError(error, statement.kind);
        }
        // Other connections broke with it. This lets the pool notice first.
        if (isBroken(error)) {
          await delay(RETRY_MS);
        }
      }
    }
  }

  async #runOnce<Row extends readonly unknown[]>(
    statement: Statement<Row>,
    values: readonly unknown[],
    call: Call | undefined,
  ): Promise<Row[]> {
    const { silence } = this.#connections;
    const rows = await this.#connections.use(async (session) => {
      if (call?.aborted === true) {
        // Not thrown: nothing was sent, so the connection is still good.
        return abortError(call.signal);
      }
      const work = () => silence.watch(session, session.run(statement, values, this.#mayPrepare), call);
      const ends = statement.endsWithCall === true && call !== undefined;
      return await (ends ? untilAborted(session, call, work) : work());
    }, call);
    if (rows instanceof PrismError) {
      throw rows;
    }
    return rows;
  }

  /** Whether a statement that failed this way had no effect and may succeed if tried again. */
  #isWorthAnother(error: unknown, { kind }: Statement<readonly unknown[]>): boolean {
    if (isRetryable(error) || (this.#connections.needsWrites && isReadOnly(error))) {
      return true;
    }
    if (isUnprepared(error)) {
      // There is a pooler after all.
      this.#mayPrepare = false;
      return true;
    }
    return isBroken(error) && kind === "read";
  }
}

/** Runs a statement that is ended when its call aborts. */
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

/**
 * Idle connections break unnoticed when the server restarts. A read then takes the next connection.
 */
function isBroken(error: unknown): boolean {
  return isLost(error) && !(error instanceof PrismError) && !(error instanceof SilenceError);
}

/** At least one, and not all if there are several. */
function shareOf(max: number, share: number): number {
  return Math.max(1, Math.min(max - 1, Math.ceil(max * share)));
}
