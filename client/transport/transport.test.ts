import { spawn } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import * as connectNode from "@connectrpc/connect-node";
import { describe, expect, onTestFinished, test } from "vitest";
import { ErrorCode, encodeHeaders, type Stream } from "../../http2/index.ts";
import { waitFor } from "../../tests/helpers/until.ts";
import { Echo, startGrpcJs, startRaw } from "./testing.ts";
import { createGrpcTransport } from "./transport.ts";

const client = (transport: Transport) => createClient(Echo, transport);

function ours(address: string, options: Partial<Parameters<typeof createGrpcTransport>[0]> = {}) {
  const transport = createGrpcTransport({ baseUrl: `http://${address}`, ...options });
  onTestFinished(() => transport.close());
  return transport;
}

/** An interceptor that does nothing. */
const intercepted = (address: string) => ours(address, { interceptors: [(next) => next] });

/** The reference for the other transports. */
function connectNodes(address: string): Transport {
  const baseUrl = `http://${address}`;
  const sessionManager = new connectNode.Http2SessionManager(baseUrl);
  onTestFinished(() => sessionManager.abort());
  return connectNode.createGrpcTransport({ baseUrl, sessionManager });
}

const PATTERN = Buffer.from(Array.from({ length: 3_000_000 }, (_, i) => (i * 7 + (i >> 8)) & 0xff));

const failure = (call: Promise<unknown>) =>
  call.then(
    () => {
      throw new Error("the call went well");
    },
    (error: unknown) => ConnectError.from(error),
  );

describe.each([
  ["straight to the engine", ours],
  ["through interceptors", intercepted],
  ["connect-node", connectNodes],
])("%s, to grpc-js", (name, connect) => {
  test.each([0, 1, 100, 16_384, 70_000, 3_000_000])("a message of %i bytes there and back", async (bytes) => {
    const server = await startGrpcJs();
    const data = PATTERN.subarray(0, bytes);
    const answer = await client(connect(server.address)).unary({ data, count: 7 });
    expect(answer).toMatchObject({ $typeName: "t.Ping", count: 7 });
    expect(Buffer.from(answer.data).equals(data)).toBe(true);
  });

  test("headers and trailers, both ways", async () => {
    const server = await startGrpcJs();
    const seen: Headers[] = [];
    await client(connect(server.address)).unary(
      { data: PATTERN.subarray(0, 5) },
      {
        headers: { "X-Asked": "yes", "x-asked-bin": "AAH/" },
        onHeader: (header) => seen.push(header),
        onTrailer: (trailer) => seen.push(trailer),
      },
    );
    expect(server.metadata.get("x-asked")).toEqual(["yes"]);
    expect(server.metadata.get("x-asked-bin")).toEqual([Buffer.from([0, 1, 255])]);
    expect(server.metadata.get("user-agent")[0]).toMatch(
      name === "connect-node" ? /^connect-es/ : /^(prism|connect-es)/,
    );
    expect(seen.map((headers) => [headers.get("x-answer"), headers.get("x-trailer-bin")])).toEqual([
      ["42", null],
      [null, "AAH/"],
    ]);
  });

  test("an error, with its code, message and metadata", async () => {
    const server = await startGrpcJs();
    const calls = client(connect(server.address));
    const error = await failure(calls.unary({ code: Code.AlreadyExists }));
    expect([error.code, error.rawMessage, error.metadata.get("why")]).toEqual([
      Code.AlreadyExists,
      "no, thank you: ü",
      "because",
    ]);
    const stream = calls.server({ count: 3, code: Code.DataLoss });
    const counts: number[] = [];
    const late = await failure(
      (async () => {
        for await (const { count } of stream) {
          counts.push(count);
        }
      })(),
    );
    expect([counts, late.code, late.rawMessage]).toEqual([[0, 1, 2], Code.DataLoss, "no, thank you: ü"]);
  });

  test("a stream of answers, whole and in order", async () => {
    const server = await startGrpcJs();
    let next = 0;
    for await (const { count, data } of client(connect(server.address)).server({
      count: 3000,
      data: PATTERN.subarray(0, 1000),
    })) {
      expect(count).toBe(next++);
      expect(data.length).toBe(1000);
    }
    expect(next).toBe(3000);
  });

  test("large messages in a stream", async () => {
    const server = await startGrpcJs();
    const answers = client(connect(server.address)).server({ count: 3, data: PATTERN });
    for await (const { data } of answers) {
      expect(Buffer.from(data).equals(PATTERN)).toBe(true);
    }
  });

  test("streams of requests", async () => {
    const server = await startGrpcJs();
    const calls = client(connect(server.address));
    const pings = async function* () {
      for (let count = 0; count < 100; count++) {
        yield { count, data: PATTERN.subarray(0, 10_000) };
      }
    };
    expect(await calls.client(pings())).toMatchObject({ count: 100 });
    const counts: number[] = [];
    for await (const { count } of calls.bidi(pings())) {
      counts.push(count);
    }
    expect(counts).toEqual(Array.from({ length: 100 }, (_, i) => i));
  });

  test("a slow reader slows the server down", async () => {
    const server = await startGrpcJs();
    const answers = client(connect(server.address)).server({ count: -1, data: PATTERN.subarray(0, 10_000) });
    const leave = answers[Symbol.asyncIterator]();
    await leave.next();
    let before = -1;
    await waitFor(() => {
      const { written } = server;
      const stopped = written === before;
      before = written;
      expect(stopped).toBe(true);
    }, 50);
    // Windows and buffers of both sides, and not more.
    expect(server.written * 10_000).toBeLessThan(16 * 1024 * 1024);
    for (let i = 0; i < 5000; i++) {
      await leave.next();
    }
    expect(server.written).toBeGreaterThan(5000);
    await leave.return?.();
  });

  test.each(["unary", "server"] as const)("a deadline ends a %s call, on both sides", async (kind) => {
    const server = await startGrpcJs();
    const calls = client(connect(server.address));
    const options = { timeoutMs: 300 };
    const call = () =>
      kind === "unary"
        ? calls.unary({ count: -1 }, options)
        : Array.fromAsync(calls.server({ count: -1 }, options));
    // On a busy machine the deadline of one may be over before it comes to the server.
    while (server.runs === 0) {
      expect((await failure(call())).code).toBe(Code.DeadlineExceeded);
    }
    await waitFor(() => expect(server.canceled).toBe(server.runs));
  });

  test.each(["unary", "server", "bidi"] as const)("a signal ends a %s call, on both sides", async (kind) => {
    const server = await startGrpcJs();
    const calls = client(connect(server.address));
    const leave = new AbortController();
    const { signal } = leave;
    const silence = async function* () {
      await once(signal, "abort");
      yield {};
    };
    const call =
      kind === "unary"
        ? calls.unary({ count: -1 }, { signal })
        : Array.fromAsync(
            kind === "server" ? calls.server({ count: -1 }, { signal }) : calls.bidi(silence(), { signal }),
          );
    await waitFor(() => expect(server.runs).toBe(1));
    leave.abort();
    expect((await failure(call)).code).toBe(Code.Canceled);
    await waitFor(() => expect(server.canceled).toBe(1));
  });

  test("a signal that is aborted already: nothing is sent", async () => {
    const server = await startGrpcJs();
    const signal = AbortSignal.abort();
    const calls = client(connect(server.address));
    expect((await failure(calls.unary({}, { signal }))).code).toBe(Code.Canceled);
    expect((await failure(Array.fromAsync(calls.server({}, { signal })))).code).toBe(Code.Canceled);
    await calls.unary({});
    expect(server.runs).toBe(1);
  });

  test("an unknown method", async () => {
    const { address } = await startRaw((stream) =>
      stream.respond(encodeHeaders([":status", "404", "content-type", "text/plain"]), true),
    );
    const calls = client(connect(address));
    expect((await failure(calls.unary({}))).code).toBe(Code.Unimplemented);
    expect((await failure(Array.fromAsync(calls.server({})))).code).toBe(Code.Unimplemented);
  });

  test("nobody there, and then somebody", async () => {
    const { address, stop } = await startRaw(() => {});
    stop();
    const calls = client(connect(address));
    expect((await failure(calls.unary({}))).code).toBe(Code.Unavailable);
    expect((await failure(Array.fromAsync(calls.server({})))).code).toBe(Code.Unavailable);
    await startGrpcJs(Number(address.split(":")[1]));
    expect(await calls.unary({ count: 1 })).toMatchObject({ count: 1 });
  });
});

describe.each([
  ["straight to the engine", ours],
  ["through interceptors", intercepted],
])("%s", (_name, connect) => {
  test("more calls at once than the server lets a connection have", async () => {
    const server = await startGrpcJs(0, { "grpc.max_concurrent_streams": 10 });
    const calls = client(connect(server.address));
    const answers = await Promise.all(Array.from({ length: 500 }, (_, count) => calls.unary({ count })));
    expect(answers.map(({ count }) => count)).toEqual(Array.from({ length: 500 }, (_, i) => i));
  });

  test("they wait in line, for as long as their deadlines let them", async () => {
    let runs = 0;
    const { address } = await startRaw(
      (stream) => {
        if (++runs > 8) {
          stream.collect(1000, () => stream.reply(encodeHeaders(GRPC), message(), OK));
        }
      },
      0,
      { maxConcurrentStreams: 1 },
    );
    const calls = client(connect(address));
    const leave = new AbortController();
    const { signal } = leave;
    // One call on each possible connection.
    const holding = Array.from({ length: 8 }, () => failure(calls.unary({}, { signal })));
    await waitFor(() => expect(runs).toBe(8));
    expect((await failure(calls.unary({}, { timeoutMs: 50 }))).code).toBe(Code.DeadlineExceeded);
    const answers = Promise.all([calls.unary({}), calls.unary({})]);
    await nextTurn();
    leave.abort();
    expect(await answers).toHaveLength(2);
    await Promise.all(holding);
    expect(runs).toBe(10);
  });

  test("a deadline further away than a timer can be", async () => {
    const { address } = await startRaw((stream) =>
      stream.collect(1000, () => stream.reply(encodeHeaders(GRPC), message(), OK)),
    );
    expect(await client(connect(address)).unary({}, { timeoutMs: 2 ** 31 })).toBeDefined();
  });

  test("fields of the protocol are not the caller's to set", async () => {
    const server = await startGrpcJs();
    await client(connect(server.address)).unary(
      {},
      { headers: { "user-agent": "mine", te: "gzip", "content-type": "a/b", "x-a": "b", "keep-alive": "1" } },
    );
    expect(server.metadata.getMap()).toMatchObject({
      "user-agent": expect.stringMatching(/^prism/),
      "x-a": "b",
    });
    expect(server.metadata.get("keep-alive")).toEqual([]);
  });
});

const GRPC = [":status", "200", "content-type", "application/grpc+proto"];
const OK = encodeHeaders(["grpc-status", "0"]);
const message = (...bytes: number[]) => Buffer.from([0, 0, 0, 0, bytes.length, ...bytes]);

/** Responses that a good server does not send, and the expected errors. */
const BROKEN: readonly [string, (stream: Stream) => void, Code, string][] = [
  [
    "another content type",
    (s) => s.reply(encodeHeaders([":status", "200", "content-type", "text/html"]), message(), OK),
    Code.Unknown,
    "unsupported content type text/html",
  ],
  ["HTTP 503", (s) => s.respond(encodeHeaders([":status", "503"]), true), Code.Unavailable, "HTTP 503"],
  ["HTTP 401", (s) => s.respond(encodeHeaders([":status", "401"]), true), Code.Unauthenticated, "HTTP 401"],
  [
    "a status in the headers only",
    (s) => s.respond(encodeHeaders([...GRPC, "grpc-status", "5", "grpc-message", "not%20here"]), true),
    Code.NotFound,
    "not here",
  ],
  [
    "no status",
    (s) => s.reply(encodeHeaders(GRPC), message(), undefined),
    Code.Internal,
    "protocol error: missing status",
  ],
  [
    "a status that is none",
    (s) => s.reply(encodeHeaders(GRPC), message(), encodeHeaders(["grpc-status", "x"])),
    Code.Internal,
    "invalid grpc-status: x",
  ],
  ["no message", (s) => s.reply(encodeHeaders(GRPC), Buffer.alloc(0), OK), Code.Unimplemented, ""],
  [
    "two messages",
    (s) => s.reply(encodeHeaders(GRPC), Buffer.concat([message(), message()]), OK),
    Code.Unimplemented,
    "",
  ],
  [
    "half a message",
    (s) => s.reply(encodeHeaders(GRPC), message(10, 1).subarray(0, 6), OK),
    Code.Internal,
    "protocol error: incomplete envelope",
  ],
  [
    "half of a message's prefix",
    (s) => s.reply(encodeHeaders(GRPC), message(10, 1).subarray(0, 3), OK),
    Code.Internal,
    "protocol error: incomplete envelope",
  ],
  [
    "half of a second message's prefix",
    (s) => s.reply(encodeHeaders(GRPC), Buffer.concat([message(), Buffer.alloc(3)]), OK),
    Code.Internal,
    "protocol error: incomplete envelope",
  ],
  [
    "a status in the headers, and a message",
    (s) => s.reply(encodeHeaders([...GRPC, "grpc-status", "9"]), message(), undefined),
    Code.Internal,
    "protocol error: missing status",
  ],
  [
    "a status in the headers, another one in the trailers",
    (s) =>
      s.reply(
        encodeHeaders([...GRPC, "grpc-status", "8", "grpc-message", "no"]),
        Buffer.alloc(0),
        encodeHeaders(["grpc-status", "9", "grpc-message", "yes"]),
      ),
    Code.FailedPrecondition,
    "yes",
  ],
  [
    "a status in the headers that is well, and trailers that are not",
    (s) =>
      s.reply(encodeHeaders([...GRPC, "grpc-status", "0"]), message(), encodeHeaders(["grpc-status", "9"])),
    Code.FailedPrecondition,
    "",
  ],
  ["a message that is none", (s) => s.reply(encodeHeaders(GRPC), message(0xff), OK), Code.Internal, ""],
  [
    "a compressed message",
    (s) => s.reply(encodeHeaders(GRPC), Buffer.from([1, 0, 0, 0, 0]), OK),
    Code.Internal,
    "",
  ],
  [
    "a message too large",
    (s) => s.reply(encodeHeaders(GRPC), Buffer.from([0, 0xff, 0xff, 0xff, 0xff, 0]), OK),
    Code.ResourceExhausted,
    "message size 4294967295 is larger than configured readMaxBytes 1000",
  ],
  ["a reset", (s) => s.reset(0x2), Code.Internal, ""],
  ["a reset as from a client", (s) => s.reset(0x8), Code.Canceled, ""],
  ["a reset to calm down", (s) => s.reset(0xb), Code.ResourceExhausted, ""],
];

describe.each([
  ["straight to the engine", {}],
  ["through interceptors", { interceptors: [(next: (request: never) => never) => next] }],
] as const)("%s, a broken response", (_name, options) => {
  test.each(
    BROKEN.flatMap(([name, ...rest]) =>
      (["unary", "client"] as const).map((kind) => [name, kind, ...rest] as const),
    ),
  )("%s, %s", async (_case, kind, respond, code, text) => {
    const { address } = await startRaw((stream) => stream.collect(1000, () => respond(stream)));
    const calls = client(ours(address, { readMaxBytes: 1000, ...(options as object) }));
    const requests = async function* () {
      yield {};
    };
    const error = await failure(kind === "unary" ? calls.unary({}) : calls.client(requests()));
    expect([Code[error.code], error.rawMessage]).toEqual([
      Code[code],
      text === "" ? expect.any(String) : text,
    ]);
  });

  test("a stream with another content type, that goes on", async () => {
    const { address, connections } = await startRaw((stream) => {
      stream.respond(encodeHeaders([":status", "200", "content-type", "text/html"]));
    });
    const calls = client(ours(address, options as object));
    expect((await failure(Array.fromAsync(calls.server({})))).code).toBe(Code.Unknown);
    await waitFor(() => expect(connections.map(({ streamCount }) => streamCount)).toEqual([0]));
  });

  test("a body that goes on for ever", async () => {
    const { address, connections } = await startRaw((stream) => {
      stream.respond(encodeHeaders(GRPC));
      const fill = () => {
        while (stream.write(Buffer.alloc(10_000))) {}
      };
      stream.whenDrained(fill);
      fill();
    });
    const calls = client(ours(address, { readMaxBytes: 1_000_000, ...(options as object) }));
    // More than a message can have, or (in Connect's reading) more than one message.
    expect([Code.ResourceExhausted, Code.Unimplemented]).toContain((await failure(calls.unary({}))).code);
    await waitFor(() => expect(connections.map(({ streamCount }) => streamCount)).toEqual([0]));
  });

  test("a connection that breaks off: the call is not made again, the next one is on a new connection", async () => {
    let seen = 0;
    const { address, connections } = await startRaw((stream) => {
      seen++;
      if (seen === 1) {
        connections[0]?.socket.destroy();
      } else {
        stream.collect(1000, () => stream.reply(encodeHeaders(GRPC), message(), OK));
      }
    });
    const calls = client(ours(address, options as object));
    expect((await failure(calls.unary({}))).code).toBe(Code.Unavailable);
    await calls.unary({});
    expect([seen, connections.length]).toEqual([2, 2]);
  });

  test("GOAWAY: what was not taken is made again on another connection", async () => {
    const { address, connections } = await startRaw((stream) =>
      stream.collect(1000, () => stream.reply(encodeHeaders(GRPC), message(), OK)),
    );
    const calls = client(ours(address, options as object));
    for (let i = 0; i < 30; i++) {
      await calls.unary({});
      const drained = connections.at(-1)?.drain();
      for (let turn = 0; turn < i % 6; turn++) {
        await nextTurn();
      }
      await Promise.all([calls.unary({}), calls.unary({}), Array.fromAsync(calls.server({}))]);
      await drained;
    }
    expect(connections.length).toBeGreaterThan(15);
  });
});

test.each([
  ["after the deadline: it has passed", 80, Code.DeadlineExceeded],
  ["before it: the server gave up", 0, Code.Canceled],
])("a server cancels %s", async (_when, afterMs, code) => {
  const { address } = await startRaw((stream) =>
    stream.collect(1000, () => setTimeout(() => stream.reset(ErrorCode.CANCEL), afterMs)),
  );
  const transport = ours(address);
  // The first call waits for the connection. Nobody watches the second one's deadline, as if its
  // timer were late.
  await failure(transport.unary(Echo.method.unary, undefined, undefined, undefined, {}));
  const signal = {
    keepsDeadline: true,
    aborted: false,
    reason: undefined,
    addEventListener: () => {},
    removeEventListener: () => {},
  };
  const timeoutMs = afterMs > 0 ? 50 : 60_000;
  const error = await failure(transport.unary(Echo.method.unary, signal, timeoutMs, undefined, {}));
  expect(Code[error.code]).toBe(Code[code]);
});

test("a server that accepts and hangs up is not asked without pause", async () => {
  const { address, connections } = await startRaw(() => {});
  const calls = client(ours(address));
  const watch = setInterval(() => {
    for (const { socket } of connections) {
      socket.destroy();
    }
  }, 1);
  onTestFinished(() => clearInterval(watch));
  const until = performance.now() + 1000;
  while (performance.now() < until) {
    await failure(calls.unary({}));
  }
  expect(connections.length).toBeLessThan(60);
});

test("close: calls under way end well, later ones are refused, connections go", async () => {
  const server = await startGrpcJs();
  const transport = ours(server.address);
  const calls = client(transport);
  const answers = calls.server({ count: 2000, data: PATTERN.subarray(0, 1000) })[Symbol.asyncIterator]();
  await answers.next();
  transport.close();
  let count = 1;
  while ((await answers.next()).done !== true) {
    count++;
  }
  expect(count).toBe(2000);
  expect((await failure(calls.unary({}))).code).toBe(Code.Canceled);
});

test("more calls than anybody would bound", async () => {
  const { address } = await startRaw((stream) =>
    stream.collect(1000, () => stream.reply(encodeHeaders(GRPC), message(), OK)),
  );
  const calls = client(ours(address));
  const answers = await Promise.all(Array.from({ length: 25_000 }, () => calls.unary({})));
  expect(answers).toHaveLength(25_000);
});

test.each([
  [
    "its calls have, whatever connections it holds",
    async () => (await startGrpcJs()).address,
    Code.Unimplemented,
    20_000,
  ],
  ["its calls have, though a connection is being made", startSilent, Code.DeadlineExceeded, 300],
])(
  "a process ends when %s",
  async (_name, start, code, timeoutMs) => {
    const script = `
    const { createClient } = await import("@connectrpc/connect");
    const { createGrpcTransport } = await import("${new URL("./transport.ts", import.meta.url)}");
    const { Health } = await import("${new URL("../../gen/grpc/health/v1/health_pb.ts", import.meta.url)}");
    const client = createClient(Health, createGrpcTransport({ baseUrl: "http://${await start()}" }));
    await client.check({}, { timeoutMs: ${timeoutMs} }).catch((error) => console.log(error.code));`;
    const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    onTestFinished(() => void child.kill());
    let said = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
    expect(await once(child, "close")).toEqual([0, null]);
    expect(said).toBe(`${code}\n`);
  },
  30_000,
);

/** A server that accepts connections and stays silent. */
async function startSilent(): Promise<string> {
  const server = net.createServer(() => {});
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const address = server.address();
  return `127.0.0.1:${typeof address === "object" ? address?.port : address}`;
}
