import { DatabaseError } from "pg";
import { abortError } from "../../errors.ts";
import type { Call } from "../contract.ts";
import { isFull, isLost, isTurnedAway } from "./errors.ts";
import type { Session } from "./session.ts";

/**
 * After a statement's connection has carried nothing either way for so long the server is asked whether it is at it: one that is gone
 * without a word, or frozen, does not answer.
 */
export const SILENCE_MS = 5_000;

/** For the server to take the connection on which it is asked, and again to answer. */
const ANSWER_MS = 1_000;

/**
 * A pooler that takes connections may have none to the server to spare. It is believed that the server is there as long as somebody
 * heard from it within this time. A statement that waits for a lock is answered in less: see LOCK_WAIT_MS.
 */
const HEARD_MS = 10_000;

/** Its own sessions everybody may see (postgresql.org/docs/current/monitoring-stats.html). */
const BUSY = "SELECT pid FROM pg_stat_activity WHERE usename = current_user AND state = 'active'";

/** The server does not work at the statement, or does not answer at all. */
export class SilenceError extends Error {
  override readonly name = "SilenceError";
}

/** Looks after statements whose connections are silent. */
export interface Silence {
  /**
   * Settles as `work` does, which is what `session` is at. Rejects with SilenceError where the connection counts as lost, and with the
   * abort's error where nobody waits for `call` any more: what waits for a lock goes on as long as somebody wants it.
   */
  watch<T>(session: Session, work: Promise<T>, call: Call | undefined): Promise<T>;
  /** Whether a statement was answered by the server of `session` after `startMs`, of performance.now(). */
  wasHeardAfter(startMs: number, session: Session): boolean;
}

/** What became of a question: processes that work, no answer for want of a connection, or nothing at all. */
type Answer = ReadonlySet<number> | "waits" | "nothing";

/** `sessionLike` makes another session, not yet connected, with the same server. */
export function createSilence(sessionLike: (session: Session, timeoutMs: number) => Session): Silence {
  /** One question at a time for each server, however many wait for its answer. */
  const asked = new Map<string, Promise<Answer>>();
  /** When a statement was answered last, by the server's name. */
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
        // A pooler serves its clients in order: a later one is answered first by chance, or because this connection broke.
        const isChance = !wasOvertaken;
        wasOvertaken = true;
        return isChance;
      }

      function goOn(): void {
        moved = session.bytesMoved;
        timer = setTimeout(look, SILENCE_MS);
      }

      // Where the other is first.
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

/** `make` throws where no session can be made, as where a file of TLS is away for a moment. */
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
