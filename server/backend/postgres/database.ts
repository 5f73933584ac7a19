import { setTimeout as delay } from "node:timers/promises";
import { abortError, PrismError } from "../../errors.ts";
import type { Call } from "../contract.ts";
import { createLane, type Lane } from "../lane.ts";
import type { PostgresConfig } from "./config.ts";
import { Connections } from "./connections.ts";
import { isLocked, isLost, isReadOnly, isRetryable, isUnprepared, toPrismError } from "./errors.ts";
import type { Session, Statement } from "./session.ts";
import { SilenceError } from "./silence.ts";

/** How long a statement has to end after its call was aborted, before its connection is given up. */
const CANCEL_MS = 1_000;

/** Between two tries to read over connections that broke. */
const RETRY_MS = 5;

/** Times that a statement is made again which had no effect. */
const MAX_RETRIES = 3;

/** Share of the connections that statements on one table may have at the same time: somebody may have locked the table. */
const TABLE_SHARE = 0.9;

/** Share of the connections that long statements may have at the same time. */
const LONG_SHARE = 0.5;

/** Runs statements on one database. */
export class Database {
  readonly #connections: Connections;
  readonly #lanes: Readonly<Record<"entry" | "list" | "long", Lane>>;
  /** Whether a session keeps its prepared statements. False for all once one session did not. */
  #mayPrepare = true;

  /** It does not connect yet. Throws StartError where a file of `tls` or of the URL cannot be read. */
  constructor(config: PostgresConfig) {
    this.#connections = new Connections(config);
    const { max } = this.#connections;
    this.#lanes = {
      entry: createLane(shareOf(max, TABLE_SHARE)),
      list: createLane(shareOf(max, TABLE_SHARE)),
      long: createLane(shareOf(max, LONG_SHARE)),
    };
  }

  /**
   * Runs one statement, in a transaction of its own, and answers its rows. Nobody waits for a `call` that is aborted: its
   * statement is ended then, or soon after. Rejects with PrismError.
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

  /** Runs `work` on a connection of its own. Rejects with what it throws, or PrismError `store_unavailable`. */
  use<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return this.#connections.use(work);
  }

  /** Waits for what is under way, and closes every connection. */
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
        // Where one connection broke others did, and the pool has to hear of those first.
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
        // Not thrown: nothing was asked, so the connection is as good as before.
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

  /** Whether a statement that failed so had no effect, and may do better. */
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

/** Idle connections break unseen when the server goes and comes back; reads go on over the next one. */
function isBroken(error: unknown): boolean {
  return isLost(error) && !(error instanceof PrismError) && !(error instanceof SilenceError);
}

/** One connection at least, and not all where there are more. */
function shareOf(max: number, share: number): number {
  return Math.max(1, Math.min(max - 1, Math.ceil(max * share)));
}
