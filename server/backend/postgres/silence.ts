import { DatabaseError } from "pg";
import { abortError } from "../../errors.ts";
import type { Call } from "../contract.ts";
import { isFull, isLost, isTurnedAway } from "./errors.ts";
import type { Session } from "./session.ts";

/**
 * After a statement's connection was silent this long, the server is asked whether it works on it.
 * A server that is gone or frozen does not answer.
 */
export const SILENCE_MS = 5_000;

/** How long the server has to accept the asking connection, and again to answer. */
const ANSWER_MS = 1_000;

/**
 * A pooler may accept connections and have no free server connection. The server is believed to be
 * there if it answered anything within this time. Waiting for a lock is answered sooner: see
 * LOCK_WAIT_MS.
 */
const HEARD_MS = 10_000;

/** Every user may see his own sessions (postgresql.org/docs/current/monitoring-stats.html). */
const BUSY = "SELECT pid FROM pg_stat_activity WHERE usename = current_user AND state = 'active'";

/** The server does not work on the statement, or does not answer at all. */
export class SilenceError extends Error {
  override readonly name = "SilenceError";
}

/** Watches statements whose connections are silent. */
export interface Silence {
  /**
   * Settles like `work`, the statement that `session` runs. Rejects with SilenceError if the
   * connection counts as lost, and with the abort's error if `call` aborts. A statement that waits
   * for a lock goes on as long as its call does.
   */
  watch<T>(session: Session, work: Promise<T>, call: Call | undefined): Promise<T>;
  /**
   * Whether the server of `session` answered a statement after `startMs`, on the clock of
   * performance.now().
   */
  wasHeardAfter(startMs: number, session: Session): boolean;
}

/**
 * The answer to a question: the processes that work, "waits" for lack of a free connection, or
 * "nothing".
 */
type Answer = ReadonlySet<number> | "waits" | "nothing";

/** `sessionLike` makes an unconnected session with the same server. */
export function createSilence(sessionLike: (session: Session, timeoutMs: number) => Session): Silence {
  /** The question under way for each server, shared by all who wait for it. */
  const asked = new Map<string, Promise<Answer>>();
  /** When each server last answered a statement, by the server's name. */
  const heardAtMs = new Map<string, number>();

  function askFor(session: Session): Promise<Answer> {
    const { name } = session.at;
    let answer = asked.get(name);
    if (answer === undefined) {
      answer = ask(() => sessionLike(session, ANSWER_MS)).finally(() => asked.delete(name));
      asked.set(name, answer);
    }
    return answer;
  }

  function hear({ at: { name } }: Session): void {
    heardAtMs.set(name, performance.now());
  }

  function wasHeardAfter(startMs: number, { at: { name } }: Session): boolean {
    return (heardAtMs.get(name) ?? -Infinity) > startMs;
  }

  return {
    wasHeardAfter,
    async watch(session, work, call) {
      const givenUp = Promise.withResolvers<never>();
      let moved = session.bytesMoved;
      let timer = setTimeout(look, SILENCE_MS);
      let isOver = false;
      let wasOvertaken = false;

      function look(): void {
        if (call?.aborted === true) {
          session.cancel();
          givenUp.reject(abortError(call.signal));
        } else if (session.bytesMoved !== moved) {
          goOn();
        } else {
          void askFor(session).then((answer) => {
            if (isOver) {
              return;
            }
            if (session.bytesMoved !== moved || mayGoOn(answer)) {
              goOn();
            } else {
              givenUp.reject(new SilenceError(`PostgreSQL said nothing for ${SILENCE_MS} ms`));
            }
          });
        }
      }

      function mayGoOn(answer: Answer): boolean {
        if (answer === "nothing") {
          return false;
        }
        if (answer === "waits") {
          return wasHeardAfter(performance.now() - HEARD_MS, session);
        }
        if (session.process !== undefined) {
          return answer.has(session.process);
        }
        // A pooler serves its clients in order. One later client may be answered first by chance; a
        // second one means that this connection broke.
        const isChance = !wasOvertaken;
        wasOvertaken = true;
        return isChance;
      }

      function goOn(): void {
        moved = session.bytesMoved;
        timer = setTimeout(look, SILENCE_MS);
      }

      // `work` may reject after the race is decided.
      work.catch(() => {});
      givenUp.promise.catch(() => {});
      try {
        const result = await Promise.race([work, givenUp.promise]);
        hear(session);
        return result;
      } catch (error) {
        if (!isLost(error)) {
          hear(session);
        }
        throw error;
      } finally {
        isOver = true;
        clearTimeout(timer);
      }
    },
  };
}

/** `make` throws if no session can be made, for example while a TLS file is missing. */
async function ask(make: () => Session): Promise<Answer> {
  let session: Session | undefined;
  let isTaken = false;
  try {
    session = make();
    session.on("error", () => {});
    await session.connect();
    isTaken = true;
    const { rows } = await session.query<{ pid: number }>(BUSY);
    return new Set(rows.map(({ pid }) => pid));
  } catch (error) {
    const isInLine = error instanceof DatabaseError ? isFull(error) || isTurnedAway(error) : isTaken;
    return isInLine ? "waits" : "nothing";
  } finally {
    await session?.end().catch(() => {});
  }
}
