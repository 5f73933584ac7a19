import { tracingChannel } from "node:diagnostics_channel";
import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import net, { type AddressInfo } from "node:net";
import tls from "node:tls";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { KeyValueScanInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { ListBasicInterface } from "../gen/prism/interfaces/list/list_basic_pb.ts";
import { CERT, KEY } from "../tests/helpers/certificate.ts";
import { canStartNginx, startNginx } from "../tests/helpers/nginx.ts";
import { startTestServer } from "../tests/helpers/server.ts";
import { waitFor } from "../tests/helpers/until.ts";
import { parseAddress } from "./address.ts";
import { PrismClient, PrismError } from "./node.ts";

/**
 * A plain HTTP/2 server that treats connections badly on demand, as a gateway might at bad moments.
 */
class Wayward {
  /** The number of pushes that ran. */
  ran = 0;
  /** The number of streams to refuse before one is taken. */
  refusals = 0;
  readonly sessions: http2.ServerHttp2Session[] = [];
  readonly server: http2.Http2Server;

  constructor(tls = false) {
    const handler = connectNodeAdapter({
      routes: (router) => {
        router.service(ListBasicInterface, { pushLeft: () => ({ newLength: BigInt(++this.ran) }) });
        router.service(KeyValueScanInterface, { scanKeys: () => this.keys() });
      },
    });
    const listener = (request: http2.Http2ServerRequest, response: http2.Http2ServerResponse) => {
      if (this.refusals > 0) {
        this.refusals--;
        request.stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
      } else {
        handler(request, response);
      }
    };
    this.server = tls
      ? http2.createSecureServer({ cert: CERT, key: KEY }, listener)
      : http2.createServer(listener);
    this.server.on("session", (session) => {
      this.sessions.push(session);
      session.on("error", () => {});
    });
  }

  async *keys() {
    yield { key: "first" };
    yield { key: "second" };
  }

  async listen(): Promise<string> {
    this.server.listen(0, "127.0.0.1");
    await once(this.server, "listening");
    onTestFinished(() => {
      this.server.close();
      for (const session of this.sessions) {
        session.destroy();
      }
    });
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }
}

describe("an address", () => {
  test.each([
    ["localhost:8980", false, "http://localhost:8980"],
    ["localhost:80", false, "http://localhost"],
    ["prism", false, "http://prism:8980"],
    ["prism", true, "https://prism:8980"],
    ["[::1]:9000", false, "http://[::1]:9000"],
    ["http://prism:9000/", false, "http://prism:9000"],
    ["https://prism", false, "https://prism"],
    ["https://prism/behind/", true, "https://prism/behind"],
  ])("%s, tls %s, is %s", (address, tls, url) => {
    expect(parseAddress(address, tls)).toBe(url);
  });

  test.each([
    "",
    ":8980",
    "host:port",
    "a b",
    "host/path",
    "ftp://host",
    "http://",
    "http://a:b@host",
    "http://host/?q",
  ])("%j is none", (address) => {
    expect(() => new PrismClient(address)).toThrow(TypeError);
  });

  test("without TLS contradicts the tls option", () => {
    expect(() => new PrismClient("http://localhost", { tls: true })).toThrow(/without TLS/);
  });
});

test("speaks TLS, and checks whose certificate it is shown", async () => {
  const address = await new Wayward(true).listen();
  await using client = new PrismClient(address, { tls: { ca: CERT } });
  expect(await client.list.pushLeft("list", "value")).toBe(1);
  await using byName = new PrismClient(`https://${address}`, { tls: { ca: CERT, servername: "prism.test" } });
  expect(await byName.list.pushLeft("list", "value")).toBe(2);
  await using distrustful = new PrismClient(`https://${address}`);
  await expect(distrustful.list.pushLeft("list", "value")).rejects.toMatchObject({
    code: 14,
    retryable: false,
    message: expect.stringMatching(/^the certificate of \S+ is not trusted: self-signed/),
  });
  await expect(distrustful.keyvalue.get("key")).rejects.toMatchObject({ retryable: false });
});

describe("what listens at the address speaks something else", () => {
  const secure = { cert: CERT, key: KEY };
  const says = (text: string) => net.createServer((socket) => socket.on("error", () => {}).end(text));
  const h1 = () => http.createServer((_request, response) => response.end());

  test.each<[string, "http" | "https", () => net.Server, RegExp, retryable: boolean]>([
    [
      "HTTP/2 without TLS",
      "https",
      () => http2.createServer(),
      /does not speak TLS.*make it an http address/,
      false,
    ],
    ["HTTP/1.1 without TLS", "https", h1, /does not speak TLS.*make it an http address/, false],
    ["another protocol", "https", () => says("SSH-2.0-OpenSSH\r\n"), /does not speak TLS/, false],
    ["nothing, and hangs up", "https", () => says(""), /if it speaks no TLS, make it an http address/, true],
    [
      "HTTP/1.1 over TLS",
      "https",
      () => tls.createServer({ ...secure, ALPNProtocols: ["http/1.1"] }),
      /no TLS with .* no application protocol/,
      false,
    ],
    ["TLS without ALPN", "https", () => tls.createServer(secure), /speaks TLS, but not HTTP\/2/, false],
    [
      "TLS that asks for a certificate",
      "https",
      () => http2.createSecureServer({ ...secure, ca: CERT, requestCert: true, rejectUnauthorized: true }),
      /certificate required|closed the connection/,
      false,
    ],
    // Node's server closes the connection silently; OpenSSL's tells why.
    [
      "HTTP/2 over TLS",
      "http",
      () => http2.createSecureServer(secure),
      /if it speaks TLS, make it an https/,
      true,
    ],
    [
      "TLS, and says so",
      "http",
      () => says("\x15\x03\x01\0\x02\x02\x46"),
      /speaks TLS.*make it an https/,
      false,
    ],
    ["HTTP/1.1", "http", h1, /answers in HTTP\/1.1, and gRPC needs HTTP\/2/, false],
    ["another protocol", "http", () => says("SSH-2.0-OpenSSH\r\n"), /something other than HTTP\/2/, false],
  ])("%s, called by %s", async (_what, scheme, create, message, retryable) => {
    const server = create();
    server.on("tlsClientError", () => {});
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    const client = new PrismClient(
      `${scheme}://127.0.0.1:${port}`,
      scheme === "https" ? { tls: { ca: CERT } } : {},
    );
    await expect(client.list.pushLeft("list", "value")).rejects.toMatchObject({
      code: 14,
      retryable,
      message: expect.stringMatching(message),
    });
    await client.close();
  });
});

test("a name that no host has is told, and a connection that does not come in time", async () => {
  await using nowhere = new PrismClient("no-such-host.invalid:9", { retries: 0 });
  await expect(nowhere.keyvalue.get("key")).rejects.toMatchObject({
    code: 14,
    message: expect.stringMatching(/^no connection to no-such-host\.invalid:9: .*check/),
  });
  const silent = net.createServer((socket) => void socket.on("error", () => {}));
  silent.listen(0, "127.0.0.1");
  await once(silent, "listening");
  onTestFinished(() => void silent.close());
  const { port } = silent.address() as AddressInfo;
  await using client = new PrismClient(`127.0.0.1:${port}`, { timeoutMs: 20 });
  await expect(client.keyvalue.get("key")).rejects.toMatchObject({
    reason: "deadline_exceeded",
    message: `the operation timed out before a connection to 127.0.0.1:${port} took it`,
  });
});

test("tells tracers of its calls, of streams to their end, and of errors", async () => {
  await using server = await startTestServer();
  await using client = new PrismClient(server.address);
  const seen: unknown[] = [];
  const listener = (what: string) => (message: object) => {
    const { method, namespace, error } = message as Record<string, unknown>;
    seen.push([what, String(method).replace(/.*\./, ""), namespace, error instanceof PrismError]);
  };
  const channel = tracingChannel("prism.client.call");
  const subscriber = {
    start: listener("start"),
    end: () => {},
    asyncStart: () => {},
    asyncEnd: listener("end"),
    error: listener("error"),
  };
  await client.keyvalue.set("before", "");
  channel.subscribe(subscriber);
  try {
    await client.keyvalue.set("key", "value");
    expect(await Array.fromAsync(client.keyvalue.scanKeys())).toEqual(["before", "key"]);
    await client.keyvalue.find("key", { namespace: "nowhere" }).catch(() => {});
    await Array.fromAsync(client.keyvalue.scanKeys(5 as never)).catch(() => {});
    for await (const _key of client.keyvalue.scanKeys()) {
      break;
    }
  } finally {
    channel.unsubscribe(subscriber);
  }
  await client.keyvalue.set("after", "");
  const set = "KeyValueBasicInterface/Set";
  const get = "KeyValueBasicInterface/Get";
  const scan = "KeyValueScanInterface/ScanKeys";
  expect(seen).toEqual([
    ["start", set, "default", false],
    ["end", set, "default", false],
    ["start", scan, "default", false],
    ["end", scan, "default", false],
    ["start", get, "nowhere", false],
    ["error", get, "nowhere", true],
    ["end", get, "nowhere", true],
    ["start", scan, "default", false],
    ["error", scan, "default", true],
    ["end", scan, "default", true],
    ["start", scan, "default", false],
    ["end", scan, "default", false],
  ]);
});

describe("a call that the server refuses", () => {
  test.each([1, 2, 7])("is made again, and runs once: %i times", async (times) => {
    const server = new Wayward();
    await using client = new PrismClient(await server.listen());
    server.refusals = times;
    expect(await client.list.pushLeft("list", "value")).toBe(1);
    server.refusals = times;
    expect(await Array.fromAsync(client.keyvalue.scanKeys())).toEqual(["first", "second"]);
    expect(server.ran).toBe(1);
  });

  test("is not made for ever, and may be made again, for it was not run", async () => {
    const server = new Wayward();
    await using client = new PrismClient(await server.listen());
    server.refusals = 1000;
    await expect(client.list.pushLeft("list", "value")).rejects.toMatchObject({
      reason: "unspecified",
      code: 14,
      retryable: true,
    });
    expect(1000 - server.refusals).toBe(13);
    expect(server.ran).toBe(0);
  });

  test("is not made once its time is over, or its caller gone", async () => {
    const server = new Wayward();
    await using client = new PrismClient(await server.listen());
    server.refusals = 1000;
    await expect(client.list.pushLeft("list", "value", { timeoutMs: 50 })).rejects.toMatchObject({
      reason: "deadline_exceeded",
    });
    const leave = new AbortController();
    const before = server.refusals;
    const call = client.list.pushLeft("list", "value", { signal: leave.signal });
    const left = expect(call).rejects.toMatchObject({ reason: "canceled" });
    await waitFor(() => expect(server.refusals).toBeLessThan(before - 2));
    leave.abort();
    await left;
    // What was on its way when the caller left comes before this call, and is refused too.
    const seen = server.refusals;
    const next = client.list.pushLeft("list", "value");
    await waitFor(() => expect(server.refusals).toBeLessThan(seen - 1));
    server.refusals = 0;
    // Neither of the two calls arrives later.
    expect(await next).toBe(1);
  });
});

describe.skipIf(!canStartNginx())("behind an nginx that ends each connection after 50 calls", () => {
  test("9,000 pushes run once each, and none fails", async () => {
    await using server = await startTestServer();
    await using nginx = await startNginx(server.address, 50);
    await using client = new PrismClient(nginx.address);
    const lengths = new Set<number>();
    let next = 0;
    const push = async () => {
      while (next++ < 9000) {
        lengths.add(await client.list.pushRight("list", "value"));
      }
    };
    // Three connections' worth at a time: of many more, one can run out of tries.
    await Promise.all(Array.from({ length: 150 }, push));
    expect(lengths.size).toBe(9000);
    expect(await client.list.length("list")).toBe(9000);
  }, 120_000);
});

test("calls that race the end of their connection are made on the next one", async () => {
  const server = new Wayward();
  await using client = new PrismClient(await server.listen());
  const calls = 50;
  for (let i = 0; i < calls; i++) {
    await client.list.pushLeft("list", "value");
    server.sessions.at(-1)?.close();
    // Now, or some turns of the event loop later, when the end of the connection is near or known.
    for (let turn = 0; turn < i % 10; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all([client.list.pushLeft("list", "value"), client.list.pushLeft("list", "value")]);
  }
  expect(server.ran).toBe(3 * calls);
  expect(server.sessions.length).toBeGreaterThan(calls / 2);
});

test("a connection that breaks off is Unavailable, and its call not made again", async () => {
  const server = new Wayward();
  await using client = new PrismClient(await server.listen());
  await client.list.pushLeft("list", "value");
  let seen = 0;
  server.server.removeAllListeners("request");
  server.server.on("request", (request) => {
    seen++;
    request.stream.session?.destroy();
  });
  await expect(client.list.pushLeft("list", "value")).rejects.toMatchObject({ code: 14, retryable: false });
  expect(seen).toBe(1);
});

test("leaving a scan ends its stream", async () => {
  const server = new Wayward();
  await using client = new PrismClient(await server.listen());
  vi.spyOn(server, "keys").mockImplementation(async function* () {
    for (;;) {
      yield { key: "x".repeat(1024) };
    }
  });
  let stream: http2.Http2Stream | undefined;
  server.server.once("stream", (opened) => {
    stream = opened;
  });
  for await (const _key of client.keyvalue.scanKeys()) {
    break;
  }
  await waitFor(() => expect(stream?.closed).toBe(true));
  expect(stream?.rstCode).toBe(http2.constants.NGHTTP2_CANCEL);
});

test("close ends the connection, without an error to the server", async () => {
  const server = new Wayward();
  const client = new PrismClient(await server.listen());
  await client.list.pushLeft("list", "value");
  const [session] = server.sessions;
  // Rejects on an "error" event.
  const closed = session && once(session, "close");
  await client.close();
  await closed;
  await expect(client.list.pushLeft("list", "value")).rejects.toMatchObject({ reason: "canceled" });
  expect(server.sessions.length).toBe(1);
});
