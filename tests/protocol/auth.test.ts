/** Who may call and what each may do, over every protocol, on the whole server. */
import http from "node:http";
import https from "node:https";
import { text } from "node:stream/consumers";
import { create, type DescMessage, type DescMethod } from "@bufbuild/protobuf";
import type { Interceptor } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PrismClient } from "../../client/node.ts";
import { PrismClient as WebClient } from "../../client/web.ts";
import { Health } from "../../gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import { Reason } from "../../gen/prism/common/errors_pb.ts";
import { KeyValueBasicInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { KeyValueScanInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { TimeSeriesService } from "../../gen/prism/timeseries/v1/timeseries_pb.ts";
import type { AuthSettings } from "../../server/auth/settings.ts";
import { readMethod } from "../../server/calls/methods.ts";
import type { Config } from "../../server/config/config.ts";
import { NO_RULES } from "../../server/namespaces/rules.ts";
import { SERVICES } from "../../server/services/services.ts";
import { type Certificates, createCertificates } from "../helpers/certificates.ts";
import { startTestServer, type TestServer } from "../helpers/server.ts";
import {
  authSettings,
  createKey,
  createSigningKey,
  issuerAt,
  type KeyServer,
  role,
  type SigningKey,
  startKeyServer,
} from "../helpers/tokens.ts";
import { useServer } from "./fixture.ts";
import { addressOf, connect, rawCall } from "./raw.ts";
import {
  END_HEADERS,
  END_STREAM,
  frame,
  HTTP2_START,
  headerBlock,
  openSocket,
  parseFrames,
} from "./socket.ts";
import { callRequest, GET_WIRES, methodPath, POST_WIRES } from "./wire.ts";

const { get, set } = KeyValueBasicInterface.method;
const { scan } = KeyValueScanInterface.method;
const series = TimeSeriesService.method;

const team = createKey("team-a.api", ["team-a"]);
const reader = createKey("reporting", ["reader"]);
const nobody = createKey("nobody");
const viewer = createKey("dashboard", ["viewer"]);

const ROLES = [
  role("team-a", {
    grants: [{ namespaces: "team-a", permissions: ["read", "write"], keyPrefix: "", methods: undefined }],
    callers: ["alice"],
  }),
  role("reader", {
    grants: [{ namespaces: "team-*", permissions: ["read"], keyPrefix: "", methods: ["Get", "Scan"] }],
  }),
  role("viewer", { adminRole: "viewer" }),
];

let issuer: SigningKey;
let keys: KeyServer;
let settings: AuthSettings;

beforeAll(async () => {
  issuer = await createSigningKey();
  keys = await startKeyServer([issuer.jwk]);
  settings = authSettings({
    apiKeys: [team, reader, nobody, viewer].map((key) => key.settings),
    jwt: [issuerAt(keys.url, { clockSkewMs: 1000 })],
    roles: ROLES,
  });
});

afterAll(() => keys[Symbol.asyncDispose]());

/** Three namespaces; reporting.* may read in one of them. */
const guarded = (config: Config): Config => ({
  ...config,
  auth: settings,
  namespaces: ["default", "team-a", "team-b"].map((name) => ({
    name,
    pattern: "keyvalue",
    backend: "database",
    ...(name === "team-b" && {
      rules: {
        ...NO_RULES,
        access: {
          owners: [],
          consumers: [{ servicePattern: "bob.*", permissions: ["read"], keyPrefix: "", methods: undefined }],
        },
      },
    }),
  })),
});

const bearer = async (subject: string, ...more: [claims?: object, header?: Record<string, string>]) =>
  `Bearer ${await issuer.sign(subject, ...more)}`;

describe("over every protocol", () => {
  const fixture = useServer(guarded);
  const ask = (
    wire: (typeof POST_WIRES)[number] | (typeof GET_WIRES)[number],
    authorization: string | undefined,
    namespace = "team-a",
    method: typeof get | typeof set = get,
  ) =>
    fixture
      .on(wire)
      .call(
        callRequest(
          wire,
          method,
          { namespace, key: method === set ? "written" : "k" },
          authorization === undefined ? {} : { authorization },
        ),
      );

  describe.each([...POST_WIRES, ...GET_WIRES])("$name", (wire) => {
    test("a key and a token are let in, where they may", async () => {
      for (const authorization of [team.bearer, await bearer("alice")]) {
        expect(await ask(wire, authorization)).toMatchObject({
          code: "not_found",
          details: [{ reason: Reason.KEY_NOT_FOUND }],
        });
        // Now it is known.
        expect(await ask(wire, authorization)).toMatchObject({ code: "not_found" });
        expect(await ask(wire, authorization, "team-b")).toMatchObject({
          code: "permission_denied",
          details: [{ reason: Reason.PERMISSION_DENIED, retryable: false }],
        });
      }
    });

    test("no credentials, wrong ones, and those of somebody without rights", async () => {
      expect(await ask(wire, undefined)).toMatchObject({
        code: "unauthenticated",
        details: [{ reason: Reason.CREDENTIALS_MISSING, retryable: false }],
      });
      const bad = [
        createKey("team-a.api").bearer,
        "Basic dXNlcjpwYXNz",
        await bearer("alice", { aud: "another" }),
        await bearer("alice", { exp: Math.floor(Date.now() / 1000) - 3 }),
        `Bearer ${Buffer.from('{"alg":"none"}').toString("base64url")}.${Buffer.from('{"iss":"https://login.test","aud":"prism","sub":"alice"}').toString("base64url")}.`,
      ];
      for (const authorization of bad) {
        expect(await ask(wire, authorization)).toMatchObject({
          code: "unauthenticated",
          details: [{ reason: Reason.CREDENTIALS_INVALID, retryable: false }],
        });
      }
      expect(await ask(wire, nobody.bearer)).toMatchObject({ code: "permission_denied" });
      expect(await ask(wire, await bearer("carol"))).toMatchObject({ code: "permission_denied" });
    });
  });

  test.each(POST_WIRES)("$name: only who may administrate makes and deletes streams", async (wire) => {
    const code = async (method: DescMethod, init: object) => {
      const headers = { authorization: team.bearer };
      const request = { namespace: "team-a", stream: wire.name, ...init };
      return (await fixture.on(wire).call(callRequest(wire, method, request as never, headers))).code;
    };
    expect(await code(series.append, { event: { timestampMillis: 1n } })).toBe("ok");
    expect(await code(series.query, {})).toBe("ok");
    expect(await code(series.createStream, {})).toBe("permission_denied");
    expect(await code(series.deleteStream, {})).toBe("permission_denied");
  });

  test.each(POST_WIRES)(
    "$name: permissions, names of calls, and consumers of the namespace",
    async (wire) => {
      const code = async (...rest: Parameters<typeof ask> extends [unknown, ...infer R] ? R : never) =>
        (await ask(wire, ...rest)).code;
      expect(await code(reader.bearer, "team-a")).toBe("not_found");
      expect(await code(reader.bearer, "team-b")).toBe("not_found");
      expect(await code(reader.bearer, "team-a", set)).toBe("permission_denied");
      expect(await code(team.bearer, "team-a", set)).toBe("ok");
      expect(await code(await bearer("bob.prod"), "team-b")).toBe("not_found");
      expect(await code(await bearer("bob.prod"), "team-a")).toBe("permission_denied");
      expect(await code(await bearer("bob.prod"), "team-b", set)).toBe("permission_denied");
    },
  );

  test.each(POST_WIRES)(
    "$name: no line of the log has a token or its claims, and some have the caller",
    async (wire) => {
      const authorization = await bearer("alice");
      for (const claims of [{ exp: 1 }, { aud: "other" }]) {
        const refused = await bearer("alice", { ...claims, email: "alice@home" });
        expect(await ask(wire, refused)).toMatchObject({ code: "unauthenticated" });
      }
      await ask(wire, authorization);
      await ask(wire, authorization, "team-b");
      await ask(wire, `${authorization}x`);
      expect(fixture.server.log.some(({ principal }) => principal === "alice")).toBe(true);
      const lines = JSON.stringify(fixture.server.log);
      for (const secret of [authorization, team.bearer].map((each) => each.slice("Bearer ".length))) {
        expect(lines).not.toContain(secret.slice(0, 40));
      }
      expect(lines).not.toContain("alice@home");
    },
  );
});

/** Every method of Prism's own services. */
const OWN = SERVICES.flatMap((service): readonly DescMethod[] => service.methods).filter(({ parent }) =>
  parent.typeName.startsWith("prism."),
);

describe("every call of every service, also scans, batches, transactions and pops that wait", () => {
  const fixture = useServer(guarded);

  test.each(OWN.map((method) => [methodPath(method), method] as const))("%s", async (_, method) => {
    for (const wire of POST_WIRES) {
      const call = (namespace: string, authorization: string | undefined) =>
        fixture
          .on(wire)
          .call(
            callRequest(
              wire,
              method,
              { namespace } as never,
              authorization === undefined ? {} : { authorization },
            ),
          );
      const told = async (namespace: string) => {
        const { code, message, details } = await call(namespace, team.bearer);
        return { code, message, reasons: details.map(({ reason }) => reason) };
      };
      const denied = {
        code: "permission_denied",
        message: "the caller may not make this call on this namespace",
        reasons: [Reason.PERMISSION_DENIED],
      };
      // One that is there, one that is not, the default one, and none that could be.
      for (const namespace of ["team-b", "nowhere", "", "No name"]) {
        expect(await told(namespace)).toEqual(denied);
      }
      expect((await call("team-a", undefined)).code).toBe("unauthenticated");
      // It may read and write there.
      if (readMethod(method, 0).permissions.includes("admin")) {
        expect(await told("team-a")).toEqual(denied);
      } else {
        expect(await told("team-a")).not.toMatchObject({ code: "permission_denied" });
      }
    }
  });
});

describe("calls for everybody", () => {
  test.each(POST_WIRES)("$name: health and reflection", async (wire) => {
    await using server = await startTestServer({ adjust: guarded });
    expect(await rawCall(server, callRequest(wire, Health.method.check, {}))).toMatchObject({ code: "ok" });
    if (wire.http === 2) {
      const { serverReflectionInfo } = ServerReflection.method;
      const request = create(
        serverReflectionInfo.input as DescMessage,
        {
          messageRequest: { case: "listServices", value: "" },
        } as never,
      );
      const answer = await rawCall(server, callRequest(wire, serverReflectionInfo, request as never));
      expect(answer.code).toBe("ok");
    }
  });
});

describe("the header", () => {
  const large = (config: Config): Config => ({
    ...guarded(config),
    limits: { ...config.limits, maxHeaderBytes: 512 * 1024 },
  });

  test.each(POST_WIRES)("$name: a token of 100 kB is refused unread", async (wire) => {
    await using server = await startTestServer({ adjust: large });
    // Node's own HTTP/2 client sends no more than 64 KiB of headers.
    const authorization = `Bearer ${"a".repeat(wire.http === 1 ? 100_000 : 60_000)}`;
    const answer = await rawCall(
      server,
      callRequest(wire, get, { namespace: "team-a", key: "k" }, { authorization }),
    );
    expect(answer).toMatchObject({
      code: "unauthenticated",
      message: "the credentials are longer than 8192 characters",
    });
    // It is larger than all headers may be by default, and the server lives on.
    await using small = await startTestServer({ adjust: guarded });
    const refused = await rawCall(
      small,
      callRequest(wire, get, { namespace: "team-a", key: "k" }, { authorization }),
    ).catch((error: Error) => ({ code: error.message }));
    expect(refused.code).not.toBe("ok");
    const good = callRequest(wire, set, { namespace: "team-a", key: "k" }, { authorization: team.bearer });
    expect(await rawCall(small, good)).toMatchObject({ code: "ok" });
  });

  test("given twice over HTTP/1.1, it is refused, whichever is good", async () => {
    await using server = await startTestServer({ adjust: guarded });
    const statusOf = (...given: string[]) =>
      new Promise<number | undefined>((resolve, reject) => {
        const { host, port } = addressOf(server);
        const fields = given.flatMap((each) => ["authorization", each]);
        const headers = ["host", host, "content-type", "application/json", ...fields];
        http
          .request({ host, port, path: methodPath(set), method: "POST", headers }, (response) => {
            response.resume();
            resolve(response.statusCode);
          })
          .on("error", reject)
          .end('{"namespace":"team-a","key":"k"}');
      });
    expect(await statusOf(team.bearer)).toBe(200);
    for (const given of [
      [team.bearer, team.bearer],
      [team.bearer, nobody.bearer],
      ["Bearer x", team.bearer],
      ["", team.bearer],
    ]) {
      expect(await statusOf(...given)).toBe(401);
    }
  });

  test("given twice over HTTP/2, it is refused, whichever is good", async () => {
    await using server = await startTestServer({ adjust: guarded });
    const bodyOf = async (...given: string[]) => {
      using socket = await openSocket(server);
      const head = {
        ":method": "POST",
        ":scheme": "http",
        ":path": methodPath(set),
        ":authority": "localhost",
        "content-type": "application/json",
      };
      const block = [headerBlock(head), ...given.map((authorization) => headerBlock({ authorization }))];
      socket.write(
        Buffer.concat([
          HTTP2_START,
          frame("HEADERS", END_HEADERS, 1, Buffer.concat(block)),
          frame("DATA", END_STREAM, 1, Buffer.from('{"namespace":"team-a","key":"k"}')),
        ]),
      );
      const received = await socket.until((bytes) =>
        parseFrames(bytes).some(({ stream, flags }) => stream === 1 && (flags & END_STREAM) !== 0),
      );
      const data = parseFrames(received).filter(({ type, stream }) => stream === 1 && type === "DATA");
      return Buffer.concat(data.map(({ payload }) => payload)).toString();
    };
    expect(await bodyOf(team.bearer)).toContain("success");
    for (const given of [
      [team.bearer, team.bearer],
      [team.bearer, nobody.bearer],
      ["Bearer x", team.bearer],
    ]) {
      expect(await bodyOf(...given)).toContain("unauthenticated");
    }
  });
});

describe("client certificates", () => {
  let certificates: Certificates;
  beforeAll(() => {
    certificates = createCertificates();
    certificates.create("ca");
    certificates.create("server", { ca: "ca" });
    certificates.create("alice", { ca: "ca" });
    certificates.create("workload", { ca: "ca", altNames: "URI:spiffe://example.org/team-a" });
    certificates.create("other-ca");
    certificates.create("stranger", { ca: "other-ca", subject: "/CN=alice" });
  });
  afterAll(() => certificates[Symbol.dispose]());

  const startTls = (optional: boolean): Promise<TestServer> =>
    startTestServer({
      adjust(config) {
        const { path } = certificates;
        const all = guarded(config);
        return {
          ...all,
          auth: {
            ...settings,
            certificates: { nameFrom: "any", namePrefix: "" },
            roles: ROLES.map((each) =>
              each.name === "team-a" ? { ...each, callers: ["alice", "spiffe://example.org/*"] } : each,
            ),
          },
          server: {
            ...all.server,
            tls: {
              certFile: path("server.crt"),
              keyFile: path("server.key"),
              clientCaFile: path("ca.crt"),
              optionalClientCerts: optional,
            },
          },
        };
      },
    });

  const identity = (name: string | undefined) => ({
    ca: certificates.pem("ca.crt"),
    ...(name !== undefined && {
      cert: certificates.pem(`${name}.crt`),
      key: certificates.pem(`${name}.key`),
    }),
  });

  test.each(POST_WIRES)("$name", async (wire) => {
    await using server = await startTls(true);
    const codes = async (name: string | undefined, headers: Record<string, string> = {}) => {
      using connection = connect(server, wire.http, identity(name));
      const call = async (namespace: string) => {
        const { code, details } = await connection.call(
          callRequest(wire, get, { namespace, key: "k" }, headers),
        );
        return [code, details[0]?.reason];
      };
      return [await call("team-a"), await call("team-a"), await call("team-b")];
    };
    const found = ["not_found", Reason.KEY_NOT_FOUND];
    const denied = ["permission_denied", Reason.PERMISSION_DENIED];
    const missing = ["unauthenticated", Reason.CREDENTIALS_MISSING];
    const invalid = ["unauthenticated", Reason.CREDENTIALS_INVALID];
    expect(await codes("alice")).toEqual([found, found, denied]);
    expect(await codes("workload")).toEqual([found, found, denied]);
    expect(await codes(undefined)).toEqual([missing, missing, missing]);
    expect(await codes("stranger")).toEqual([missing, missing, missing]);
    // A token counts in the place of the certificate, also a bad one.
    expect(await codes(undefined, { authorization: team.bearer })).toEqual([found, found, denied]);
    expect(await codes("alice", { authorization: nobody.bearer })).toEqual([denied, denied, denied]);
    expect(await codes("alice", { authorization: "Bearer x" })).toEqual([invalid, invalid, invalid]);
  });

  test("on the admin port, if that has TLS", async () => {
    const tls = {
      certFile: certificates.path("server.crt"),
      keyFile: certificates.path("server.key"),
      clientCaFile: certificates.path("ca.crt"),
      optionalClientCerts: true,
    };
    await using server = await startTestServer({
      adjust: (config) => ({
        ...guarded(config),
        admin: { ...config.admin, tls },
        auth: {
          ...settings,
          certificates: { nameFrom: "cn", namePrefix: "" },
          roles: [...ROLES, role("operators", { callers: ["alice"], adminRole: "operator" })],
        },
      }),
    });
    const health = async (name: string | undefined) => {
      const { promise, resolve, reject } = Promise.withResolvers<http.IncomingMessage>();
      https
        .get(`${server.adminUrl}/health`, { ...identity(name), agent: false }, resolve)
        .on("error", reject);
      return JSON.parse(await text(await promise));
    };
    expect(await health("alice")).toHaveProperty("namespaces");
    expect(await health("workload")).toEqual({ status: "serving" });
    expect(await health(undefined)).toEqual({ status: "serving" });
  });

  test("where they are required a certificate of another authority opens no connection", async () => {
    await using server = await startTls(false);
    using connection = connect(server, 2, identity("stranger"));
    const request = callRequest(POST_WIRES[4], get, { namespace: "team-a", key: "k" });
    const answer = await connection.call(request).catch(() => undefined);
    expect(answer?.httpStatus).toBeUndefined();
  });
});

describe("clients", () => {
  test.each([
    [
      "for Node",
      ({ address }: TestServer, headers: Record<string, string>) => new PrismClient(address, { headers }),
    ],
    [
      "for browsers",
      ({ baseUrl }: TestServer, headers: Record<string, string>) => new WebClient(baseUrl, { headers }),
    ],
    [
      "with an interceptor",
      ({ address }: TestServer, headers: Record<string, string>) => {
        const withHeaders: Interceptor = (next) => (request) => {
          for (const [name, value] of Object.entries(headers)) {
            request.header.set(name, value);
          }
          return next(request);
        };
        return new PrismClient(address, { interceptors: [withHeaders] });
      },
    ],
  ])("that %s sends credentials, in streams and waiting calls too", async (_, createClient) => {
    await using server = await startTestServer({ adjust: guarded });
    const options = { namespace: "team-a" };
    await using client = createClient(server, { authorization: team.bearer });
    await client.keyvalue.set("k", "v", options);
    expect(await Array.fromAsync(client.keyvalue.scan("", options))).toHaveLength(1);
    const waiting = client.list.blockingPopLeft("l", { ...options, waitMs: 10_000 });
    await client.list.pushRight("l", "v", options);
    expect(Buffer.from((await waiting) ?? []).toString()).toBe("v");
    await expect(client.keyvalue.get("k")).rejects.toMatchObject({ reason: "permission_denied" });
    await using stranger = createClient(server, {});
    await expect(stranger.keyvalue.get("k", options)).rejects.toMatchObject({
      reason: "credentials_missing",
    });
  });
});

describe("the admin port", () => {
  const asked = async (server: TestServer, authorization?: string) => {
    const response = await fetch(`${server.adminUrl}/health`, {
      headers: authorization ? { authorization } : {},
    });
    return [response.status, await response.json()];
  };

  test("GET /health answers everybody, and tells names to those who may look", async () => {
    await using server = await startTestServer({ adjust: guarded });
    for (const authorization of [undefined, team.bearer, "Bearer x"]) {
      expect(await asked(server, authorization)).toEqual([200, { status: "serving" }]);
    }
    expect(await asked(server, viewer.bearer)).toEqual([
      200,
      { status: "serving", namespaces: expect.objectContaining({ "team-b": expect.anything() }) },
    ]);
    await using open = await startTestServer();
    expect(await asked(open)).toEqual([
      200,
      { status: "serving", namespaces: { default: expect.anything() } },
    ]);
  });
});

test("a grant for a call that there is not is told at the start", async () => {
  const grants = [
    { namespaces: "*", permissions: ["read"] as const, keyPrefix: "", methods: ["Gett", "Get"] },
  ];
  await using server = await startTestServer({
    adjust: (config) => ({
      ...guarded(config),
      auth: { ...settings, roles: [...ROLES, role("a", { grants })] },
    }),
  });
  const warnings = server.log.filter(({ call }) => call === "Gett" || call === "Get");
  expect(warnings).toMatchObject([{ level: 40, call: "Gett" }]);
});

test("a server whose issuer is away starts, and refuses tokens until it is there", async () => {
  await using away = await startKeyServer([issuer.jwk]);
  away.instead = { status: 503, body: "" };
  await using server = await startTestServer({
    adjust: (config) => ({ ...guarded(config), auth: { ...settings, jwt: [issuerAt(away.url)] } }),
  });
  const ask = async (authorization: string) => {
    const request = callRequest(POST_WIRES[0], scan, { namespace: "team-a" }, { authorization });
    return (await rawCall(server, request)).code;
  };
  expect(await ask(await bearer("alice"))).toBe("unauthenticated");
  expect(await ask(team.bearer)).toBe("ok");
  expect(server.log).toContainEqual(
    expect.objectContaining({ issuer: "https://login.test", error: "HTTP status 503" }),
  );
});
