import type { FilledListener } from "./contract.ts";

/** A connection that hears which lists were filled. */
export interface Listening {
  /** Its connection. It tells `event` when it has ended. */
  readonly connection: {
    once(event: string, listener: () => void): unknown;
    off(event: string, listener: () => void): unknown;
  };
  readonly event: string;
  /** Asks whether it is still there. Rejects, or lets the connection end, if nothing answers. */
  ping(): Promise<unknown>;
  close(): void;
}

/** The pause before a new connection, after one that listened broke. */
const RECONNECT_MS = 50;

/**
 * While no connection listens, lists count as filled so often: the server cannot be reached, or
 * nobody can listen there.
 */
const LOOK_MS = 1_000;

/** How often a connection is asked whether it is still there. */
const PING_MS = 10_000;

/**
 * Keeps a connection that listens, and says `missed` whenever a new one does. `listen` makes one,
 * which listens when the promise resolves; `undefined` = nobody can listen there. Answers a
 * function that ends it.
 */
export function keepListening(
  listen: () => Promise<Listening | undefined>,
  listener: Pick<FilledListener, "missed">,
): () => void {
  const stopping = new AbortController();
  const { signal } = stopping;

  /** Resolves when the connection has ended, or nobody needs it. */
  async function hold({ connection, event, ping }: Listening): Promise<void> {
    let hasEnded = false;
    const onEnd = () => (hasEnded = true);
    connection.once(event, onEnd);
    listener.missed();
    while (!signal.aborted && !hasEnded) {
      await pause(PING_MS, signal, { connection, event });
      if (!signal.aborted && !hasEnded) {
        await ping();
      }
    }
    connection.off(event, onEnd);
  }

  async function run(): Promise<void> {
    for (let canListen = true; !signal.aborted; ) {
      let pauseMs = LOOK_MS;
      let listening: Listening | undefined;
      try {
        listening = canListen ? await listen() : undefined;
        canListen = listening !== undefined;
        if (listening !== undefined) {
          await hold(listening);
          pauseMs = RECONNECT_MS;
        }
      } catch {
        // Those who wait learn from their own pops how the store is.
      } finally {
        listening?.close();
      }
      if (!signal.aborted) {
        listener.missed();
        await pause(pauseMs, signal);
      }
    }
  }

  void run();
  return () => stopping.abort();
}

/** Waits at most `ms`; not longer than until `signal` aborts or the connection ends. */
function pause(
  ms: number,
  signal: AbortSignal,
  end?: Pick<Listening, "connection" | "event">,
): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      end?.connection.off(end.event, done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
    end?.connection.once(end.event, done);
  });
}
