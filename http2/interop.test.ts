import { execFile } from "node:child_process";
import http2 from "node:http2";
import net, { type AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import { afterEach, describe, expect, it } from "vitest";
import { waitFor } from "../tests/helpers/until.ts";
import {
  type ClientConnection,
  type ConnectionOptions,
  createClientConnection,
  createServerConnection,
  ErrorCode,
  encodeHeaders,
  type NoBody,
  type ServerConnection,
  type Stream,
} from "./index.ts";
import { echo, RESPONSE, TRAILERS } from "./testing.ts";

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) {
    cleanup();
  }
});

async function listen(server: net.Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

async function serveEngine(onStream: (stream: Stream) => void = echo, options: ConnectionOptions = {}) {
  const connections: ServerConnection[] = [];
  const port = await listen(
    net.createServer((socket) => connections.push(createServerConnection(socket, options, onStream))),
  );
  cleanups.push(() => {
    for (const connection of connections) {
      connection.destroy();
    }
  });
  return { port, connections };
}

const PATTERN = Buffer.from(Array.from({ length: 3_000_000 }, (_, i) => (i * 7 + (i >> 8)) & 0xff));

describe("node:http2's client", () => {
  async function connect(port: number, options: http2.ClientSessionOptions = {}) {
    const session = http2.connect(`http://127.0.0.1:${port}`, options);
    cleanups.push(() => session.destroy());
    await new Promise<void>((resolve) => session.once("connect", () => resolve()));
    return session;
  }
  function call(session: http2.ClientHttp2Session, body: Buffer) {
    const stream = session.request({
      ":method": "POST",
      ":path": "/echo",
      te: "trailers",
      "x-many": "z".repeat(300),
    });
    const result = { status: 0, trailers: {} as http2.IncomingHttpHeaders, body: Buffer.alloc(0) };
    return new Promise<typeof result>((resolve, reject) => {
      const chunks: Buffer[] = [];
      stream.on("response", (headers) => {
        result.status = Number(headers[":status"]);
      });
      stream.on("trailers", (trailers) => {
        result.trailers = trailers;
      });
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("error", reject);
      stream.on("close", () => resolve({ ...result, body: Buffer.concat(chunks) }));
      stream.end(body);
    });
  }

  it("gets an answer that comes before its large body is read, again and again on one connection", async () => {
    const { port, connections } = await serveEngine((stream) =>
      stream.reply(RESPONSE, Buffer.from("no"), TRAILERS),
    );
    const session = await connect(port);
    for (let i = 0; i < 20; i++) {
      const { status, body, trailers } = await call(session, PATTERN);
      expect([status, body.toString(), trailers["grpc-status"]]).toEqual([200, "no", "0"]);
    }
    expect(connections).toHaveLength(1);
    await waitFor(() => expect(connections[0]?.streamCount).toBe(0));
  });

  it("gets large bodies both ways, with trailers", async () => {
    const { port, connections } = await serveEngine();
    const session = await connect(port);
    const answers = await Promise.all([
      call(session, PATTERN),
      call(session, PATTERN.subarray(5)),
      call(session, Buffer.alloc(0)),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(answers[0]?.body.equals(PATTERN)).toBe(true);
    expect(answers[1]?.body.equals(PATTERN.subarray(5))).toBe(true);
    expect(answers[2]?.body).toHaveLength(0);
    expect(answers.every(({ trailers }) => trailers["grpc-status"] === "0")).toBe(true);
    await waitFor(() => expect(connections[0]?.streamCount).toBe(0));
  });

  it("opens thousands of streams", async () => {
    const { port, connections } = await serveEngine();
    const session = await connect(port);
    for (let round = 0; round < 10; round++) {
      const bodies = Array.from({ length: 300 }, (_, i) => Buffer.from(`${round}:${i}`));
      const answers = await Promise.all(bodies.map((body) => call(session, body)));
      expect(answers.map(({ body }) => body.toString())).toEqual(bodies.map(String));
    }
    await waitFor(() => expect(connections[0]?.streamCount).toBe(0));
  });

  it("reads slowly, and the server waits", async () => {
    let stuck: (() => void) | undefined;
    const waited = new Promise<void>((resolve) => {
      stuck = resolve;
    });
    const { port } = await serveEngine((stream) => {
      let left = 100;
      stream.respond(RESPONSE);
      const more = () => {
        while (left > 0) {
          left--;
          if (!stream.write(PATTERN.subarray(0, 30_000))) {
            stuck?.();
            return;
          }
        }
        stream.end(TRAILERS);
      };
      stream.whenDrained(more);
      more();
    });
    const session = await connect(port);
    const stream = session.request({ ":path": "/" });
    stream.pause();
    await waited;
    let bytes = 0;
    for await (const chunk of stream) {
      bytes += chunk.length;
    }
    expect(bytes).toBe(3_000_000);
  });

  it("loses no call to a drain", async () => {
    const { port, connections } = await serveEngine();
    const session = await connect(port);
    const goaway = new Promise((resolve) => session.once("goaway", resolve));
    const calls = Array.from({ length: 50 }, () => call(session, Buffer.from("x")));
    const drained = Promise.all([calls[0]?.then(() => connections[0]?.drain())]);
    await goaway;
    expect((await Promise.all(calls)).every(({ body }) => body.toString() === "x")).toBe(true);
    await drained;
  });

  it("is told a stream's error", async () => {
    const { port } = await serveEngine((stream) => stream.reset(ErrorCode.ENHANCE_YOUR_CALM));
    await expect(call(await connect(port), Buffer.alloc(0))).rejects.toThrow("NGHTTP2_ENHANCE_YOUR_CALM");
  });
});

it("curl", async () => {
  const { port } = await serveEngine();
  const url = `http://127.0.0.1:${port}/`;
  const args = [
    "-s",
    "--http2-prior-knowledge",
    "-w",
    "%{http_version} %{http_code}",
    "--data-binary",
    "@-",
    url,
  ];
  const child = promisify(execFile)("curl", args, { encoding: "latin1", maxBuffer: 1e8 });
  child.child.stdin?.end(PATTERN);
  const { stdout } = await child;
  expect(stdout.endsWith("2 200")).toBe(true);
  expect(Buffer.from(stdout.slice(0, -5), "latin1").equals(PATTERN)).toBe(true);
});

describe("our client", () => {
  const headers = encodeHeaders([
    ":method",
    "POST",
    ":scheme",
    "http",
    ":path",
    "/echo",
    ":authority",
    "a",
    "te",
    "trailers",
  ]);
  async function connect(port: number, options: ConnectionOptions = {}): Promise<ClientConnection> {
    const socket = net.connect(port, "127.0.0.1");
    await new Promise<void>((resolve) => socket.once("connect", resolve));
    const connection = createClientConnection(socket, options);
    cleanups.push(() => connection.destroy());
    return connection;
  }
  function call(connection: ClientConnection, body: Buffer) {
    const stream = connection.request(headers, encodeHeaders(["x-call", String(body.length)]));
    let got: Buffer | NoBody | undefined;
    stream.collect(10_000_000, (_, whole) => {
      got = whole;
    });
    const done = new Promise<{
      stream: typeof stream;
      body: Buffer | NoBody | undefined;
      code: number | undefined;
    }>((resolve) => {
      stream.whenClosed((_, code) => resolve({ stream, body: got, code }));
    });
    stream.endWith(body);
    return done;
  }

  it("with node:http2's server: large bodies, trailers, its limit of streams", async () => {
    const server = http2.createServer({ settings: { maxConcurrentStreams: 5 } });
    let most = 0;
    let now = 0;
    server.on("stream", (stream: http2.ServerHttp2Stream) => {
      most = Math.max(most, ++now);
      stream.on("close", () => now--);
      stream.respond({ ":status": 200, "x-a": "b" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.pipe(stream);
    });
    const connection = await connect(await listen(server));
    // Its SETTINGS are here when this is; what is opened before them may be refused.
    expect(await connection.ping()).toBeGreaterThan(0);
    const bodies = Array.from({ length: 40 }, (_, i) => PATTERN.subarray(0, i < 2 ? 2_000_000 : i * 10));
    const answers = await Promise.all(bodies.map((body) => call(connection, body)));
    expect(answers.map(({ body, code, stream }) => [stream.id, code, body?.length])).toEqual(
      bodies.map((body, i) => [2 * i + 1, undefined, body.length]),
    );
    expect(answers.map(({ body }) => body)).toEqual(bodies);
    expect(answers.every(({ stream }) => stream.trailers?.get("grpc-status") === "0")).toBe(true);
    expect(answers.every(({ stream, code }) => stream.headers.get("x-a") === "b" && code === undefined)).toBe(
      true,
    );
    expect(most).toBeLessThanOrEqual(5);
    await connection.drain();
    expect(connection.streamCount).toBe(0);
  });

  it("with our server, slowly reading", async () => {
    const { port } = await serveEngine();
    const connection = await connect(port);
    const stream = connection.request(headers);
    let bytes = 0;
    const done = new Promise<number | undefined>((resolve) => {
      stream.whenClosed((_, code) => resolve(code));
    });
    stream.read((_, chunk) => {
      bytes += chunk.length;
      stream.pause();
      setImmediate(() => stream.resume());
    });
    stream.endWith(PATTERN);
    expect(await done).toBeUndefined();
    expect(bytes).toBe(PATTERN.length);
  });

  it("with our server, large calls at once: those that wait for room do not keep the others from coming in", async () => {
    const { port } = await serveEngine(echo, { maxConnectionBufferedBytes: 10_000 });
    const connection = await connect(port);
    const bodies = Array.from({ length: 60 }, (_, i) => PATTERN.subarray(0, 200_000 + i));
    const answers = await Promise.all(bodies.map((body) => call(connection, body)));
    expect(answers.map(({ body, code }) => [body?.length, code])).toEqual(
      bodies.map(({ length }) => [length, undefined]),
    );
  });

  it("sees a server's resets and a lost connection", async () => {
    const server = http2.createServer();
    server.on("stream", (stream, head) => {
      stream.on("error", () => {});
      if (head["x-call"] === "1") {
        stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
      } else {
        stream.session?.destroy();
      }
    });
    const connection = await connect(await listen(server));
    const closed = new Promise((resolve) => {
      connection.onClose = resolve;
    });
    const refused = await call(connection, Buffer.from("x"));
    expect([refused.code, refused.stream.refused]).toEqual([ErrorCode.REFUSED_STREAM, true]);
    const lost = await call(connection, Buffer.from("xx"));
    expect(lost.code).toBeDefined();
    await closed;
    expect((await call(connection, Buffer.from("x"))).stream.refused).toBe(true);
  });
});

it("text of a stream over node's consumers", async () => {
  // What a peer that is only half open sends back after its end still arrives.
  const { port } = await serveEngine((stream) => stream.reply(RESPONSE, Buffer.from("early"), TRAILERS));
  const session = http2.connect(`http://127.0.0.1:${port}`);
  cleanups.push(() => session.destroy());
  const stream = session.request({ ":method": "POST", ":path": "/" }, { endStream: false });
  expect(await text(stream)).toBe("early");
});
