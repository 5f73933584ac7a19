/**
 * TLS: ALPN tells HTTP/2 from HTTP/1.1 on one port. With `client_ca`, callers without a certificate
 * are refused.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import tls from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startTestServer, type TestServer } from "../helpers/server.ts";
import { waitFor } from "../helpers/until.ts";
import { expectService } from "./expect.ts";
import { addressOf, connect } from "./raw.ts";
import { openSocket } from "./socket.ts";
import { POST_WIRES } from "./wire.ts";

const folder = mkdtempSync(join(tmpdir(), "prism-tls-"));
const path = (name: string) => join(folder, name);
const pem = (name: string) => readFileSync(path(name));

function openssl(...args: string[]): void {
  execFileSync("openssl", args, { cwd: folder, stdio: "pipe" });
}

/** Makes a key, and a certificate signed by `ca`, or by itself without `ca`. */
function certificate(name: string, ca: string | undefined): void {
  const key = [
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-keyout",
    `${name}.key`,
  ];
  if (ca === undefined) {
    openssl("req", "-x509", ...key, "-out", `${name}.crt`, "-days", "2", "-subj", `/CN=${name}`);
    return;
  }
  openssl("req", ...key, "-out", `${name}.csr`, "-subj", `/CN=${name}`);
  writeFileSync(path("ext"), "subjectAltName=DNS:localhost,IP:127.0.0.1");
  const signer = ["-CA", `${ca}.crt`, "-CAkey", `${ca}.key`, "-CAcreateserial"];
  openssl(
    "x509",
    "-req",
    "-in",
    `${name}.csr`,
    ...signer,
    "-out",
    `${name}.crt`,
    "-days",
    "2",
    "-extfile",
    "ext",
  );
}

beforeAll(() => {
  certificate("ca", undefined);
  certificate("server", "ca");
  certificate("client", "ca");
  certificate("stranger", undefined);
});

afterAll(() => rmSync(folder, { recursive: true }));

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
