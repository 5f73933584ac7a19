/** The audit log: whom it tells of, over every protocol, on both ports and for plain routes. */
import { readFileSync, renameSync, rmSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import type { DescMethod } from "@bufbuild/protobuf";
import type { FastifyInstance } from "fastify";
import { pino } from "pino";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { ServerReflection } from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import { NamespaceService } from "../../gen/prism/control/v1/namespace_pb.ts";
import {
  GetRequestSchema,
  GetResponseSchema,
  KeyValueBasicInterface,
} from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { createAuditLog } from "../../server/audit-log.ts";
import { auditRoutes } from "../../server/audit-routes.ts";
import type { Audit, AuditEntry } from "../../server/calls/audit.ts";
import { implement } from "../../server/calls/implement.ts";
import { createAuditPolicy } from "../../server/calls/policies/audit.ts";
import type { Policy } from "../../server/calls/policies/policy.ts";
import type { CallRecord } from "../../server/calls/record.ts";
import { PrismError } from "../../server/errors.ts";
import { createReflection } from "../../server/services/reflection.ts";
import { describeService, startPlane } from "../helpers/plane.ts";
import { temporaryFolder } from "../helpers/process.ts";
import { startTestServer } from "../helpers/server.ts";
import { authSettings, createKey, role } from "../helpers/tokens.ts";
import { waitFor } from "../helpers/until.ts";
import { connect, rawCall } from "./raw.ts";
import { callRequest, methodPath, POST_WIRES, type Wire } from "./wire.ts";

const service = describeService(GetRequestSchema, GetResponseSchema, [
  { name: "One" },
  { name: "Many", serverStreaming: true },
]);
const METHODS = [service.method.one, service.method.many].filter((method) => method !== undefined);
const handlers = {
  one: async () => ({ value: new Uint8Array(1) }),
  async *many() {
    yield [{ value: new Uint8Array(1) }];
  },
};

/** Throws what a header names. */
function refuseAs(record: CallRecord, header: string): undefined {
  const reason = record.header(header);
  if (reason !== undefined) {
    throw new PrismError(reason as "permission_denied", "no");
  }
}

/** Stands for the policy that knows callers: headers name the caller and what it is refused for. */
const callers: Policy = {
  on: () => ({
    begin(record) {
      const name = record.header("x-caller");
      record.principal = name === undefined ? undefined : { name, grants: [] };
      return refuseAs(record, "x-refused");
    },
  }),
};

/** Stands for a policy that comes later. */
const later: Policy = { on: () => ({ begin: (record) => refuseAs(record, "x-failed") }) };

interface Told {
  readonly how: "administered" | "refused";
  readonly entry: AuditEntry;
}

/** An audit log that notes what it is told. */
function createNoting(port: Audit["port"]): Audit & { readonly told: Told[] } {
  const told: Told[] = [];
  return {
    port,
    told,
    administered: (entry) => void told.push({ how: "administered", entry }),
    refused: (entry) => void told.push({ how: "refused", entry }),
  };
}

async function start(port: Audit["port"], addRoutes?: (app: FastifyInstance, audit: Audit) => void) {
  const audit = createNoting(port);
  const server = await startPlane({
    policies: () => [callers, createAuditPolicy(audit), later],
    services: (calls) => [
      implement(service, handlers as never, calls),
      implement(ServerReflection, createReflection([], []), calls),
    ],
    ...(addRoutes && {
      addRoutes: async (app) => {
        await app.register(async (routes) => addRoutes(routes, audit));
      },
    }),
  });
  onTestFinished(() => server[Symbol.asyncDispose]());
  return { server, told: audit.told };
}

const request = (wire: Wire, method: DescMethod, headers: Readonly<Record<string, string>>) =>
  callRequest(wire, method, { namespace: "orders", key: "k" } as never, headers);

describe.each(["data", "admin"] as const)("%s port", (port) => {
  test.each(["credentials_missing", "credentials_invalid", "permission_denied"] as const)(
    "every call that is refused as %s",
    async (reason) => {
      const { server, told } = await start(port);
      const code = reason === "permission_denied" ? reason : "unauthenticated";
      for (const wire of POST_WIRES) {
        for (const method of METHODS) {
          const headers = { "x-refused": reason, "x-caller": "mallory", "x-request-id": "id-1" };
          expect(await rawCall(server, request(wire, method, headers))).toMatchObject({ code });
          await waitFor(() => expect(told).toHaveLength(1));
          expect(told.splice(0)).toEqual([
            {
              how: "refused",
              entry: {
                request_id: "id-1",
                peer: "127.0.0.1",
                principal: "mallory",
                call: `/test.Service/${method.name}`,
                namespace: "orders",
                code,
                reason,
              },
            },
          ]);
        }
      }
    },
  );

  test(`calls that are served, and other failures: ${port === "admin" ? "each" : "none"}`, async () => {
    const { server, told } = await start(port);
    for (const wire of POST_WIRES) {
      for (const method of METHODS) {
        expect(await rawCall(server, request(wire, method, { "x-caller": "ops" }))).toMatchObject({
          code: "ok",
        });
        const failed = await rawCall(server, request(wire, method, { "x-failed": "conflict" }));
        expect(failed).toMatchObject({ code: "aborted" });
        if (port === "data") {
          continue;
        }
        await waitFor(() => expect(told).toHaveLength(2));
        const entry = { call: `/test.Service/${method.name}`, namespace: "orders", peer: "127.0.0.1" };
        expect(told.splice(0)).toEqual([
          { how: "administered", entry: expect.objectContaining({ ...entry, principal: "ops", code: "ok" }) },
          {
            how: "administered",
            entry: expect.objectContaining({ ...entry, code: "aborted", reason: "conflict" }),
          },
        ]);
      }
    }
    expect(told).toEqual([]);
  });

  test("reflection is told of only when it is refused", async () => {
    const { server, told } = await start(port);
    const [, , , , grpc] = POST_WIRES;
    const ask = (headers: Readonly<Record<string, string>>) =>
      rawCall(server, callRequest(grpc, ServerReflection.method.serverReflectionInfo, {}, headers));
    expect(await ask({})).toMatchObject({ code: "ok" });
    expect(await ask({ "x-refused": "credentials_missing" })).toMatchObject({ code: "unauthenticated" });
    await waitFor(() => expect(told).toHaveLength(1));
    expect(told[0]).toMatchObject({ how: "refused", entry: { reason: "credentials_missing" } });
  });
});

test("plain routes: those that write, and those that refuse their caller", async () => {
  const { server, told } = await start("admin", (app, audit) => {
    auditRoutes(app, audit, {
      principalOf: ({ method }) => (method === "POST" ? { name: "ops", grants: [] } : undefined),
    });
    app.get("/things", async () => ({}));
    app.get("/secrets", async (_, reply) => reply.code(401).send({}));
    app.post("/things", async (asked) => {
      asked.namespace = "orders";
      return {};
    });
    app.delete("/things/:name", async (_, reply) => reply.code(404).send({}));
    app.put("/things/:name", async () => {
      throw new PrismError("conflict", "no");
    });
  });
  const [wire] = POST_WIRES;
  using connection = connect(server, 1);
  const ask = (httpMethod: string, path: string) =>
    connection.call({ wire, httpMethod, path, headers: { "x-request-id": "id-2" }, body: undefined });
  const known = { request_id: "id-2", peer: "127.0.0.1", principal: undefined };

  await ask("GET", "/things");
  await ask("GET", "/secrets");
  await ask("POST", "/things");
  await ask("DELETE", "/things/a");
  await ask("PUT", "/things/b");
  await waitFor(() => expect(told).toHaveLength(4));
  expect(told).toEqual([
    {
      how: "refused",
      entry: { ...known, call: "GET /secrets", namespace: "", code: "unknown", http_status: 401 },
    },
    {
      how: "administered",
      entry: {
        ...known,
        principal: "ops",
        call: "POST /things",
        namespace: "orders",
        code: "ok",
        http_status: 200,
      },
    },
    {
      how: "administered",
      entry: { ...known, call: "DELETE /things/:name", namespace: "a", code: "unknown", http_status: 404 },
    },
    {
      how: "administered",
      entry: {
        ...known,
        call: "PUT /things/:name",
        namespace: "b",
        code: "aborted",
        http_status: 500,
        reason: "conflict",
      },
    },
  ]);
});

const ENTRY: AuditEntry = {
  request_id: "id-1",
  peer: "10.0.0.1",
  principal: "mallory",
  call: "/test.Service/One",
  namespace: "orders",
  code: "permission_denied",
  reason: "permission_denied",
};

describe("lines", () => {
  /** A log whose lines are kept. */
  function keptLog(level: string) {
    const lines: Record<string, unknown>[] = [];
    return { lines, log: pino({ level }, { write: (line: string) => lines.push(JSON.parse(line)) }) };
  }

  test.each(["debug", "info", "error"])("without a file the log has them, at its level %s", async (level) => {
    const { lines, log } = keptLog(level);
    const audit = createAuditLog(undefined, log);
    await audit.open();
    audit.on("admin").administered(ENTRY);
    audit.on("data").refused(ENTRY);
    expect(lines).toEqual([
      expect.objectContaining({ ...ENTRY, audit: true, port: "admin", msg: "administrative call" }),
      expect.objectContaining({ ...ENTRY, audit: true, port: "data", msg: "call refused" }),
    ]);
    await audit.close();
  });

  test("a silent log has none", async () => {
    const { lines, log } = keptLog("silent");
    const audit = createAuditLog(undefined, log);
    audit.on("admin").administered(ENTRY);
    audit.on("data").refused(ENTRY);
    await audit.close();
    expect(lines).toEqual([]);
  });

  test("a flood of refused calls is a line a second, and none is left out of the count", async () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const { lines, log } = keptLog("debug");
    const audit = createAuditLog(undefined, log);
    const data = audit.on("data");
    for (let second = 0; second < 10; second++) {
      for (let i = 0; i < 1000; i++) {
        // A caller can make up namespaces; that makes no lines of their own.
        data.refused({ ...ENTRY, namespace: `n${i}` });
      }
      vi.advanceTimersByTime(1000);
    }
    data.refused({ ...ENTRY, peer: "10.0.0.2" });
    await audit.close();
    const sum = lines.reduce((total, { count = 1 }) => total + Number(count), 0);
    expect(sum).toBe(10_001);
    expect(lines.length).toBeLessThan(15);
    expect(lines.at(-1)).toMatchObject({ peer: "10.0.0.2" });
  });

  test("many callers at once: the lines stay few, and say that they are of several", async () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const { lines, log } = keptLog("info");
    const audit = createAuditLog(undefined, log);
    for (let i = 0; i < 10_000; i++) {
      audit.on("data").refused({ ...ENTRY, peer: `10.0.${i >> 8}.${i & 255}` });
    }
    vi.advanceTimersByTime(1000);
    await audit.close();
    expect(lines.length).toBeLessThan(70);
    expect(lines.reduce((total, { count = 1 }) => total + Number(count), 0)).toBe(10_000);
    expect(lines.some(({ mixed }) => mixed === true)).toBe(true);
  });
});

test("with auth: who was refused where, on both ports, and what for", async () => {
  const reader = createKey("reporting", ["reader"]);
  await using server = await startTestServer({
    adjust: (config) => ({
      ...config,
      auth: authSettings({
        apiKeys: [reader.settings],
        roles: [
          role("reader", {
            grants: [{ namespaces: "default", permissions: ["read"], keyPrefix: "r/", methods: undefined }],
          }),
        ],
      }),
    }),
  });
  const { get, set } = KeyValueBasicInterface.method;
  const own = { authorization: reader.bearer };
  const [wire] = POST_WIRES;
  using data = connect(server, 1);
  using admin = connect({ baseUrl: server.adminUrl }, 1);
  const route = (path: string, headers: Readonly<Record<string, string>>) =>
    admin.call({ wire, httpMethod: "GET", path, headers, body: undefined });

  expect(await data.call(callRequest(wire, get, { key: "r/1" }, own))).toMatchObject({ code: "not_found" });
  expect(await route("/health", {})).toMatchObject({ httpStatus: 200 });
  await data.call(callRequest(wire, get, { key: "s3cret" }));
  await data.call(callRequest(wire, get, { key: "s3cret" }, { authorization: "Bearer s3cret" }));
  await data.call(callRequest(wire, set, { key: "s3cret" }, own));
  await data.call(callRequest(wire, get, { namespace: "other", key: "s3cret" }, own));
  await server.stop();
  expect(
    server.audited.map(({ principal, call, namespace, reason }) => [principal, call, namespace, reason]),
  ).toEqual([
    [undefined, methodPath(get), "default", "credentials_missing"],
    [undefined, methodPath(get), "default", "credentials_invalid"],
    ["reporting", methodPath(set), "default", "permission_denied"],
    ["reporting", methodPath(get), "other", "permission_denied"],
  ]);
  expect(JSON.stringify(server.audited)).not.toContain("s3cret");
});

test("with auth: unreadable requests, which anybody can send, are a line a second of the admin port", async () => {
  const ops = createKey("ops", ["ops"]);
  await using server = await startTestServer({
    adjust: (config) => ({
      ...config,
      auth: authSettings({ apiKeys: [ops.settings], roles: [role("ops", { adminRole: "admin" })] }),
    }),
  });
  const [wire] = POST_WIRES;
  const { deleteNamespace } = NamespaceService.method;
  using admin = connect({ baseUrl: server.adminUrl }, 1);
  const call = callRequest(wire, deleteNamespace, {});
  for (let i = 0; i < 100; i++) {
    expect(await admin.call({ ...call, body: Buffer.from("{") })).toMatchObject({ code: "invalid_argument" });
    const unconfirmed = { wire, httpMethod: "DELETE", path: "/namespaces/a", headers: {}, body: undefined };
    expect(await admin.call(unconfirmed)).toMatchObject({ httpStatus: 400 });
  }
  // Whoever is known has a line for each.
  for (let i = 0; i < 2; i++) {
    const known = callRequest(wire, deleteNamespace, { namespace: "a" }, { authorization: ops.bearer });
    expect(await admin.call(known)).toMatchObject({ code: "invalid_argument" });
  }
  await server.stop();
  const unknown = server.audited.filter(({ principal }) => principal === undefined);
  expect(unknown.length).toBeLessThan(50);
  expect(unknown.reduce((sum, { count = 1 }) => sum + Number(count), 0)).toBe(200);
  expect(unknown[0]).toMatchObject({ call: methodPath(deleteNamespace), code: "invalid_argument" });
  expect(server.audited.filter(({ principal }) => principal === "ops")).toHaveLength(2);
});

test("with auth: a key outside of the caller's prefix is refused and told of, without the key", async () => {
  const reader = createKey("reporting", ["reader"]);
  await using server = await startTestServer({
    adjust: (config) => ({
      ...config,
      auth: authSettings({
        apiKeys: [reader.settings],
        roles: [
          role("reader", {
            grants: [{ namespaces: "*", permissions: ["read"], keyPrefix: "pre-f1x/", methods: undefined }],
          }),
        ],
      }),
    }),
  });
  const { get } = KeyValueBasicInterface.method;
  for (const wire of POST_WIRES) {
    const headers = { authorization: reader.bearer };
    const inside = await rawCall(server, callRequest(wire, get, { key: "pre-f1x/1" }, headers));
    expect(inside).toMatchObject({ code: "not_found" });
    const answer = await rawCall(server, callRequest(wire, get, { key: "s3cret" }, headers));
    expect(answer).toMatchObject({ code: "permission_denied" });
    expect(answer.message).toContain("pre-f1x/");
  }
  await server.stop();
  expect(server.audited[0]).toMatchObject({ principal: "reporting", reason: "permission_denied" });
  for (const lines of [server.audited, server.log]) {
    expect(JSON.stringify(lines)).not.toMatch(/s3cret|pre-f1x/);
  }
});

describe("a file", () => {
  const evil = (wire: Wire) => ({ ...(wire.http === 2 ? { ":authority": "evil" } : { host: "evil" }) });
  const [http1] = POST_WIRES;

  async function startWith(file: string) {
    return startTestServer({
      logLevel: "info",
      adjust: (config) => ({
        ...config,
        server: { ...config.server, hosts: undefined },
        audit: { file },
      }),
    });
  }

  /** Refused, because of its host. */
  const refused = (server: Awaited<ReturnType<typeof startWith>>) =>
    rawCall(server, callRequest(http1, KeyValueBasicInterface.method.get, { key: "k" }, evil(http1)));

  const linesOf = (path: string): Record<string, unknown>[] =>
    readFileSync(path, "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line));

  test("has the lines, and the log has not", async () => {
    await using folder = await temporaryFolder();
    const file = join(folder.path, "audit.log");
    const server = await startWith(file);
    expect(await refused(server)).toMatchObject({ code: "permission_denied" });
    await server.stop();
    expect(linesOf(file)).toEqual([
      {
        level: "info",
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
        request_id: expect.any(String),
        peer: "127.0.0.1",
        port: "data",
        call: "",
        namespace: "",
        code: "permission_denied",
        reason: "permission_denied",
        msg: "call refused",
      },
    ]);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(server.audited).toEqual([]);
  });

  test("that was moved is followed by a new one", async () => {
    await using folder = await temporaryFolder();
    const file = join(folder.path, "audit.log");
    const server = await startWith(file);
    await refused(server);
    await waitFor(() => expect(linesOf(file)).toHaveLength(1));
    renameSync(file, `${file}.1`);
    server.reopenAudit();
    await waitFor(() => expect(linesOf(file)).toEqual([]));
    await refused(server);
    await server.stop();
    expect(linesOf(file)).toHaveLength(1);
    expect(linesOf(`${file}.1`)).toHaveLength(1);
  });

  test("on a full disk stops nothing: the log says so, and how many lines were lost", async () => {
    await using folder = await temporaryFolder();
    const file = join(folder.path, "audit.log");
    symlinkSync("/dev/full", file);
    const server = await startWith(file);
    expect(await refused(server)).toMatchObject({ code: "permission_denied" });
    await waitFor(() =>
      expect(server.log).toContainEqual(
        expect.objectContaining({ msg: "the audit log cannot be written", code: "ENOSPC", file }),
      ),
    );
    expect(
      await rawCall(server, callRequest(http1, KeyValueBasicInterface.method.exists, { key: "k" })),
    ).toMatchObject({ code: "ok" });
    rmSync(file);
    await refused(server);
    await server.stop();
    expect(server.log).toContainEqual(
      expect.objectContaining({ msg: "lines of the audit log were lost", lost: 1, file }),
    );
    expect(linesOf(file)).toHaveLength(1);
  });

  test("that cannot be made refuses the start, and names the setting", async () => {
    await using folder = await temporaryFolder();
    const file = join(folder.path, "none", "audit.log");
    await expect(startWith(file)).rejects.toThrow(`audit.file ${file} cannot be opened: ENOENT`);
  });
});
