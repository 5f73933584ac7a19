import { once } from "node:events";
import http2 from "node:http2";
import net, { type AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { afterEach, describe, expect, it } from "vitest";
import { type CompatRequest, type CompatResponse, createCompat, createServerConnection } from "./index.ts";

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) {
    cleanup();
  }
});

type Handler = (request: CompatRequest, response: CompatResponse) => void;

/** A server whose handler gets requests and responses, and node:http2's client to it. */
async function connect(handler: Handler): Promise<http2.ClientHttp2Session> {
  const server = net.createServer((socket) => {
    createServerConnection(socket, {}, (stream) => {
      const { request, response } = createCompat(stream);
      handler(request, response);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const session = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  session.on("error", () => {});
  cleanups.push(
    () => session.destroy(),
    () => server.close(),
  );
  return session;
}

async function call(session: http2.ClientHttp2Session, headers: http2.OutgoingHttpHeaders, body?: Buffer) {
  const stream = session.request(headers, { endStream: body === undefined });
  if (body !== undefined) {
    stream.end(body);
  }
  let trailers: http2.IncomingHttpHeaders = {};
  stream.on("trailers", (received) => {
    trailers = received;
  });
  const [answered] = (await once(stream, "response")) as [http2.IncomingHttpHeaders];
  return { headers: answered, trailers: () => trailers, body: await buffer(stream) };
}

const LARGE = Buffer.from(Array.from({ length: 3_000_000 }, (_, i) => (i * 7 + (i >> 8)) & 0xff));

describe("a request", () => {
  it("has method, URL and headers as node:http2's has", async () => {
    const seen: CompatRequest[] = [];
    const session = await connect((request, response) => {
      seen.push(request);
      response.end();
    });
    await call(session, { ":path": "/a?b=c", "x-a": ["1", "2"], cookie: ["a=b", "c=d"] });
    const [request] = seen;
    expect(request).toMatchObject({
      method: "GET",
      url: "/a?b=c",
      httpVersionMajor: 2,
      headers: { ":path": "/a?b=c", "x-a": "1, 2", cookie: "a=b; c=d" },
    });
    expect(request?.authority).toBe(request?.headers[":authority"]);
    expect(request?.socket.constructor.name).toBe("Socket");
  });

  it("without a body ends at once", async () => {
    const session = await connect(async (request, response) => {
      response.end(String((await buffer(request)).length));
    });
    expect((await call(session, {})).body.toString()).toBe("0");
  });

  it("tells of a reset: aborted, then closed, with the code", async () => {
    let told: (value: unknown) => void = () => {};
    const events: string[] = [];
    const over = new Promise((resolve) => {
      told = resolve;
    });
    const session = await connect((request, response) => {
      for (const name of ["aborted", "end", "close"]) {
        request.on(name, () => events.push(name));
      }
      request.on("data", () => {});
      response.on("close", () => told([request.aborted, request.complete, request.stream.rstCode]));
      response.writeHead(200);
    });
    const leave = new AbortController();
    const stream = session.request({ ":method": "POST" }, { signal: leave.signal });
    stream.on("error", () => {});
    stream.write("half");
    await once(stream, "response");
    leave.abort();
    expect(await over).toEqual([true, false, http2.constants.NGHTTP2_CANCEL]);
    expect(events).toEqual(["aborted", "close"]);
  });

  it("tells of a lost connection as of a canceled call", async () => {
    const closed = Promise.withResolvers<number>();
    const session = await connect((request, response) => {
      request.on("close", () => closed.resolve(request.stream.rstCode));
      response.writeHead(200);
    });
    const stream = session.request({ ":method": "POST" });
    stream.on("error", () => {});
    await once(stream, "response");
    session.destroy();
    expect(await closed.promise).toBe(http2.constants.NGHTTP2_CANCEL);
  });
});

describe("a response", () => {
  it("has headers and trailers, without those of a connection, and a date", async () => {
    const session = await connect((_, response) => {
      response.setHeader("X-A", "1");
      response.setHeader("x-b", 2);
      response.removeHeader("X-B");
      response.setHeader("set-cookie", ["a=b", "c=d"]);
      response.setHeader("connection", "close");
      response.addTrailers({ "grpc-status": "0" });
      response.writeHead(201, { "x-c": ["3", "4"] });
      response.end("body");
    });
    const { headers, body, trailers } = await call(session, {});
    expect(headers).toMatchObject({
      ":status": 201,
      "x-a": "1",
      "set-cookie": ["a=b", "c=d"],
      "x-c": "3, 4",
    });
    expect(headers).not.toHaveProperty("x-b");
    expect(headers).not.toHaveProperty("connection");
    expect(Date.parse(String(headers.date))).toBeGreaterThan(0);
    expect([body.toString(), trailers()["grpc-status"]]).toEqual(["body", "0"]);
  });

  it("without a body is one frame", async () => {
    const session = await connect((_, response) => {
      response.statusCode = 404;
      response.end(null);
    });
    const stream = session.request({});
    const [headers, flags] = await once(stream, "response");
    expect(headers[":status"]).toBe(404);
    expect(flags & http2.constants.NGHTTP2_FLAG_END_STREAM).toBe(http2.constants.NGHTTP2_FLAG_END_STREAM);
  });

  it.each([
    ["HEAD", 200],
    ["GET", 204],
    ["GET", 304],
  ])("to %s with status %i sends no body", async (method, status) => {
    const session = await connect((_, response) => {
      response.writeHead(status);
      response.end("body");
    });
    const { headers, body } = await call(session, { ":method": method });
    expect([headers[":status"], body.length]).toEqual([status, 0]);
  });

  it("finishes and closes, each once", async () => {
    const events: string[] = [];
    const closed = Promise.withResolvers<void>();
    const session = await connect((_, response) => {
      response.on("finish", () => events.push("finish"));
      response.on("close", () => {
        events.push("close");
        closed.resolve();
      });
      response.end("body");
    });
    expect((await call(session, {})).body.toString()).toBe("body");
    await closed.promise;
    expect(events).toEqual(["finish", "close"]);
  });

  it.each([
    ["", undefined, http2.constants.NGHTTP2_CANCEL],
    [" with an error", new Error("broken"), http2.constants.NGHTTP2_INTERNAL_ERROR],
  ])("that is destroyed%s resets its stream", async (_, error, code) => {
    const session = await connect((_, response) => {
      response.on("error", () => {});
      response.write("half", () => response.destroy(error));
    });
    const stream = session.request({});
    stream.on("error", () => {});
    await new Promise<void>((resolve) => stream.once("close", resolve));
    expect(stream.rstCode).toBe(code);
  });

  it("does not leave who waits for room waiting when its stream is reset", async () => {
    const told = Promise.withResolvers<void>();
    const session = await connect((_, response) => {
      response.on("error", () => {});
      response.write(LARGE, () => told.resolve());
    });
    const stream = session.request({});
    stream.on("error", () => {});
    await once(stream, "response");
    stream.close(http2.constants.NGHTTP2_CANCEL);
    await told.promise;
  });

  it("has its headers once", async () => {
    const session = await connect((_, response) => {
      response.writeHead(200);
      expect(() => response.writeHead(201)).toThrow("headers were sent");
      response.end();
    });
    expect((await call(session, {})).headers[":status"]).toBe(200);
  });

  it("refuses what must not be on the wire", async () => {
    const session = await connect((_, response) => {
      expect(() => response.writeHead(200, { "x-a": "a\r\nb: c" })).toThrow(TypeError);
      expect(() => response.setHeader("x a", "b")).toThrow(TypeError);
      expect(() => response.addTrailers({ "x-a": "\0" })).toThrow(TypeError);
      response.end("well");
    });
    expect((await call(session, {})).body.toString()).toBe("well");
  });

  it("waits for a slow reader, and carries large bodies both ways", async () => {
    const session = await connect((request, response) => {
      response.writeHead(200);
      void pipeline(request, response);
    });
    const { body } = await call(session, { ":method": "POST" }, LARGE);
    expect(body.equals(LARGE)).toBe(true);

    const rooms: boolean[] = [];
    const slow = await connect((_, response) => {
      for (let i = 0; i < 4; i++) {
        rooms.push(response.write(LARGE.subarray(0, 100_000)));
      }
      response.end();
    });
    const { body: received } = await call(slow, {});
    expect(received.length).toBe(400_000);
    expect(rooms.at(-1)).toBe(false);
  });
});
