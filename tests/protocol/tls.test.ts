/**
 * TLS: ALPN tells HTTP/2 from HTTP/1.1 on one port. With `client_ca`, callers without a certificate
 * are refused.
 */
import tls from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Certificates, createCertificates } from "../helpers/certificates.ts";
import { startTestServer, type TestServer } from "../helpers/server.ts";
import { waitFor } from "../helpers/until.ts";
import { expectService } from "./expect.ts";
import { addressOf, connect } from "./raw.ts";
import { openSocket } from "./socket.ts";
import { POST_WIRES } from "./wire.ts";

let certificates: Certificates;
const path = (name: string) => certificates.path(name);
const pem = (name: string) => certificates.pem(name);

beforeAll(() => {
  certificates = createCertificates();
  certificates.create("ca");
  certificates.create("server", { ca: "ca" });
  certificates.create("client", { ca: "ca" });
  certificates.create("stranger");
});

afterAll(() => certificates[Symbol.dispose]());

const startTls = (clientCa?: string): Promise<TestServer> =>
  startTestServer({
    adjust: (config) => ({
      ...config,
      server: {
        ...config.server,
        // Long enough for a handshake on a busy machine; one test waits for it.
        headerTimeoutMs: 3_000,
        tls: {
          certFile: path("server.crt"),
          keyFile: path("server.key"),
          clientCaFile: clientCa && path(clientCa),
        },
      },
    }),
  });

const failuresOf = (server: TestServer) => server.log.filter(({ level }) => level !== 20);

describe("TLS", () => {
  test.each(POST_WIRES)("$name", async (wire) => {
    await using server = await startTls();
    using connection = connect(server, wire.http, { ca: pem("ca.crt") });
    const port = await expectService(connection, wire);
    expect(await expectService(connection, wire)).toBe(port);
    expect(server.log.at(-1)).toMatchObject({ msg: "call", peer: "127.0.0.1" });
  });

  test.each([
    [["h2", "http/1.1"], "h2"],
    [["http/1.1", "h2"], "h2"],
    [["http/1.1"], "http/1.1"],
    [[], false],
  ] as const)("ALPN of %j chooses %j", async (offered, chosen) => {
    await using server = await startTls();
    const address = addressOf(server);
    const client = tls.connect({
      ...address,
      ca: pem("ca.crt"),
      ALPNProtocols: [...offered],
    });
    await new Promise((resolve) => client.once("secureConnect", resolve));
    expect(client.alpnProtocol).toBe(chosen);
    expect(["TLSv1.2", "TLSv1.3"]).toContain(client.getProtocol());
    client.destroy();
  });

  test.each([
    ["plaintext HTTP/1.1", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["plaintext HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    ["silence", ""],
  ])("%s is no handshake: one line, and the others are served", async (_name, bytes) => {
    await using server = await startTls();
    using connection = connect(server, 2, { ca: pem("ca.crt") });
    await expectService(connection, POST_WIRES[4]);
    using socket = await openSocket(server);
    socket.write(bytes);
    await socket.closed();
    await waitFor(() => expect(failuresOf(server)).not.toEqual([]));
    await expectService(connection, POST_WIRES[4]);
    expect(failuresOf(server)).toEqual([expect.objectContaining({ peer: "127.0.0.1" })]);
  });

  test("a protocol too old", async () => {
    await using server = await startTls();
    const address = addressOf(server);
    const options = { minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" } as const;
    const client = tls.connect({ ...address, ca: pem("ca.crt"), ...options });
    await expect(new Promise((_, reject) => client.once("error", reject))).rejects.toThrow();
  });
});

describe("client_ca", () => {
  const identity = (name: string) => ({
    ca: pem("ca.crt"),
    cert: pem(`${name}.crt`),
    key: pem(`${name}.key`),
  });

  test.each(POST_WIRES)("$name: a certificate of its authority opens the door", async (wire) => {
    await using server = await startTls("ca.crt");
    using connection = connect(server, wire.http, identity("client"));
    await expectService(connection, wire);
    expect(failuresOf(server)).toEqual([]);
  });

  test.each([
    ["none", () => ({ ca: pem("ca.crt") })],
    ["a stranger's", () => identity("stranger")],
  ])("certificate: %s", async (_name, options) => {
    await using server = await startTls("ca.crt");
    for (const http of [1, 2] as const) {
      using connection = connect(server, http, options());
      await expect(expectService(connection, POST_WIRES[http === 1 ? 0 : 4])).rejects.toThrow();
      await waitFor(() => expect(failuresOf(server)).toHaveLength(http));
    }
    for (const line of failuresOf(server)) {
      expect(line).toMatchObject({ peer: "127.0.0.1" });
    }
    using good = connect(server, 2, identity("client"));
    await expectService(good, POST_WIRES[4]);
  });
});
