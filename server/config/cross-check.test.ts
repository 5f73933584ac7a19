import { generateKeyPairSync } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CERT, KEY } from "../../tests/helpers/certificate.ts";
import { type LoadOptions, loadConfig } from "./load.ts";
import { ConfigError } from "./problem.ts";

const folder = mkdtempSync(join(tmpdir(), "prism-cross-check-"));
afterAll(() => rmSync(folder, { recursive: true }));

const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
const otherEc = generateKeyPairSync("ec", { namedCurve: "prime256v1" }).privateKey;
const FILES = {
  "server.crt": CERT,
  "server.key": KEY,
  "both.pem": `${KEY}\n${CERT}\n`,
  "chain.crt": `The server:\n${CERT}\n${CERT}\n`,
  "rsa.key": rsa.export({ type: "pkcs8", format: "pem" }),
  "other.key": otherEc.export({ type: "sec1", format: "pem" }),
  "encrypted.key": otherEc.export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "p" }),
  "broken.crt": CERT.replace("MIIB", "AAAA"),
  "broken.key": KEY.replace("MIGH", "AAAA"),
  "text.txt": "nothing of the kind",
  "prism.db": "",
};

beforeAll(() => {
  for (const [name, text] of Object.entries(FILES)) {
    writeFileSync(join(folder, name), text);
  }
  mkdirSync(join(folder, "folder"));
  symlinkSync(folder, join(folder, "here"));
});

/** The error's lines for `yaml`, without the file's name. */
function problemsOf(yaml: string, options: Partial<LoadOptions> = {}): string[] {
  writeFileSync(join(folder, "prism.yaml"), yaml);
  try {
    loadConfig({ file: "prism.yaml", env: {}, flags: {}, cwd: folder, ...options });
  } catch (error) {
    if (error instanceof ConfigError) {
      return error.message.split("\n").map((line) => line.replace(/^prism\.yaml:/, ""));
    }
    throw error;
  }
  return [];
}

test.each([
  ["server.crt", "server.key"],
  ["chain.crt", "server.key"],
  ["both.pem", "both.pem"],
  ["here/server.crt", "here/server.key"],
])("TLS with %s and %s", (cert, key) => {
  expect(problemsOf(`server: {tls: {cert: ${cert}, key: ${key}, client_ca: server.crt}}`)).toEqual([]);
});

const SWAPPED_CERT = "holds a private key and no certificate; are cert and key swapped?";
const SWAPPED_KEY = "holds a certificate and no private key; are cert and key swapped?";
const NO_CERTIFICATE = "holds no certificate in PEM (-----BEGIN CERTIFICATE-----)";
const STRANGERS = "the key does not belong to the certificate of cert";

// Certificate, key, and the error about each.
test.each<[string, string, string, string]>([
  ["missing.crt", "server.key", "no such file", ""],
  ["server.crt", "missing.key", "", "no such file"],
  ["folder", "server.key", "a folder, not a file", ""],
  ["server.key", "server.crt", SWAPPED_CERT, SWAPPED_KEY],
  ["text.txt", "text.txt", NO_CERTIFICATE, "holds no private key in PEM (-----BEGIN PRIVATE KEY-----)"],
  ["broken.crt", "server.key", "holds a certificate that cannot be read", ""],
  ["server.crt", "broken.key", "", "holds a private key that cannot be read"],
  ["server.crt", "rsa.key", "", STRANGERS],
  ["server.crt", "other.key", "", STRANGERS],
  [
    "server.crt",
    "encrypted.key",
    "",
    'the key is encrypted, and nobody could be asked for its passphrase; "openssl pkey -in KEY -out PLAIN" decrypts it',
  ],
])("TLS with %s and %s is refused", (cert, key, certMessage, keyMessage) => {
  const found = (prefix: string, line: number) =>
    [
      certMessage && `${line}:5: ${prefix}.cert: ${certMessage}`,
      keyMessage && `${line + 1}:5: ${prefix}.key: ${keyMessage}`,
    ].filter((problem) => problem !== "");
  const files = `\n    cert: ${cert}\n    key: ${key}\n`;
  expect(problemsOf(`server:\n  tls:${files}`)).toEqual(found("server.tls", 3));
  expect(problemsOf(`database:\n  type: redis\n  url: "rediss://h"\n  tls:${files}`)).toEqual(
    found("database.tls", 5),
  );
  expect(problemsOf(`database:\n  type: postgres\n  url: "postgres://h"\n  tls:${files}`)).toEqual(
    found("database.tls", 5),
  );
});

test("so is that of other backends and of plugins, and an authority that is none", () => {
  expect(problemsOf("server: {tls: {cert: server.crt, key: server.key, client_ca: text.txt}}")).toEqual([
    `1:51: server.tls.client_ca: ${NO_CERTIFICATE}`,
  ]);
  expect(problemsOf('backends: {a: {type: remote, endpoint: "h:1", tls: {ca: nowhere}}}')).toEqual([
    "1:53: backends.a.tls.ca: no such file",
  ]);
  expect(problemsOf('namespaces: [{name: a, plugin: {endpoint: "h:1", tls: {ca: nowhere}}}]')).toEqual([
    "1:56: namespaces[0].plugin.tls.ca: no such file",
  ]);
});

test.each([
  ["0.0.0.0:8080", "127.0.0.1:8080"],
  ["127.0.0.1:8080", "0.0.0.0:8080"],
  ["[::]:8080", "127.0.0.1:8080"],
  ["localhost:8080", "127.0.0.1:8080"],
  ["db.internal:8080", "db.internal:8080"],
])("data on %s and admin on %s cannot be", (listen, admin) => {
  expect(
    problemsOf(`server:\n  listen_address: "${listen}"\nadmin:\n  listen_address: "${admin}"\n`),
  ).toEqual([
    "4:3: admin.listen_address: the data plane (server.listen_address) listens on port 8080 already",
  ]);
});

test.each([
  ["127.0.0.1:8080", "127.0.0.2:8080"],
  ["0.0.0.0:8080", "[::1]:8080"],
  ["127.0.0.1:0", "127.0.0.1:0"],
  ["127.0.0.1:1", "127.0.0.1:2"],
])("data on %s and admin on %s can", (listen, admin) => {
  expect(problemsOf(`server: {listen_address: "${listen}"}\nadmin: {listen_address: "${admin}"}`)).toEqual(
    [],
  );
});

test.each(["0.0.0.0", "[::]", "10.0.0.1", "gateway", "128.0.0.1"])(
  "admin on %s needs auth, wherever the address is given",
  (host) => {
    const name = host.replace(/[[\]]/g, "");
    const message = `${name} is not loopback, so everybody who reaches it could do everything: use 127.0.0.1, or say with auth who may`;
    const address = `admin: {listen_address: "${host}:1"}`;
    expect(problemsOf(address)).toEqual([`1:9: admin.listen_address: ${message}`]);
    expect(problemsOf("", { file: undefined, flags: { "admin-listen": `${host}:1` } })).toEqual([
      `admin.listen_address: ${message}`,
    ]);
    const key = `sha256:${"0".repeat(64)}`;
    expect(problemsOf(`${address}\nauth: {api_keys: [{name: a, hash: "${key}"}]}`)).toEqual([]);
  },
);

test.each(["127.0.0.1", "127.9.9.9", "localhost", "[::1]"])("admin on %s needs none", (host) => {
  expect(problemsOf(`admin: {listen_address: "${host}:1"}`)).toEqual([]);
});

test("the default port of the admin plane is taken into account, and so are flags", () => {
  const message = "the data plane (server.listen_address) listens on port 8090 already";
  expect(problemsOf("server: {listen_address: :8090}")).toEqual([`1:1: admin.listen_address: ${message}`]);
  expect(problemsOf("", { file: undefined, flags: { port: "8090" } })).toEqual([
    `admin.listen_address: ${message}`,
  ]);
});

test.each([
  ["x.db", "x.db"],
  ["x.db", "./folder/../x.db"],
  ["x.db", "here/x.db"],
  ["prism.db", "here/prism.db"],
])("stores in %s and %s are one file", (a, b) => {
  expect(problemsOf(`backends:\n  a: {type: sqlite, path: ${a}}\n  b: {type: sqlite, path: ${b}}\n`)).toEqual(
    ["3:21: backends.b.path: the file of backends.a already; each store needs a file of its own"],
  );
});

test("so is a backend in the default store's file, unless nobody is on that", () => {
  const backend = "backends: {b: {type: sqlite, path: data/prism.db}}\n";
  expect(problemsOf(backend)).toEqual([
    "1:30: backends.b.path: the file of database already; each store needs a file of its own",
  ]);
  expect(problemsOf(`${backend}namespaces: [{name: default, backend: b}]`)).toEqual([]);
  expect(
    problemsOf("database: {type: sqlite, path: a.db}\nbackends: {b: {type: sqlite, path: b.db}}"),
  ).toEqual([]);
});
