import type { Notification } from "pg";
import type { FilledListener } from "../contract.ts";
import { keepListening } from "../keep-listening.ts";
import type { Session } from "./session.ts";

/** The channel of `migrations/005_filled_lists.sql`. */
const CHANNEL = "prism_list_filled";

/** How long a connection has to answer. The driver's types lack this option. */
const PING: { readonly text: string } = { text: "SELECT 1", query_timeout: 5_000 } as { text: string };

/**
 * Listens for lists that were filled in `schema`, on connections that `connect` makes. Answers a
 * function that ends it.
 */
export function watchFilled(
  connect: () => Promise<Session>,
  schema: string,
  listener: FilledListener,
): () => void {
  const hear = ({ payload = "" }: Notification) => {
    const [from, namespace, hex] = payload.split("/");
    if (from === schema && namespace !== undefined && hex !== undefined) {
      listener.filled(namespace, Buffer.from(hex, "hex").toString());
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
      await connection.query(`LISTEN ${CHANNEL}`);
    } catch (error) {
      close();
      throw error;
    }
    return { connection, event: "end", ping: () => connection.query(PING), close };
  };
  return keepListening(listen, listener);
}
