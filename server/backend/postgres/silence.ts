import { abortError } from "../../errors.ts";
import type { Call } from "../contract.ts";
import type { Session } from "./session.ts";

/**
 * After a statement's connection has carried nothing either way for so long the server is asked whether it is at it: one that is gone
 * without a word, or frozen, does not answer.
 */
export const SILENCE_MS = 5_000;

/** For the server to take the connection on which it is asked, and again to answer. */
const ANSWER_MS = 1_000;

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
}

/** `sessionLike` makes another session, not yet connected, with the same server. */
export function createSilence(sessionLike: (session: Session, timeoutMs: number) => Session): Silence {
  /** One question at a time for each server, however many wait for its answer. */
  const asked = new Map<string, Promise<ReadonlySet<number>>>();

  function busyProcesses(session: Session): Promise<ReadonlySet<number>> {
    const { name } = session.at;
    let answer = asked.get(name);
    if (answer === undefined) {
      answer = ask(() => sessionLike(session, ANSWER_MS)).finally(() => asked.delete(name));
      asked.set(name, answer);
    }
    return answer;
  }

  async function isAtIt(session: Session): Promise<boolean> {
    const { process } = session;
    if (process === undefined) {
      return false;
    }
    return await busyProcesses(session).then(
      (busy) => busy.has(process),
      () => false,
    );
  }

  return {
    async watch(session, work, call) {
      const givenUp = Promise.withResolvers<never>();
      let moved = session.bytesMoved;
      let timer = setTimeout(look, SILENCE_MS);
      let isOver = false;

      function look(): void {
        if (call?.aborted === true) {
          session.cancel();
          givenUp.reject(abortError(call.signal));
        } else if (session.bytesMoved !== moved) {
          goOn();
        } else {
          void isAtIt(session).then((atIt) => {
            if (isOver) {
              return;
            }
            if (atIt || session.bytesMoved !== moved) {
              goOn();
            } else {
              givenUp.reject(new SilenceError(`PostgreSQL said nothing for ${SILENCE_MS} ms`));
            }
          });
        }
      }

      function goOn(): void {
        moved = session.bytesMoved;
        timer = setTimeout(look, SILENCE_MS);
      }

      // Where the other is first.
      work.catch(() => {});
      givenUp.promise.catch(() => {});
      try {
        return await Promise.race([work, givenUp.promise]);
      } finally {
        isOver = true;
        clearTimeout(timer);
      }
    },
  };
}

/** Rejects also where no session can be made, as where a file of TLS is away for a moment. */
async function ask(make: () => Session): Promise<ReadonlySet<number>> {
  const session = make();
  session.on("error", () => {});
  try {
    await session.connect();
    const { rows } = await session.query<{ pid: number }>(BUSY);
    return new Set(rows.map(({ pid }) => pid));
  } finally {
    await session.end().catch(() => {});
  }
}
