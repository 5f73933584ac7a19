import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { nodesOf, tlsOf } from "./client.ts";
import type { RedisConfig } from "./config.ts";

/** How long to wait for an answer. */
const ANSWER_MS = 1_000;

/**
 * Tells why configured addresses do not answer, for example an untrusted certificate. For Cluster
 * nodes and sentinels the driver reports only a closed connection. `undefined` = all answer.
 */
export async function silentPlaces(config: RedisConfig): Promise<Error | undefined> {
  const tls = tlsOf(config);
  const failures = await Promise.all(
    nodesOf(config).map(async ({ host, port }) => {
      const failure = await failureOf(
        tls === undefined ? connect(port, host) : connectTls({ host, port, ...tls }),
      );
      return failure === undefined ? [] : [`${host}:${port}: ${failure.message}`];
    }),
  );
  const told = failures.flat();
  return told.length === 0 ? undefined : new Error(told.join("; "));
}

/**
 * Asks for any answer; a complaint about a missing password is one. `undefined` = there was an
 * answer.
 */
async function failureOf(socket: Socket): Promise<Error | undefined> {
  const { promise, resolve } = Promise.withResolvers<Error | undefined>();
  socket.setTimeout(ANSWER_MS, () => resolve(new Error(`no answer in ${ANSWER_MS} ms`)));
  socket.once("data", () => resolve(undefined));
  socket.once("close", () => resolve(new Error("the connection was closed")));
  socket.on("error", resolve);
  socket.write("PING\r\n");
  return await promise.finally(() => socket.destroy());
}
