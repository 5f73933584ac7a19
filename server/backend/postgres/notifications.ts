import type { Notification } from "pg";
import type { FilledListener, StreamListener } from "../contract.ts";
import { keepListening } from "../keep-listening.ts";
import type { Session } from "./session.ts";

/** The channel of `migrations/005_filled_lists.sql`. */
const LIST_FILLED = "prism_list_filled";

/** The channel of {@link createTeller}. */
export const STREAM_CHANGED = "prism_stream_changed";

/** Stands behind the name of a stream that was deleted or holds for another time. */
const REPLACED = "replaced";

/** The most streams that wait to be told. */
const MAX_UNTOLD = 10_000;

/** How long a connection has to answer. The driver's types lack this option. */
const PING: { readonly text: string } = { text: "SELECT 1", query_timeout: 5_000 } as { text: string };

/** Makes a connection that nobody else uses. */
type Connect = () => Promise<Session>;

/**
 * Listens for lists that were filled in `schema`, on connections that `connect` makes. Answers a
 * function that ends it.
 */
export function watchFilled(connect: Connect, schema: string, listener: FilledListener): () => void {
  return watch(connect, schema, {
    channel: LIST_FILLED,
    heard: (namespace, key) => listener.filled(namespace, key),
    missed: () => listener.missed(),
    pinged: () => {},
  });
}

/**
 * The same for streams that have changed. A gateway that ends between a commit and its notification
 * tells nobody. So each ping counts as a change that was missed.
 */
export function watchStreams(connect: Connect, schema: string, listener: StreamListener): () => void {
  return watch(connect, schema, {
    channel: STREAM_CHANGED,
    heard: (namespace, stream, what) =>
      what === REPLACED ? listener.replaced(namespace, stream) : listener.changed(namespace, stream),
    missed: () => listener.missed(),
    pinged: () => listener.missed(),
  });
}

/** Tells all gateways which streams have changed. */
export interface Teller {
  /** Does not wait until they are told. */
  changed(namespace: string, streams: readonly string[]): void;
  /** The same for streams that were deleted or hold for another time. */
  replaced(namespace: string, streams: readonly string[]): void;
  /** Resolves when all are told. */
  idle(): Promise<void>;
}

/**
 * Tells in statements of its own, after the commits. PostgreSQL commits transactions that notify
 * one after the other, each with its wait for the disk: with 16 connections a quarter of the
 * appends was left. Such a statement alone does not wait for the disk. `notify` runs one with these
 * payloads.
 */
export function createTeller(
  schema: string,
  notify: (payloads: readonly string[]) => Promise<unknown>,
): Teller {
  let untold = new Set<string>();
  let isTelling = false;
  let told = Promise.resolve();

  async function run(): Promise<void> {
    while (untold.size > 0) {
      const payloads = [...untold];
      untold = new Set();
      try {
        await notify(payloads);
      } catch {
        // Those who listen look again by themselves, and learn from that how the store is.
      }
    }
    isTelling = false;
  }

  function tell(namespace: string, streams: readonly string[], end: string): void {
    for (const stream of streams) {
      if (untold.size < MAX_UNTOLD) {
        untold.add(`${schema}/${namespace}/${Buffer.from(stream).toString("hex")}${end}`);
      }
    }
    if (!isTelling) {
      isTelling = true;
      told = run();
    }
  }

  return {
    changed: (namespace, streams) => tell(namespace, streams, ""),
    replaced: (namespace, streams) => tell(namespace, streams, `/${REPLACED}`),
    idle: () => told,
  };
}

/** Hears notifications: each has a namespace, a key in it, and may say what happened. */
interface Listener {
  readonly channel: string;
  heard(namespace: string, key: string, what: string | undefined): void;
  missed(): void;
  pinged(): void;
}

function watch(connect: Connect, schema: string, listener: Listener): () => void {
  const hear = ({ payload = "" }: Notification) => {
    const [from, namespace, hex, what] = payload.split("/");
    if (from === schema && namespace !== undefined && hex !== undefined) {
      listener.heard(namespace, Buffer.from(hex, "hex").toString(), what);
    }
  };
  const listen = async () => {
    const connection = await connect();
    const close = () => {
      connection.end().catch(() => {});
    };
    // Behind a pooler other clients use the server's connection too.
    if (!connection.isOwn) {
      close();
      return undefined;
    }
    connection.on("notification", hear);
    try {
      await connection.query(`LISTEN ${listener.channel}`);
    } catch (error) {
      close();
      throw error;
    }
    const ping = async () => {
      await connection.query(PING);
      listener.pinged();
    };
    return { connection, event: "end", ping, close };
  };
  return keepListening(listen, listener);
}
