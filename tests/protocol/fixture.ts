/**
 * A server for a whole test file, and one connection of each kind that stays open from call to
 * call.
 */
import { afterAll, beforeAll, expect } from "vitest";
import type { Config } from "../../server/config/config.ts";
import { startTestServer, type TestServer } from "../helpers/server.ts";
import { withId } from "./expect.ts";
import { connect, type RawAnswer, type RawConnection } from "./raw.ts";
import type { Wire } from "./wire.ts";

/** Small, so that tests at the bound are quick. */
export const MAX_VALUE_BYTES = 64 * 1024;

/** More than any message may have: the largest value in base64, and 64 KiB around it. */
export const OVER_MESSAGE_BYTES = Math.ceil(MAX_VALUE_BYTES / 3) * 4 + 64 * 1024 + 1;

/** The running server and its connections. */
export interface Fixture {
  readonly server: TestServer;
  on(wire: Wire): RawConnection;
}

/**
 * A connection whose calls also go to a twin, a server with the other HTTP/2 implementation. Both
 * must give the same answer to the byte.
 */
function twinned(connection: RawConnection, twin: RawConnection): RawConnection {
  return {
    async call(request) {
      // Each server makes its own ids, and they are part of an error's detail.
      const sent = "x-request-id" in request.headers ? request : withId(request);
      const [answer, other] = await Promise.all([connection.call(sent), twin.call(sent)]);
      expect(onTheWire(answer)).toEqual(onTheWire(other));
      return answer;
    },
    [Symbol.dispose]() {
      connection[Symbol.dispose]();
      twin[Symbol.dispose]();
    },
  };
}

/** The whole answer except the time. The body is text, because that compares faster than bytes. */
function onTheWire({ httpStatus, headers, trailers, body, rstCode }: RawAnswer) {
  const { date, ...others } = headers;
  return {
    httpStatus,
    headers: { ...others, date: typeof date },
    trailers,
    body: body.toString("latin1"),
    rstCode,
  };
}

/**
 * Starts the server before the file's tests and stops it after them. Then each call must have had
 * one log line. Values are at most {@link MAX_VALUE_BYTES}.
 */
export function useServer(adjust: (config: Config) => Config = (config) => config): Fixture {
  let started:
    | { server: TestServer; twin: TestServer; connections: Record<1 | 2, RawConnection> }
    | undefined;
  const running = () => {
    if (started === undefined) {
      throw new Error("the server is not started yet");
    }
    return started;
  };

  beforeAll(async () => {
    const small = (config: Config) =>
      adjust({ ...config, limits: { ...config.limits, maxValueBytes: MAX_VALUE_BYTES } });
    const server = await startTestServer({ adjust: small });
    const twin = await startTestServer({
      adjust(config) {
        const http2 = config.server.http2 === "engine" ? "node" : "engine";
        return small({ ...config, server: { ...config.server, http2 } });
      },
    });
    const http2 = twinned(connect(server, 2), connect(twin, 2));
    started = { server, twin, connections: { 1: connect(server, 1), 2: http2 } };
  });

  afterAll(async () => {
    const { server, twin, connections } = running();
    connections[1][Symbol.dispose]();
    connections[2][Symbol.dispose]();
    await Promise.all([server.stop(), twin.stop()]);
    // No more lines can come now: each line came once.
    const ids = server.log.map(({ request_id }) => request_id).filter((id) => id !== undefined);
    expect(ids.filter((id, i) => ids.indexOf(id) !== i)).toEqual([]);
  });

  return {
    get server() {
      return running().server;
    },
    on: (wire) => running().connections[wire.http],
  };
}
