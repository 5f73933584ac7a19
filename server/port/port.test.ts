/** Effects of a port that show only outside its process, or when its peers do nothing. */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import net from "node:net";
import tls from "node:tls";
import { expect, test } from "vitest";
import { UnsentBudget } from "../../http2/index.ts";
import { CERT, KEY } from "../../tests/helpers/certificate.ts";
import { spawnServer } from "../../tests/helpers/process.ts";
import type { PortOptions } from "./options.ts";
import { createPort } from "./port.ts";

/** The number of connections that the kernel lets wait, whatever is asked for. */
function kernelBacklog(): number {
  return Number(readFileSync("/proc/sys/net/core/somaxconn", "utf8"));
}

/** More than Node asks for by default. */
const BURST = 1000;

test.skipIf(process.platform !== "linux" || kernelBacklog() < BURST)(
  "a burst of connections waits for a server that is busy",
  async () => {
    await using server = await spawnServer(["--memory"]);
    const [host, port] = server.address.split(":");
    server.child.kill("SIGSTOP");
    const sockets = Array.from({ length: BURST }, () => net.connect(Number(port), host));
    try {
      await Promise.all(sockets.map((socket) => once(socket, "connect")));
    } finally {
      for (const socket of sockets) {
        socket.destroy();
      }
      server.child.kill("SIGCONT");
    }
  },
  60_000,
);

const OPTIONS: Omit<PortOptions, "unsent" | "onConnectionError"> = {
  tls: undefined,
  maxConnections: 10,
  maxConnectionsPerPeer: 0,
  backlog: 10,
  maxConcurrentStreams: 10,
  maxHeaderBytes: 16_384,
  maxMessageBytes: 1024,
  streamWindowBytes: 65_536,
  connectionWindowBytes: 65_536,
  headerTimeoutMs: 60_000,
  requestTimeoutMs: 60_000,
  idleTimeoutMs: 60_000,
  pingTimeoutMs: 60_000,
  stallTimeoutMs: 100,
  onDefect: () => {},
};

function connectTo({ port }: net.AddressInfo, certificate: PortOptions["tls"]): net.Socket {
  const to = { host: "127.0.0.1", port };
  return certificate === undefined ? net.connect(to) : tls.connect({ ...to, ca: CERT });
}

/**
 * A peer that asks for an answer of 64 MiB and reads none of it, until the port reports the
 * failure.
 */
async function withLargeAnswer(
  options: Partial<PortOptions>,
  use: (socket: net.Socket, failed: Promise<string | undefined>, url: string) => Promise<void>,
): Promise<void> {
  const failed = Promise.withResolvers<string | undefined>();
  const port = createPort(
    ({ url }, response) => {
      if (url === "/large") {
        response.end(Buffer.alloc(LARGE_BYTES));
      } else {
        // When the other connection is given up, this one has been silent for longer.
        void failed.promise.then(() => response.end("late"));
      }
    },
    { accept: () => {}, drain: () => {} },
    {
      ...OPTIONS,
      ...options,
      unsent: new UnsentBudget(2 * LARGE_BYTES),
      onConnectionError: ({ code }) => failed.resolve(code),
    },
  );
  const address = await port.listen("127.0.0.1", 0);
  const socket = connectTo(address, options.tls);
  socket.on("error", () => {});
  await once(socket, options.tls === undefined ? "connect" : "secureConnect");
  socket.pause();
  socket.write("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
  await use(socket, failed.promise, `http://127.0.0.1:${address.port}`);
  socket.destroy();
  port.destroy();
  await port.drain();
}

const LARGE_BYTES = 64 * 1024 * 1024;
/** Of what the socket holds by then. */
const SLOW_READ_BYTES = 256 * 1024;
const TLS = { cert: CERT, key: KEY, clientCa: undefined };

test("HTTP/1.1: a peer that does not read is cut off after a while, but not one whose answer is still being made", async () => {
  await withLargeAnswer({}, async (_, failed, url) => {
    const quiet = fetch(url);
    expect(await failed).toBe("ETIMEDOUT");
    expect(await (await quiet).text()).toBe("late");
  });
});

test.each([
  { name: "pieces of a header", first: "GET / HTTP/1.1\r\nX: ", next: "a" },
  { name: "pieces of a header over TLS", first: "GET / HTTP/1.1\r\nX: ", next: "a", tls: TLS },
  { name: "requests", first: "", next: "GET / HTTP/1.1\r\nHost: a\r\n\r\n" },
  { name: "pieces of a body", first: "POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n", next: "a" },
])("HTTP/1.1: a peer that does not read is cut off though it sends $name", async ({ first, next, tls }) => {
  await withLargeAnswer({ tls }, async (socket, failed) => {
    socket.write(first);
    const sending = setInterval(() => socket.write(next), 10);
    expect(await failed).toBe("ETIMEDOUT");
    clearInterval(sending);
  });
});

test.each([
  { name: "plaintext", tls: undefined },
  { name: "TLS", tls: TLS },
])(
  "HTTP/1.1, $name: a peer that reads slowly gets all of its answer",
  async ({ tls }) => {
    // A busy machine may keep the reader from reading for some seconds.
    const stallTimeoutMs = 4000;
    await withLargeAnswer({ stallTimeoutMs, tls }, async (socket, failed) => {
      const begun = performance.now();
      const all = Promise.withResolvers<undefined>();
      let bytes = 0;
      const reading = setInterval(() => {
        bytes += socket.read(SLOW_READ_BYTES)?.length ?? 0;
        if (bytes >= LARGE_BYTES - SLOW_READ_BYTES) {
          all.resolve(undefined);
        }
      }, 20);
      expect(await Promise.race([failed, all.promise])).toBe(undefined);
      clearInterval(reading);
      expect(performance.now() - begun).toBeGreaterThan(stallTimeoutMs);
    });
  },
  60_000,
);

test("HTTP/1.1, TLS: a request of several records is taken while the answer before it is on its way", async () => {
  const port = createPort(
    (request, response) => {
      let bytes = 0;
      request.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
      });
      request.on("end", () => {
        response.end(bytes === 0 ? Buffer.alloc(LARGE_BYTES / 4) : `${bytes};`);
      });
    },
    { accept: () => {}, drain: () => {} },
    {
      ...OPTIONS,
      tls: TLS,
      stallTimeoutMs: 60_000,
      unsent: new UnsentBudget(LARGE_BYTES),
      onConnectionError: () => {},
    },
  );
  const address = await port.listen("127.0.0.1", 0);
  const socket = connectTo(address, TLS);
  await once(socket, "secureConnect");
  const closed = once(socket, "close");
  const received = once(port.server, "request");
  socket.pause();
  socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  await received;
  // One write, which TLS makes several records of: the headers and the body do not come in one.
  const bodyBytes = 60_000;
  const second = once(port.server, "request");
  socket.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${bodyBytes}\r\n\r\n${"a".repeat(bodyBytes)}`);
  await second;
  const answered = Promise.withResolvers<string>();
  socket.on("data", (chunk: Buffer) => {
    if (chunk.includes(`${bodyBytes};`)) {
      answered.resolve("answered");
    }
  });
  socket.resume();
  expect(await Promise.race([answered.promise, closed.then(() => "closed")])).toBe("answered");
  socket.destroy();
  port.destroy();
  await port.drain();
});

test.each([
  { name: "plaintext", tls: undefined },
  { name: "TLS", tls: TLS },
])(
  "HTTP/1.1, $name: pipelined requests are run one after the other, in order, and in the end all of them",
  async (to) => {
    let running = 0;
    let most = 0;
    const port = createPort(
      ({ url }, response) => {
        most = Math.max(most, ++running);
        setImmediate(() => {
          running--;
          response.end(`${url};`);
        });
      },
      { accept: () => {}, drain: () => {} },
      {
        ...OPTIONS,
        tls: to.tls,
        stallTimeoutMs: 60_000,
        unsent: new UnsentBudget(128 * 1024 * 1024),
        onConnectionError: () => {},
      },
    );
    const address = await port.listen("127.0.0.1", 0);
    const socket = connectTo(address, to.tls);
    // More than one read of the socket brings.
    const count = 2000;
    const last = `/${count - 1};`;
    let answers = "";
    const done = Promise.withResolvers<void>();
    socket.setEncoding("latin1").on("data", (text: string) => {
      answers += text;
      if (answers.endsWith(last)) {
        done.resolve();
      }
    });
    socket.once("close", () => done.reject(new Error("closed")));
    socket.write(Array.from({ length: count }, (_, i) => `GET /${i} HTTP/1.1\r\nHost: a\r\n\r\n`).join(""));
    await done.promise;
    expect(most).toBe(1);
    expect(answers.match(/\/\d+;/g)).toEqual(Array.from({ length: count }, (_, i) => `/${i};`));
    socket.destroy();
    port.destroy();
    await port.drain();
  },
  60_000,
);

test("HTTP/1.1: requests that wait when their connection closes are ended without a stack, which would take a second for thousands", async () => {
  const port = createPort(
    () => {},
    { accept: () => {}, drain: () => {} },
    { ...OPTIONS, unsent: new UnsentBudget(LARGE_BYTES), onConnectionError: () => {} },
  );
  const count = 100;
  const stacks: (string | undefined)[] = [];
  const all = Promise.withResolvers<void>();
  let received = 0;
  port.server.on("request", (request) => {
    request.on("error", ({ stack }) => {
      if (stacks.push(stack) === count) {
        all.resolve();
      }
    });
    if (++received === count) {
      port.destroy();
    }
  });
  const address = await port.listen("127.0.0.1", 0);
  const socket = net.connect(address.port, "127.0.0.1");
  socket.on("error", () => {});
  socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(count));
  await all.promise;
  expect(stacks).toEqual(Array.from({ length: count }, () => "Error: aborted"));
  // All other errors keep their stacks.
  expect(new Error("later").stack).toContain("\n    at ");
  await port.drain();
});
