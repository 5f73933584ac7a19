import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CERT, KEY } from "../../tests/helpers/certificate.ts";
import { loadConfig } from "./load.ts";
import { ConfigError } from "./problem.ts";

const folder = mkdtempSync(join(tmpdir(), "prism-auth-config-"));
afterAll(() => rmSync(folder, { recursive: true }));
beforeAll(() => {
  const files = {
    "cert.pem": CERT,
    "key.pem": KEY,
    "keys.json": '{"keys":[]}',
    "secret.json": '{"keys":[{"kty":"EC","d":"x"}]}',
  };
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(folder, name), text);
  }
});

function load(yaml: string, env: Record<string, string> = {}) {
  writeFileSync(join(folder, "prism.yaml"), yaml);
  return loadConfig({ file: "prism.yaml", env, flags: {}, cwd: folder });
}

function problemsOf(yaml: string, env?: Record<string, string>): string[] {
  try {
    load(yaml, env);
  } catch (error) {
    if (error instanceof ConfigError) {
      return error.message.split("\n").map((line) => line.replace(/^prism\.yaml:/, ""));
    }
    throw error;
  }
  return [];
}

const HASH = `sha256:${"a".repeat(64)}`;
const TLS = "server: {tls: {cert: cert.pem, key: key.pem, client_ca: cert.pem}}\n";

describe("auth", () => {
  test("is absent unless the file has it", () => {
    expect(load("{}").auth).toBeUndefined();
  });

  test("as a whole", () => {
    const { auth, server } = load(
      `
server: {tls: {cert: cert.pem, key: key.pem, client_ca: cert.pem, client_certificates: optional}}
auth:
  api_keys:
    - {name: user-api.prod.eu, hash: "\${HASH}", roles: [orders], expires_at: "2027-01-31T12:00:00+01:00"}
    - {name: user-api.prod.eu, hash: "${HASH}"}
  jwt:
    - {issuer: "https://a", audience: prism, algorithms: [RS256], jwks_url: "https://a/keys"}
    - issuer: b
      audience: [prism, gateway]
      algorithms: [ES256, EdDSA]
      jwks_file: keys.json
      clock_skew_ms: 0
      name_claim: client_id
      name_prefix: "b:"
      scope_claim: scp
      granting_scopes: true
  certificates: {name_from: spiffe}
  roles:
    - name: orders
      grants:
        - {namespaces: "orders-*", permissions: [read, write], key_prefix: "user/", methods: [Get, Set]}
        - {namespaces: "*", permissions: [admin]}
      admin_role: operator
      callers: ["user-api.*"]
      scopes: [orders.rw]
`,
      { HASH: `sha256:${"b".repeat(64)}` },
    );
    expect(server.tls?.optionalClientCerts).toBe(true);
    expect(auth).toEqual({
      apiKeys: [
        {
          name: "user-api.prod.eu",
          hash: `sha256:${"b".repeat(64)}`,
          roles: ["orders"],
          expiresAtMs: Date.UTC(2027, 0, 31, 11),
        },
        { name: "user-api.prod.eu", hash: HASH, roles: [], expiresAtMs: undefined },
      ],
      jwt: [
        {
          issuer: "https://a",
          audience: ["prism"],
          algorithms: ["RS256"],
          keys: { url: "https://a/keys" },
          clockSkewMs: 30_000,
          nameClaim: "sub",
          namePrefix: "",
          scopeClaim: "scope",
          grantingScopes: false,
        },
        {
          issuer: "b",
          audience: ["prism", "gateway"],
          algorithms: ["ES256", "EdDSA"],
          keys: { file: join(folder, "keys.json") },
          clockSkewMs: 0,
          nameClaim: "client_id",
          namePrefix: "b:",
          scopeClaim: "scp",
          grantingScopes: true,
        },
      ],
      certificates: { nameFrom: "spiffe", namePrefix: "" },
      roles: [
        {
          name: "orders",
          grants: [
            {
              namespaces: "orders-*",
              permissions: ["read", "write"],
              keyPrefix: "user/",
              methods: ["Get", "Set"],
            },
            { namespaces: "*", permissions: ["admin"], keyPrefix: "", methods: undefined },
          ],
          adminRole: "operator",
          callers: ["user-api.*"],
          scopes: ["orders.rw"],
        },
      ],
    });
  });
});

const key = (more = "") => `{name: a, hash: "${HASH}"${more}}`;
const issuer = (more: string) => `{issuer: "https://a", audience: prism, algorithms: [RS256], ${more}}`;
const URL_FORM =
  "expected an https URL; http is for loopback addresses only, because keys must not be forged";

test.each<[string, ...string[]]>([
  ["auth: {}", "1:1: auth: nobody could call: expected api_keys, jwt or certificates"],
  ["auth: {roles: [{name: a}]}", "1:1: auth: nobody could call: expected api_keys, jwt or certificates"],
  [
    "auth: {certificates: {}}",
    "1:8: auth.certificates: needs server.tls.client_ca or admin.tls.client_ca: without it nobody is asked for one",
  ],
  [`${TLS}auth: {certificates: {}}`],
  [`admin: {tls: {cert: cert.pem, key: key.pem, client_ca: cert.pem}}\nauth: {certificates: {}}`],
  [
    "admin: {tls: {cert: cert.pem, key: cert.pem}}",
    "1:31: admin.tls.key: holds a certificate and no private key; are cert and key swapped?",
  ],
  [
    "server: {tls: {cert: cert.pem, key: key.pem, client_ca: cert.pem, client_certificates: optional}}",
    "1:67: server.tls.client_certificates: needs auth.certificates: clients without a certificate are let in, and those with one are to be told apart",
  ],
  [
    `auth: {api_keys: [${key()}, ${key()}]}`,
    `1:${31 + key().length}: auth.api_keys[1].hash: the hash of auth.api_keys[0] already`,
  ],
  [
    `auth:\n  api_keys:\n    - ${key(", roles: [reader]")}\n  roles: [{name: readers}]`,
    `3:${7 + key(", roles: [").length - 1}: auth.api_keys[0].roles[0]: no role of that name; did you mean "readers"? expected one of: readers`,
  ],
  [
    `auth:\n  api_keys: [${key()}]\n  roles:\n    - {name: a}\n    - {name: a}`,
    "5:8: auth.roles[1].name: the name of auth.roles[0] already",
  ],
  [
    `auth:\n  jwt:\n    - ${issuer("jwks_file: keys.json")}\n    - ${issuer("jwks_file: keys.json")}`,
    "4:8: auth.jwt[1].issuer: the issuer of auth.jwt[0] already",
  ],
  [
    `auth:\n  jwt:\n    - ${issuer("")}`,
    "3:8: auth.jwt[0].issuer: expected jwks_url or jwks_file, and not both",
  ],
  [
    `auth:\n  jwt:\n    - ${issuer('jwks_file: keys.json, jwks_url: "https://a"')}`,
    "3:8: auth.jwt[0].issuer: expected jwks_url or jwks_file, and not both",
  ],
])("%s", (yaml, ...problems) => {
  expect(problemsOf(yaml)).toEqual(problems);
});

// What is said of one setting; its place is tested above.
test.each<[string, string]>([
  ["auth: {api_keys: [{name: a, hash: abc}]}", '"prism auth hash" prints them'],
  [`auth: {api_keys: [{name: "a*", hash: "${HASH}"}]}`, "expected a name of 1 to 255 characters"],
  [`auth: {api_keys: [{name: "", hash: "${HASH}"}]}`, "expected a name of 1 to 255 characters"],
  [`auth: {api_keys: [${key(", expires_at: tomorrow")}]}`, 'expected a time such as "2027-01-31T00:00:00Z"'],
  [`auth: {jwt: [${issuer("jwks_url: nonsense")}]}`, URL_FORM],
  [`auth: {jwt: [${issuer('jwks_url: "http://login.example.com/keys"')}]}`, URL_FORM],
  [`auth: {jwt: [${issuer('jwks_url: "https://u:p@login.example.com/keys"')}]}`, URL_FORM],
  [`auth: {jwt: [${issuer("jwks_file: none.json")}]}`, "no such file"],
  [`auth: {jwt: [${issuer("jwks_file: secret.json")}]}`, "holds a secret key; only public ones belong here"],
  [`auth: {jwt: [${issuer("jwks_file: cert.pem")}]}`, "holds no JSON"],
  [
    'auth: {jwt: [{issuer: a, audience: b, algorithms: [HS256], jwks_url: "https://a"}]}',
    "expected one of: RS256, ES256, EdDSA",
  ],
  [
    'auth: {jwt: [{issuer: a, audience: [], algorithms: [RS256], jwks_url: "https://a"}]}',
    "expected a list of at least 1 items",
  ],
  [
    "auth: {roles: [{name: a, grants: [{namespaces: 'a*b', permissions: [read]}]}]}",
    "expected a name, a beginning",
  ],
  [
    "auth: {roles: [{name: a, grants: [{namespaces: a, permissions: [delete]}]}]}",
    "expected one of: read, write, admin",
  ],
  [
    "auth: {roles: [{name: a, grants: [{namespaces: a, permissions: []}]}]}",
    "expected a list of at least 1 items",
  ],
  ["auth: {roles: [{name: a, admin_role: root}]}", "expected one of: viewer, operator, admin"],
])("%s is refused", (yaml, message) => {
  const problems = problemsOf(yaml);
  expect(problems).toHaveLength(1);
  expect(problems[0]).toContain(message);
});
