/**
 * HTTP at the lowest level of Node's clients: a request with any headers and body, and the whole
 * answer.
 */
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import type { Writable } from "node:stream";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import type { TestServer } from "../helpers/server.ts";
import { type CallAnswer, type HttpAnswer, type RawRequest, readAnswer } from "./wire.ts";

/** A server to call. */
export type Listening = Pick<TestServer, "baseUrl">;

/** The answer, as HTTP and as the protocol reads it. */
export interface RawAnswer extends HttpAnswer, CallAnswer {
  /** The local port of the call; equal ports mean the same connection. */
  readonly localPort: number;
  /** The server's reset code (HTTP/2); 0 = no reset. */
  readonly rstCode: number;
}

/** One connection of HTTP/1.1 or HTTP/2. HTTP/1.1 reconnects after the server closed it. */
export interface RawConnection extends Disposable {
  /**
   * Rejects if the connection breaks. The second half of the body is sent when `whole` resolves.
   */
  call(request: RawRequest, whole?: Promise<unknown>): Promise<RawAnswer>;
}

/** Connects to the data plane; `tls` = with TLS. */
export function connect(server: Listening, version: 1 | 2, tls?: ConnectionOptions): RawConnection {
  return version === 1 ? connectHttp1(server, tls) : connectHttp2(server, tls);
}

/** The data plane's address for node:net. */
export function addressOf({ baseUrl }: Listening): {
  readonly host: string;
  readonly port: number;
} {
  const { hostname, port } = new URL(baseUrl);
  return { host: hostname.replace(/^\[|\]$/g, ""), port: Number(port) };
}

/** Makes one call on a new connection. */
export async function rawCall(server: Listening, request: RawRequest): Promise<RawAnswer> {
  using connection = connect(server, request.wire.http);
  return await connection.call(request);
}

function connectHttp1(server: Listening, tls: ConnectionOptions | undefined): RawConnection {
  const { host, port } = addressOf(server);
  const agent =
    tls === undefined
      ? new http.Agent({ keepAlive: true, maxSockets: 1 })
      : new https.Agent({ ...tls, ALPNProtocols: ["http/1.1"], keepAlive: true, maxSockets: 1 });
  return {
    async call({ path, httpMethod, headers, body }, whole) {
      const request = (tls === undefined ? http : https).request({
        agent,
        host,
        port,
        path,
        method: httpMethod,
        headers: { ...headers, ...(body && { "content-length": String(body.byteLength) }) },
      });
      let localPort = 0;
      request.once("socket", (socket) => {
        localPort = socket.localPort ?? 0;
        if (socket.connecting) {
          socket.once("connect", () => {
            localPort = socket.localPort ?? 0;
          });
        }
      });
      const answered = new Promise<http.IncomingMessage>((resolve, reject) => {
        request.once("response", resolve);
        request.on("error", reject);
      });
      send(request, body, whole);
      const response = await answered;
      const chunks: Buffer[] = await Array.fromAsync(response);
      const answer = {
        httpStatus: response.statusCode,
        headers: flat(response.headers),
        trailers: flat(response.trailers),
        body: Buffer.concat(chunks),
      };
      return { ...answer, ...readAnswer(answer), localPort, rstCode: 0 };
    },
    [Symbol.dispose]: () => agent.destroy(),
  };
}

function connectHttp2(server: Listening, tls: ConnectionOptions | undefined): RawConnection {
  const { host, port } = addressOf(server);
  const session = http2.connect(
    server.baseUrl,
    tls && {
      createConnection: () => connectTls({ ...tls, host, port, ALPNProtocols: ["h2"] }),
    },
  );
  let localPort = 0;
  session.once("connect", (_, socket) => {
    localPort = socket.localPort ?? 0;
  });
  // Each call rejects with it.
  session.on("error", () => {});
  return {
    async call({ path, httpMethod, headers, body }, whole) {
      const stream = session.request(
        { ...headers, ":path": path, ":method": httpMethod },
        { endStream: body === undefined },
      );
      const answer = collect(stream);
      // After its answer a caller need not send the rest.
      stream.once("end", () => stream.end());
      if (body !== undefined) {
        send(stream, body, whole);
      }
      const collected = await answer;
      return {
        ...collected,
        ...(collected.httpStatus === undefined ? NO_ANSWER : readAnswer(collected)),
        localPort,
        rstCode: stream.rstCode,
      };
    },
    [Symbol.dispose]: () => session.destroy(),
  };
}

function send(to: Writable, body: Uint8Array | undefined, whole: Promise<unknown> | undefined): void {
  if (body === undefined || whole === undefined) {
    to.end(body);
    return;
  }
  const half = Math.ceil(body.length / 2);
  to.write(body.subarray(0, half));
  void whole.then(() => to.end(body.subarray(half)));
}

const NO_ANSWER: CallAnswer = { code: undefined, message: "", details: [], messages: [] };

function collect(stream: http2.ClientHttp2Stream): Promise<HttpAnswer> {
  const chunks: Buffer[] = [];
  let headers: Record<string, string> = {};
  let trailers: Record<string, string> = {};
  let failure: Error | undefined;
  stream.on("response", (received) => {
    headers = flat(received);
  });
  stream.on("trailers", (received) => {
    trailers = flat(received);
  });
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  stream.on("error", (error) => {
    failure = error;
  });
  return new Promise((resolve, reject) => {
    stream.once("close", () => {
      const status = headers[":status"];
      if (status === undefined && stream.rstCode === 0) {
        reject(failure ?? new Error("the call ended without an answer"));
        return;
      }
      resolve({
        httpStatus: status === undefined ? undefined : Number(status),
        headers,
        trailers,
        body: Buffer.concat(chunks),
      });
    });
  });
}

function flat(headers: http.IncomingHttpHeaders): Record<string, string> {
  const entries = Object.entries(headers).map(([name, value]) => [name, String(value)]);
  return Object.fromEntries(entries);
}
