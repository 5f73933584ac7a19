/** What the console asks of the admin port: data, who calls, and the traffic. */
import { type Client, Code, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { describe, expect, onTestFinished, test } from "vitest";
import { createGrpcTransport } from "../client/transport/transport.ts";
import { AdminService } from "../gen/prism/admin/v1/admin_pb.ts";
import { NamespaceService } from "../gen/prism/control/v1/namespace_pb.ts";
import { KeyValueBasicInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { ListBasicInterface } from "../gen/prism/interfaces/list/list_basic_pb.ts";
import type { Config } from "../server/config/config.ts";
import { NO_RULES } from "../server/namespaces/rules.ts";
import { startTestServer, type TestServer } from "./helpers/server.ts";
import { authSettings, createKey, role } from "./helpers/tokens.ts";
import { waitFor } from "./helpers/until.ts";

const team = createKey("team-a.api", ["team-a"]);
const viewer = createKey("dashboard", ["viewer"]);
const operator = createKey("ops", ["team-a", "operator"]);
const stranger = createKey("stranger");

const ROLES = [
  role("team-a", {
    grants: [
      { namespaces: "team-a", permissions: ["read", "write"], keyPrefix: "", methods: undefined },
      { namespaces: "team-*", permissions: ["read"], keyPrefix: "own/", methods: ["Get"] },
    ],
  }),
  role("viewer", { adminRole: "viewer" }),
  role("operator", { adminRole: "operator" }),
];

/** Callers are asked; team-a.* may also read in team-c, which says so itself. */
const guarded = (config: Config): Config => ({
  ...config,
  auth: authSettings({
    apiKeys: [team, viewer, operator, stranger].map(({ settings }) => settings),
    roles: ROLES,
  }),
  namespaces: ["team-a", "team-b", "team-c"].map((name) => ({
    name,
    pattern: "keyvalue" as const,
    backend: "database",
    rules: {
      ...NO_RULES,
      access: {
        owners: [],
        consumers:
          name === "team-c"
            ? [{ servicePattern: "team-a.*", permissions: ["read"], keyPrefix: "", methods: undefined }]
            : [],
      },
    },
  })),
});

type Port = "adminUrl" | "baseUrl";

/** Calls a port with a key. "" = with none. */
function callsOn(server: TestServer, port: Port, token = "") {
  const authorize: Interceptor = (next) => (request) => {
    if (token !== "") {
      request.header.set("authorization", token);
    }
    return next(request);
  };
  const transport = createConnectTransport({
    baseUrl: server[port],
    httpVersion: "1.1",
    interceptors: [authorize],
  });
  return {
    keys: createClient(KeyValueBasicInterface, transport),
    lists: createClient(ListBasicInterface, transport),
    admin: createClient(AdminService, transport),
    namespaces: createClient(NamespaceService, transport),
  };
}

const value = new TextEncoder().encode("v");
const set = (keys: Client<typeof KeyValueBasicInterface>, namespace: string) =>
  keys.set({ namespace, key: "k", value });

describe("data calls on the admin port", () => {
  test("are those of the data port, over every protocol", async () => {
    await using server = await startTestServer();
    const transport = createGrpcTransport({ baseUrl: server.adminUrl });
    onTestFinished(() => transport.close());
    await set(createClient(KeyValueBasicInterface, transport), "");
    expect(await callsOn(server, "baseUrl").keys.get({ key: "k" })).toMatchObject({ value });
    const { lists } = callsOn(server, "adminUrl");
    await lists.pushRight({ listKey: "l", value });
    expect(await callsOn(server, "baseUrl").lists.length({ listKey: "l" })).toMatchObject({ length: 1n });
  });

  test("need what they need on the data port: grants, and no admin role", async () => {
    await using server = await startTestServer({ adjust: guarded });
    for (const port of ["adminUrl", "baseUrl"] as const) {
      const { keys } = callsOn(server, port, team.bearer);
      expect(await set(keys, "team-a")).toMatchObject({ success: true });
      await expect(set(keys, "team-b")).rejects.toMatchObject({ code: Code.PermissionDenied });
      await expect(keys.get({ namespace: "team-b", key: "k" })).rejects.toMatchObject({
        code: Code.PermissionDenied,
      });
      await expect(keys.get({ namespace: "team-b", key: "own/k" })).rejects.toMatchObject({
        code: Code.NotFound,
      });
      const looking = callsOn(server, port, viewer.bearer).keys;
      await expect(looking.get({ namespace: "team-a", key: "k" })).rejects.toMatchObject({
        code: Code.PermissionDenied,
      });
      await expect(set(callsOn(server, port).keys, "team-a")).rejects.toMatchObject({
        code: Code.Unauthenticated,
      });
    }
    // And the reverse: grants are no admin role.
    const { admin, namespaces } = callsOn(server, "adminUrl", team.bearer);
    await expect(admin.getServer({})).rejects.toMatchObject({ code: Code.PermissionDenied });
    await expect(admin.getTraffic({})).rejects.toMatchObject({ code: Code.PermissionDenied });
    await expect(namespaces.listNamespaces({})).rejects.toMatchObject({ code: Code.PermissionDenied });
  });

  test("have one quota with those of the data port", async () => {
    await using server = await startTestServer({
      adjust: (config) => ({
        ...config,
        quotas: { ...config.quotas, default: { ...config.quotas.default, maxRps: 1, burst: 20 } },
      }),
    });
    const results = await Promise.all(
      Array.from({ length: 40 }, (_, i) =>
        callsOn(server, i % 2 === 0 ? "adminUrl" : "baseUrl")
          .keys.exists({ key: "k" })
          .then(
            () => "ok",
            ({ code }) => code,
          ),
      ),
    );
    expect(new Set(results)).toEqual(new Set(["ok", Code.ResourceExhausted]));
    // Operators have none.
    const { admin } = callsOn(server, "adminUrl");
    await admin.getServer({});
    await admin.getServer({});
    await admin.getServer({});
  });

  test("have a line in the audit log if they write or are refused", async () => {
    await using server = await startTestServer({ adjust: guarded });
    const { keys } = callsOn(server, "adminUrl", operator.bearer);
    await set(keys, "team-a");
    await keys.get({ namespace: "team-a", key: "k" });
    await expect(set(keys, "team-b")).rejects.toThrow();
    const { admin } = callsOn(server, "adminUrl", operator.bearer);
    await admin.getTraffic({});
    await admin.getCaller({});
    // The last one tells that no other line is still to come.
    await waitFor(() =>
      expect(
        server.audited.map(({ port, call, code }) => [port, String(call).split("/").at(-1), code]),
      ).toEqual([
        ["admin", "Set", "ok"],
        ["admin", "Set", "permission_denied"],
        ["admin", "GetCaller", "ok"],
      ]),
    );
  });

  test("end when the gateway is taken out of service; the port itself goes on", async () => {
    await using server = await startTestServer();
    const { keys, admin } = callsOn(server, "adminUrl");
    await set(keys, "");
    await admin.drain({});
    await expect(set(keys, "")).rejects.toMatchObject({ code: Code.Unavailable });
    expect(await admin.getServer({})).toMatchObject({ serving: false });
  });

  test("and the console can be turned off", async () => {
    await using server = await startTestServer({
      adjust: (config) => ({ ...config, admin: { ...config.admin, console: false } }),
    });
    const { keys, admin } = callsOn(server, "adminUrl");
    await expect(set(keys, "")).rejects.toMatchObject({ code: Code.Unimplemented });
    expect(await admin.getCaller({})).toMatchObject({ authConfigured: false });
  });
});

describe("GetCaller", () => {
  test("tells every caller what it may do", async () => {
    await using server = await startTestServer({ adjust: guarded });
    const ask = (token: string) => callsOn(server, "adminUrl", token).admin.getCaller({});
    expect(await ask(team.bearer)).toMatchObject({
      authConfigured: true,
      name: "team-a.api",
      adminRole: "",
      grants: [
        {
          namespaces: "team-a",
          permissions: ["read", "write"],
          keyPrefix: "",
          onlyMethods: false,
          methods: [],
        },
        {
          namespaces: "team-*",
          permissions: ["read"],
          keyPrefix: "own/",
          onlyMethods: true,
          methods: ["Get"],
        },
        { namespaces: "team-c", permissions: ["read"], keyPrefix: "", onlyMethods: false, methods: [] },
      ],
    });
    expect(await ask(viewer.bearer)).toMatchObject({ name: "dashboard", adminRole: "viewer", grants: [] });
    expect(await ask(stranger.bearer)).toMatchObject({
      authConfigured: true,
      name: "stranger",
      adminRole: "",
    });
    await expect(ask("")).rejects.toMatchObject({ code: Code.Unauthenticated });
    await expect(ask("Bearer prism_wrong")).rejects.toMatchObject({ code: Code.Unauthenticated });
  });

  test("says that nobody is asked", async () => {
    await using server = await startTestServer();
    const told = await callsOn(server, "adminUrl").admin.getCaller({});
    expect(told).toMatchObject({ authConfigured: false, name: "", adminRole: "", grants: [] });
  });
});

describe("GetTraffic", () => {
  test("counts the calls of both ports", async () => {
    await using server = await startTestServer();
    const { keys, admin } = callsOn(server, "adminUrl");
    const first = await admin.getTraffic({});
    await set(keys, "");
    await set(callsOn(server, "baseUrl").keys, "");
    await expect(keys.get({ key: "absent" })).rejects.toMatchObject({ code: Code.NotFound });
    const then = await admin.getTraffic({ namespaces: ["default", "absent"] });
    expect(then.startedAtMillis).toBe(first.startedAtMillis);
    expect(then.readAtMillis).toBeGreaterThan(first.readAtMillis);
    expect(then.namespaces).toMatchObject([
      { namespace: "default", calls: 3n, failures: { NOT_FOUND: 1n }, callsUnderWay: 0n },
    ]);
    expect(then.namespaces[0]?.requestBytes).toBeGreaterThan(0n);
    expect(then.methods.map(({ method, calls }) => [method.split("/")[1], calls])).toEqual([
      ["Get", 1n],
      ["Set", 2n],
    ]);
    for (const { calls, durationCounts, durationMillis } of then.methods) {
      expect(durationCounts).toHaveLength(then.durationBoundsMillis.length + 1);
      expect(durationCounts.reduce((sum, count) => sum + count, 0n)).toBe(calls);
      expect(durationMillis).toBeGreaterThan(0);
    }
    expect(then.durationBoundsMillis).toEqual(then.durationBoundsMillis.toSorted((a, b) => a - b));
    expect(then.process).toMatchObject({ processes: 1 });
    expect(then.process?.cpuSeconds).toBeGreaterThan(0);
    expect(then.process?.residentBytes).toBeGreaterThan(1_000_000n);
    expect(then.process?.adminConnections).toBeGreaterThan(0n);
  });

  test("counts itself apart from the namespaces", async () => {
    await using server = await startTestServer();
    const { admin } = callsOn(server, "adminUrl");
    await admin.getTraffic({});
    const { namespaces, methods, namespaceCount } = await admin.getTraffic({});
    expect(namespaces).toMatchObject([{ namespace: "", calls: 1n, callsUnderWay: 1n }]);
    expect(namespaceCount).toBe(1);
    expect(methods.map(({ method }) => method)).toEqual(["prism.admin.v1.AdminService/GetTraffic"]);
  });

  test("refuses too many namespaces, and says where nothing is counted", async () => {
    await using server = await startTestServer();
    const namespaces = Array.from({ length: 1001 }, (_, i) => `n${i}`);
    await expect(callsOn(server, "adminUrl").admin.getTraffic({ namespaces })).rejects.toMatchObject({
      code: Code.InvalidArgument,
    });
    await using silent = await startTestServer({
      adjust: (config) => ({ ...config, metrics: { ...config.metrics, enabled: false } }),
    });
    await expect(callsOn(silent, "adminUrl").admin.getTraffic({})).rejects.toMatchObject({
      code: Code.Unimplemented,
      rawMessage: expect.stringContaining("metrics.enabled"),
    });
  });
});
