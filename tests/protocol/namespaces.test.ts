/** prism.control.v1.NamespaceService and the plain routes, on the admin port of a whole server. */
import { once } from "node:events";
import http2 from "node:http2";
import { create, type MessageInitShape, toBinary, toJson } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ServerReflection } from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import { ErrorSchema, Reason } from "../../gen/prism/common/errors_pb.ts";
import { ConsistencyLevel } from "../../gen/prism/common/types_pb.ts";
import {
  Abstraction,
  NamespaceSchema,
  NamespaceService,
  NamespaceSource as Source,
  NamespaceStatus as Status,
  type WatchNamespacesResponse,
} from "../../gen/prism/control/v1/namespace_pb.ts";
import { KeyValueBasicInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import {
  KeyValueScanInterface,
  ScanRequestSchema,
} from "../../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { envelope } from "../../server/wire/wire-format.ts";
import { startTestServer, type TestServer } from "../helpers/server.ts";
import { authSettings, createKey, role } from "../helpers/tokens.ts";
import { waitFor } from "../helpers/until.ts";
import { methodPath } from "./wire.ts";

// Long enough for the calls in between on a busy machine.
const TIMES = { drainMs: 3_000, othersMs: 0, retryMs: 10 };

let server: TestServer;
let admin: Client<typeof NamespaceService>;
let entries: Client<typeof KeyValueBasicInterface>;

beforeEach(async () => {
  server = await startTestServer({ deletionTimes: TIMES });
  admin = createClient(NamespaceService, createGrpcTransport({ baseUrl: server.adminUrl }));
  entries = createClient(KeyValueBasicInterface, createGrpcTransport({ baseUrl: server.baseUrl }));
});
afterEach(() => server.stop());

/** The reason and code of a call's failure. */
async function failure(call: Promise<unknown>): Promise<{ code: Code; reason: Reason; message: string }> {
  const error = await call.then(
    () => {
      throw new Error("it succeeded");
    },
    (thrown: unknown) => ConnectError.from(thrown),
  );
  const [detail] = error.findDetails(ErrorSchema);
  return { code: error.code, reason: detail?.reason ?? Reason.UNSPECIFIED, message: error.rawMessage };
}

async function isGone(name: string): Promise<void> {
  await waitFor(async () => {
    const { reason } = await failure(admin.getNamespace({ namespace: name }));
    expect(reason).toBe(Reason.NAMESPACE_NOT_FOUND);
  });
}

/** Reads a watch until `isEnough` of its last message. */
async function watched(
  isEnough: (last: WatchNamespacesResponse) => boolean,
  resumeToken: Uint8Array = new Uint8Array(),
): Promise<readonly WatchNamespacesResponse[]> {
  const seen: WatchNamespacesResponse[] = [];
  for await (const message of admin.watchNamespaces({ resumeToken })) {
    seen.push(message);
    if (isEnough(message)) {
      break;
    }
  }
  return seen;
}

const isSynced = ({ synced }: WatchNamespacesResponse) => synced;

/** A watch that has told all that there is. */
async function startWatch(isEnough: (last: WatchNamespacesResponse) => boolean) {
  const began = Promise.withResolvers<void>();
  const seen = watched((last) => {
    if (last.synced) {
      began.resolve();
    }
    return isEnough(last);
  });
  // Who waits for it hears of a failure.
  seen.catch(() => {});
  await began.promise;
  return { seen };
}

describe("a namespace that is made", () => {
  test("serves at once and is told whole", async () => {
    const { namespace: made } = await admin.createNamespace({
      namespace: {
        name: "orders",
        capacity: { readRps: 10n, writeRps: 5n, dataSizeGb: 1n },
        policies: {
          retentionDays: 7,
          consistency: ConsistencyLevel.STRONG,
          maxValueBytes: 100n,
          maxRps: 50n,
          defaultTtlSeconds: 60n,
          maxTtlSeconds: 90n,
        },
        accessControl: {
          owners: [{ team: "shop", role: "on call" }],
          consumers: [{ servicePattern: "shop.*", permissions: ["read", "write"] }],
        },
      },
    });
    expect(made).toMatchObject({
      name: "orders",
      abstraction: Abstraction.KEYVALUE,
      backend: "database",
      status: Status.ACTIVE,
      source: Source.SAVED,
      version: 1n,
      capacity: { readRps: 10n },
      policies: { retentionDays: 7, consistency: ConsistencyLevel.STRONG, maxRps: 50n, burst: 0n },
      accessControl: { consumers: [{ servicePattern: "shop.*", permissions: ["read", "write"] }] },
    });
    expect(Number(made?.createdAtMillis)).toBeGreaterThan(1_700_000_000_000);
    await entries.set({ namespace: "orders", key: "k", value: new Uint8Array([1]) });
    expect(await entries.get({ namespace: "orders", key: "k" })).toMatchObject({
      value: new Uint8Array([1]),
    });
    expect((await admin.getNamespace({ namespace: "orders" })).namespace).toEqual(made);
    expect(server.registry.find("orders")?.rules.limits.maxRps).toBe(50);
  });

  test("has a name that is free, a backend that is there, and no contradictions", async () => {
    await admin.createNamespace({ namespace: { name: "orders" } });
    for (const name of ["orders", "default"]) {
      expect(await failure(admin.createNamespace({ namespace: { name } }))).toMatchObject({
        code: Code.AlreadyExists,
        reason: Reason.NAMESPACE_EXISTS,
      });
    }
    const backend = failure(admin.createNamespace({ namespace: { name: "a", backend: "nowhere" } }));
    expect(await backend).toEqual({
      code: Code.NotFound,
      reason: Reason.BACKEND_NOT_FOUND,
      message: 'no backend "nowhere"',
    });
    const cases: readonly (readonly [MessageInitShape<typeof NamespaceSchema> | undefined, RegExp])[] = [
      [undefined, /^namespace must be there/],
      [{ name: "No" }, /^namespace\.name must be/],
      [{ name: "a", abstraction: Abstraction.GRAPH }, /^namespace\.abstraction/],
      [{ name: "a", capacity: { readRps: -1n } }, /^namespace\.capacity\.read_rps must be 0 to/],
      [{ name: "a", policies: { maxValueBytes: 2n ** 40n } }, /^namespace\.policies\.max_value_bytes/],
      [
        { name: "a", policies: { minTtlSeconds: 2n, maxTtlSeconds: 1n } },
        /max_ttl_seconds: expected 0, or no less/,
      ],
      [{ name: "a", policies: { consistency: 9 as ConsistencyLevel } }, /^namespace\.policies\.consistency/],
      [
        { name: "a", accessControl: { consumers: [{ servicePattern: "a*b", permissions: ["read"] }] } },
        /^namespace\.access_control\.consumers\[0\]\.service_pattern/,
      ],
      [
        { name: "a", accessControl: { consumers: [{ servicePattern: "a", permissions: ["fly"] }] } },
        /consumers\[0\]\.permissions\[0\]\.?must be one of/,
      ],
      [
        { name: "a", accessControl: { owners: [{ team: "", role: "r" }] } },
        /owners\[0\]\.team must be 1 to 256/,
      ],
    ];
    for (const [namespace, message] of cases) {
      const refused = await failure(admin.createNamespace(namespace === undefined ? {} : { namespace }));
      expect(refused).toMatchObject({ code: Code.InvalidArgument, reason: Reason.INVALID_FIELD });
      expect(refused.message).toMatch(message);
    }
    expect((await admin.listNamespaces({})).namespaces.map(({ name }) => name)).toEqual([
      "default",
      "orders",
    ]);
  });

  test("is one of two that are made at the same time", async () => {
    const made = await Promise.allSettled(
      Array.from({ length: 8 }, () => admin.createNamespace({ namespace: { name: "race" } })),
    );
    expect(made.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });
});

describe("a list", () => {
  test("has pages", async () => {
    const names = Array.from({ length: 25 }, (_, i) => `n${String(i).padStart(2, "0")}`);
    for (const name of names) {
      await admin.createNamespace({ namespace: { name } });
    }
    const seen: string[] = [];
    let pages = 0;
    for (let pageToken: Uint8Array = new Uint8Array(); pages === 0 || pageToken.length > 0; pages++) {
      const page = await admin.listNamespaces({ pageSize: 10, pageToken });
      seen.push(...page.namespaces.map(({ name }) => name));
      pageToken = page.nextPageToken;
    }
    expect(seen).toEqual(["default", ...names]);
    expect(pages).toBe(3);
    for (const request of [{ pageSize: -1 }, { pageSize: 1001 }, { pageToken: new Uint8Array(30) }]) {
      expect(await failure(admin.listNamespaces(request))).toMatchObject({ reason: Reason.INVALID_FIELD });
    }
  });
});

describe("a change", () => {
  test("replaces the parts that it has, of the version that was read", async () => {
    const { namespace: made } = await admin.createNamespace({
      namespace: { name: "orders", policies: { maxRps: 5n, retentionDays: 3 }, capacity: { readRps: 1n } },
    });
    const version = made?.version ?? 0n;
    const { namespace: changed } = await admin.updateNamespace({
      namespace: { name: "orders", version, policies: { maxRps: 6n } },
    });
    expect(changed).toMatchObject({
      policies: { maxRps: 6n, retentionDays: 0 },
      capacity: { readRps: 1n },
      status: Status.ACTIVE,
    });
    expect(changed?.version).toBeGreaterThan(version);
    expect(server.registry.find("orders")?.rules.limits.maxRps).toBe(6);
    expect(await failure(admin.updateNamespace({ namespace: { name: "orders", version } }))).toMatchObject({
      code: Code.Aborted,
      reason: Reason.CONFLICT,
    });
  });

  test("needs a version, keeps the backend, and is not for what the file has", async () => {
    await admin.createNamespace({ namespace: { name: "orders" } });
    for (const [namespace, reason, message] of [
      [{ name: "orders" }, Reason.INVALID_FIELD, /^namespace\.version must be 1/],
      [{ name: "orders", version: 1n, backend: "b" }, Reason.INVALID_FIELD, /stays on its backend/],
      [
        { name: "default", version: 1n },
        Reason.INVALID_FIELD,
        /is from the configuration file: change it there/,
      ],
      [{ name: "nowhere", version: 1n }, Reason.NAMESPACE_NOT_FOUND, /no namespace "nowhere"/],
    ] as const) {
      const refused = await failure(admin.updateNamespace({ namespace }));
      expect(refused.reason).toBe(reason);
      expect(refused.message).toMatch(message);
    }
  });
});

describe("a deletion", () => {
  test("takes the data along, and the name is free then", async () => {
    await admin.createNamespace({ namespace: { name: "orders" } });
    await entries.set({ namespace: "orders", key: "k", value: new Uint8Array([1]) });
    const { namespace } = await admin.deleteNamespace({ namespace: "orders", confirmNamespace: "orders" });
    expect(namespace).toMatchObject({ status: Status.DELETING });
    await isGone("orders");
    expect(await failure(entries.get({ namespace: "orders", key: "k" }))).toMatchObject({
      reason: Reason.NAMESPACE_NOT_FOUND,
    });
    await admin.createNamespace({ namespace: { name: "orders" } });
    expect(await failure(entries.get({ namespace: "orders", key: "k" }))).toMatchObject({
      reason: Reason.KEY_NOT_FOUND,
    });
  });

  test("needs the name again, and is not for what the file has", async () => {
    await admin.createNamespace({ namespace: { name: "orders" } });
    for (const [request, reason] of [
      [{ namespace: "orders" }, Reason.INVALID_FIELD],
      [{ namespace: "orders", confirmNamespace: "order" }, Reason.INVALID_FIELD],
      [{ namespace: "", confirmNamespace: "" }, Reason.INVALID_FIELD],
      [{ namespace: "orders", confirmNamespace: "orders", version: 7n }, Reason.CONFLICT],
      [{ namespace: "default", confirmNamespace: "default" }, Reason.INVALID_FIELD],
      [{ namespace: "nowhere", confirmNamespace: "nowhere" }, Reason.NAMESPACE_NOT_FOUND],
    ] as const) {
      expect(await failure(admin.deleteNamespace(request))).toMatchObject({ reason });
    }
    await entries.set({ namespace: "orders", key: "k", value: new Uint8Array() });
  });

  test("lets calls end, refuses new ones, and ends scans that go on", async () => {
    await admin.createNamespace({ namespace: { name: "orders" } });
    // More than lies between server and reader.
    const value = new Uint8Array(512 * 1024);
    for (let i = 0; i < 8; i++) {
      await entries.set({ namespace: "orders", key: `k${i}`, value });
    }
    const session = http2.connect(server.baseUrl);
    const scan = session.request({
      ":method": "POST",
      ":path": methodPath(KeyValueScanInterface.method.scan),
      "content-type": "application/grpc+proto",
    });
    const asked = toBinary(ScanRequestSchema, create(ScanRequestSchema, { namespace: "orders" }));
    scan.end(envelope(0, asked));
    // It reads no more than the window of the stream holds.
    await once(scan, "response");
    const request = { namespace: "orders", confirmNamespace: "orders" };
    await admin.deleteNamespace(request);
    expect(await failure(entries.get({ namespace: "orders", key: "k1" }))).toMatchObject({
      reason: Reason.STORE_UNAVAILABLE,
    });
    // It is under way already, and that is told again.
    expect((await admin.deleteNamespace(request)).namespace).toMatchObject({ status: Status.DELETING });
    expect(
      await failure(admin.updateNamespace({ namespace: { name: "orders", version: 2n } })),
    ).toMatchObject({ reason: Reason.CONFLICT });
    await isGone("orders");
    const ended = once(scan, "trailers");
    scan.resume();
    const [trailers] = await ended;
    expect(trailers).toMatchObject({ "grpc-status": String(Code.Unavailable) });
    session.close();
  });
});

describe("a watch", () => {
  test("tells all, then changes, to the end of a deletion", async () => {
    const { seen } = await startWatch(({ namespace }) => namespace?.status === Status.DELETED);
    await admin.createNamespace({ namespace: { name: "orders" } });
    await admin.updateNamespace({ namespace: { name: "orders", version: 1n, policies: { maxRps: 1n } } });
    await admin.deleteNamespace({ namespace: "orders", confirmNamespace: "orders" });
    const told = await seen;
    expect(told[0]).toMatchObject({ reset: true });
    expect(told[1]?.namespace).toMatchObject({ name: "default", source: Source.FILE });
    const orders = told.flatMap(({ namespace }) => (namespace?.name === "orders" ? [namespace.status] : []));
    expect(orders).toEqual([
      Status.PROVISIONING,
      Status.ACTIVE,
      Status.ACTIVE,
      Status.DELETING,
      Status.DELETED,
    ]);
  });

  test("goes on from a token, and begins anew where it cannot", async () => {
    const first = await watched(isSynced);
    expect(first.map(({ reset, namespace, synced }) => [reset, namespace?.name, synced])).toEqual([
      [true, undefined, false],
      [false, "default", false],
      [false, undefined, true],
    ]);
    const token = first.at(-1)?.resumeToken ?? new Uint8Array();
    await admin.createNamespace({ namespace: { name: "orders" } });
    const behind = await watched(isSynced, token);
    expect(behind.map(({ namespace }) => namespace?.status)).toEqual([
      Status.PROVISIONING,
      Status.ACTIVE,
      undefined,
    ]);
    const last = behind.at(-1)?.resumeToken ?? new Uint8Array();
    expect(await watched(isSynced, last)).toMatchObject([{ synced: true }]);
    await server.stop();
    server = await startTestServer();
    admin = createClient(NamespaceService, createGrpcTransport({ baseUrl: server.adminUrl }));
    expect((await watched(isSynced, last))[0]).toMatchObject({ reset: true });
    const broken = failure(watched(isSynced, new Uint8Array(20)));
    expect(await broken).toMatchObject({ reason: Reason.INVALID_FIELD });
  });

  test("ends with the server", async () => {
    const { seen } = await startWatch(() => false);
    await server.stop();
    expect(await failure(seen)).toMatchObject({ code: Code.Unavailable });
  });
});

describe("the plain routes", () => {
  const json = { "Content-Type": "application/json" };

  async function ask(
    path: string,
    init: RequestInit = {},
  ): Promise<{ status: number; body: Record<string, unknown> }> {
    const response = await fetch(`${server.adminUrl}${path}`, init);
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  }

  test("make, read, list and delete", async () => {
    const made = await ask("/namespaces", {
      method: "POST",
      headers: json,
      body: JSON.stringify({ name: "orders", pattern: "keyvalue", policies: { maxRps: 5 } }),
    });
    expect(made).toMatchObject({
      status: 201,
      body: { name: "orders", status: "NAMESPACE_STATUS_ACTIVE", policies: { maxRps: "5" } },
    });
    expect(await ask("/namespaces/orders")).toEqual({ status: 200, body: made.body });
    const { namespace } = await admin.getNamespace({ namespace: "orders" });
    expect(made.body).toEqual(
      toJson(NamespaceSchema, namespace ?? create(NamespaceSchema), { alwaysEmitImplicit: true }),
    );
    const first = await ask("/namespaces?page_size=1");
    expect(first).toMatchObject({ status: 200, body: { namespaces: [{ name: "default" }] } });
    const token = encodeURIComponent(String(first.body.nextPageToken));
    expect(await ask(`/namespaces?page_size=1&page_token=${token}`)).toMatchObject({
      body: { namespaces: [{ name: "orders" }] },
    });
    expect(await ask("/namespaces/orders", { method: "DELETE" })).toMatchObject({
      status: 400,
      body: { code: "invalid_argument", reason: "INVALID_FIELD" },
    });
    expect(await ask("/namespaces/orders?confirm=orders", { method: "DELETE" })).toMatchObject({
      status: 202,
      body: { status: "NAMESPACE_STATUS_DELETING" },
    });
    await isGone("orders");
    expect(await ask("/namespaces/orders")).toEqual({
      status: 404,
      body: { code: "not_found", reason: "NAMESPACE_NOT_FOUND", message: 'no namespace "orders"' },
    });
  });

  test.each([
    ["no JSON", "{", json, 400, "MALFORMED_REQUEST"],
    ["no object", "[]", json, 400, "MALFORMED_REQUEST"],
    ["an unknown field", '{"name": "a", "colour": 1}', json, 400, "INVALID_FIELD"],
    ["another pattern", '{"name": "a", "pattern": "graph"}', json, 400, "INVALID_FIELD"],
    ["another type", '{"name": 1}', json, 400, "MALFORMED_REQUEST"],
    ["a taken name", '{"name": "default"}', json, 409, "NAMESPACE_EXISTS"],
    ["too much", `{"name": "${"a".repeat(70_000)}"}`, json, 413, "VALUE_TOO_LARGE"],
    [
      "what a page can send unasked",
      '{"name": "a"}',
      { "Content-Type": "text/plain" },
      415,
      "MALFORMED_REQUEST",
    ],
  ])("refuse %s", async (_, body, headers, status, reason) => {
    const refused = await ask("/namespaces", { method: "POST", headers, body });
    expect(refused).toMatchObject({ status, body: { reason, message: expect.any(String) } });
    expect((await admin.listNamespaces({})).namespaces).toHaveLength(1);
  });

  test("run within the policies, as the service does", async () => {
    await ask("/namespaces/default");
    await ask("/namespaces", { method: "POST", headers: json, body: '{"name": "No"}' });
    await ask("/namespaces", { method: "POST", headers: json, body: '{"name": "orders"}' });
    // Bodies that are not read.
    await ask("/namespaces", { method: "POST", headers: json, body: "a".repeat(70_000) });
    await ask("/namespaces", { method: "POST", headers: { "Content-Type": "text/plain" }, body: "a" });
    const calls = server.log.filter(({ service }) => service === "prism.control.v1.NamespaceService");
    const invalid = { call: "CreateNamespace", namespace: "", code: "invalid_argument" };
    expect(calls).toMatchObject([
      { call: "GetNamespace", namespace: "default", code: "ok" },
      { ...invalid, reason: "invalid_field" },
      { call: "CreateNamespace", namespace: "orders", code: "ok" },
      { ...invalid, code: "resource_exhausted", reason: "value_too_large" },
      { ...invalid, reason: "malformed_request" },
    ]);
    const path = methodPath(NamespaceService.method.createNamespace);
    expect(server.audited.filter(({ call }) => call === path).map(({ reason }) => reason)).toEqual([
      "invalid_field",
      undefined,
      "value_too_large",
      "malformed_request",
    ]);
  });

  test("ask who calls, where the gateway does", async () => {
    const [viewer, operator] = [createKey("dashboard", ["viewer"]), createKey("platform", ["operator"])];
    const auth = authSettings({
      apiKeys: [viewer.settings, operator.settings],
      roles: [role("viewer", { adminRole: "viewer" }), role("operator", { adminRole: "operator" })],
    });
    await using guarded = await startTestServer({ adjust: (config) => ({ ...config, auth }) });
    const make = async (authorization: string | undefined, method = "POST", path = "/namespaces") => {
      const response = await fetch(`${guarded.adminUrl}${path}`, {
        method,
        headers: { ...json, ...(authorization && { authorization }) },
        ...(method === "POST" && { body: '{"name": "orders"}' }),
      });
      return [response.status, ((await response.json()) as Record<string, unknown>).reason];
    };
    expect(await make(undefined)).toEqual([401, "CREDENTIALS_MISSING"]);
    expect(await make("Bearer x")).toEqual([401, "CREDENTIALS_INVALID"]);
    expect(await make(viewer.bearer)).toEqual([403, "PERMISSION_DENIED"]);
    expect(await make(operator.bearer)).toEqual([201, undefined]);
    expect(await make(viewer.bearer, "GET", "/namespaces/orders")).toEqual([200, undefined]);
    expect(await make(operator.bearer, "DELETE", "/namespaces/orders?confirm=orders")).toEqual([
      403,
      "PERMISSION_DENIED",
    ]);
  });
});

test("reflection on the admin port lists the service", async () => {
  const reflection = createClient(ServerReflection, createGrpcTransport({ baseUrl: server.adminUrl }));
  const ask = async function* () {
    yield { messageRequest: { case: "listServices", value: "" } } as const;
  };
  const names: string[] = [];
  for await (const { messageResponse } of reflection.serverReflectionInfo(ask())) {
    if (messageResponse.case === "listServicesResponse") {
      names.push(...messageResponse.value.service.map(({ name }) => name));
    }
  }
  expect(names).toContain("prism.control.v1.NamespaceService");
});

test("Connect's JSON on the admin port, and nothing on the data port", async () => {
  const overJson = createClient(
    NamespaceService,
    createConnectTransport({ baseUrl: server.adminUrl, httpVersion: "1.1", useBinaryFormat: false }),
  );
  await overJson.createNamespace({ namespace: { name: "orders" } });
  const onData = createClient(NamespaceService, createGrpcTransport({ baseUrl: server.baseUrl }));
  expect(await failure(onData.listNamespaces({}))).toMatchObject({ code: Code.Unimplemented });
});
