/** What an operator learns of a gateway on its admin port, and how it is taken out of service. */
import { setTimeout as delay } from "node:timers/promises";
import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { createAsyncIterable } from "@connectrpc/connect/protocol";
import {
  createConnectTransport,
  createGrpcTransport as createNodeTransport,
  Http2SessionManager,
} from "@connectrpc/connect-node";
import { afterEach, describe, expect, test } from "vitest";
import { PrismClient } from "../client/node.ts";
import { createGrpcTransport } from "../client/transport/transport.ts";
import { ServerReflection } from "../gen/grpc/reflection/v1/reflection_pb.ts";
import { AdminService, Atomicity, BackendState } from "../gen/prism/admin/v1/admin_pb.ts";
import { KeyValueBasicInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { KeyValueBatchInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_batch_pb.ts";
import { KeyValueScanInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { postgresSchema } from "../server/backend/postgres/config.ts";
import { redisSchema } from "../server/backend/redis/config.ts";
import type { Config } from "../server/config/config.ts";
import { SERVICES } from "../server/services/services.ts";
import { readVersion } from "../server/version.ts";
import { startForeignPlugin } from "./helpers/foreign-plugin.ts";
import { createTestDatabase, hasTestDatabase } from "./helpers/postgres.ts";
import { temporaryFolder } from "./helpers/process.ts";
import { canStartRedis, startRedis } from "./helpers/redis.ts";
import { startTestServer, type TestServer } from "./helpers/server.ts";
import { authSettings, createKey, role } from "./helpers/tokens.ts";
import { waitFor } from "./helpers/until.ts";

/** A store that is away: nobody listens on port 1. */
const NOBODY = { type: "remote", endpoint: "127.0.0.1:1" } as const;

type Admin = Client<typeof AdminService>;

let closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers) {
    close();
  }
  closers = [];
});

/** Calls over gRPC. */
function overGrpc(server: TestServer): Admin {
  const transport = createGrpcTransport({ baseUrl: server.adminUrl });
  closers.push(() => transport.close());
  return createClient(AdminService, transport);
}

/** Calls as curl makes them: JSON over HTTP/1.1. */
function overJson(server: TestServer): Admin {
  const transport: Transport = createConnectTransport({
    baseUrl: server.adminUrl,
    httpVersion: "1.1",
    useBinaryFormat: false,
  });
  return createClient(AdminService, transport);
}

const WAYS = [
  ["gRPC", overGrpc],
  ["JSON", overJson],
] as const;

/** A namespace for each of these backends, with the backend's name. */
const onBackends = (backends: Config["backends"]) => (config: Config) => ({
  ...config,
  backends: { ...config.backends, ...backends },
  namespaces: [
    ...config.namespaces,
    ...Object.keys(backends).map((name) => ({ name, pattern: "keyvalue" as const, backend: name })),
  ],
});

async function readyz(server: TestServer, query = ""): Promise<[status: number, text: string]> {
  const response = await fetch(`${server.adminUrl}/readyz${query}`);
  return [response.status, await response.text()];
}

describe.each(WAYS)("AdminService over %s", (_, connect) => {
  test("tells of every configured store, also of one that nobody uses", async () => {
    await using folder = await temporaryFolder();
    const path = `${folder.path}/prism.db`;
    await using server = await startTestServer({
      adjust: (config) => ({
        ...onBackends({ file: { type: "sqlite", path } })(config),
        backends: { ...config.backends, file: { type: "sqlite", path }, spare: { type: "memory" } },
      }),
    });
    const { backends } = await connect(server).listBackends({});
    expect(backends.map(({ name, type, where, state }) => [name, type, where, state])).toEqual([
      ["database", "memory", "", BackendState.SERVING],
      ["file", "sqlite", path, BackendState.SERVING],
      ["spare", "memory", "", BackendState.UNUSED],
    ]);
    const [, file, spare] = backends;
    expect(file).toMatchObject({
      atomicity: Atomicity.NAMESPACE,
      canErase: true,
      namespaceCount: 1,
      namespaces: ["file"],
      problem: "",
    });
    expect(file?.interfaces).toEqual(expect.arrayContaining(["entries", "records", "listBlocking"]));
    expect(Object.keys(file?.figures ?? {})).toEqual(expect.arrayContaining(["queued_calls"]));
    expect(spare).toMatchObject({ stateSinceMillis: 0n, interfaces: [], namespaceCount: 0 });
  });

  test("refuses a store that is not configured, and tells no more", async () => {
    await using server = await startTestServer();
    await expect(connect(server).getBackend({ name: "none" })).rejects.toThrow(
      '[not_found] there is no backend "none"',
    );
    await expect(connect(server).getBackend({ name: "<script>" })).rejects.toThrow(
      "[not_found] there is no such backend",
    );
  });

  test("tells what works in a namespace", async () => {
    await using server = await startTestServer();
    const { services, ...answer } = await connect(server).getCapabilities({});
    expect(answer).toMatchObject({ namespace: "default", backend: "database", type: "memory" });
    const data = SERVICES.map(({ typeName }) => typeName).filter((name) => !name.startsWith("grpc."));
    expect(services.map(({ service }) => service).sort()).toEqual([...data].sort());
    expect(services.every(({ supported }) => supported)).toBe(true);
    expect(services).toContainEqual(
      expect.objectContaining({
        service: "prism.keyvalue.v1.KeyValueService",
        version: "v1",
        methods: ["Put", "PutBatch", "Get", "Delete", "Scan", "CompareAndSwap"],
      }),
    );
    await expect(connect(server).getCapabilities({ namespace: "none" })).rejects.toThrow(
      '[not_found] no namespace "none"',
    );
  });

  test("tells of the gateway itself", async () => {
    const beforeMs = Date.now();
    await using server = await startTestServer();
    const told = await connect(server).getServer({});
    expect(told).toMatchObject({
      version: readVersion(),
      nodeVersion: process.version,
      serving: true,
      dataAddress: server.address,
      adminAddress: new URL(server.adminUrl).host,
      namespaceCount: 1,
      callsUnderWay: 0,
    });
    expect(told.limits.max_value_bytes).toBe(4_194_304n);
    expect(Number(told.startedAtMillis)).toBeGreaterThanOrEqual(beforeMs);
    expect(Number(told.uptimeMillis)).toBeLessThanOrEqual(Date.now() - beforeMs + 1);
  });
});

test("reflection on the admin port tells of it", async () => {
  await using server = await startTestServer();
  const transport = createGrpcTransport({ baseUrl: server.adminUrl });
  closers.push(() => transport.close());
  const question = {
    messageRequest: { case: "fileContainingSymbol", value: AdminService.typeName },
  } as const;
  const answers = createClient(ServerReflection, transport).serverReflectionInfo(
    createAsyncIterable([question]),
  );
  for await (const { messageResponse } of answers) {
    expect(messageResponse.case).toBe("fileDescriptorResponse");
  }
});

test("a plugin's lacks are known once it is there", async () => {
  const endpoint = await startForeignPlugin([KeyValueBasicInterface], {
    Exists: (_call, answer) => answer({ exists: false }),
  });
  await using server = await startTestServer({
    adjust: onBackends({ plugin: { type: "remote", endpoint } }),
  });
  const { services } = await overGrpc(server).getCapabilities({ namespace: "plugin" });
  // Without batches of its own it is called for each item.
  expect(services.filter(({ supported }) => supported).map(({ service }) => service)).toEqual([
    KeyValueBasicInterface.typeName,
    KeyValueBatchInterface.typeName,
  ]);
  const { backend } = await overGrpc(server).getBackend({ name: "plugin" });
  expect(backend).toMatchObject({
    where: endpoint,
    interfaces: ["entries"],
    atomicity: Atomicity.KEY,
    canErase: false,
  });
});

test.runIf(hasTestDatabase())("neither user nor password of a PostgreSQL is told", async () => {
  await using database = await createTestDatabase();
  const url = new URL(database.url);
  await using server = await startTestServer({
    adjust: onBackends({ main: postgresSchema.parse({ type: "postgres", url: database.url }) }),
  });
  const { backend } = await overGrpc(server).getBackend({ name: "main" });
  expect(backend).toMatchObject({
    where: `${url.host}${url.pathname}, schema prism`,
    state: BackendState.SERVING,
    canErase: true,
  });
  expect(Object.keys(backend?.figures ?? {})).toEqual(
    expect.arrayContaining(["connections_max", "connections_used", "breakers_open"]),
  );
});

test.runIf(canStartRedis())("a Redis that is killed and comes back: its state, and since when", async () => {
  await using redis = await startRedis();
  await using server = await startTestServer({
    adjust: onBackends({ cache: redisSchema.parse({ type: "redis", url: redis.url }) }),
  });
  const admin = overGrpc(server);
  const look = async () => {
    const { backend } = await admin.getBackend({ name: "cache" });
    return { state: backend?.state, since: Number(backend?.stateSinceMillis), problem: backend?.problem };
  };
  const before = await look();
  expect(before).toMatchObject({ state: BackendState.SERVING, problem: "" });
  // A state that stays keeps its time.
  await delay(2);
  expect(await look()).toEqual(before);
  expect(await readyz(server)).toEqual([200, "ok\n"]);
  expect(await readyz(server, "?verbose")).toEqual([
    200,
    "[+]server ok\n[+]namespace default ok\n[+]namespace cache ok\nok\n",
  ]);

  await redis.kill();
  await waitFor(async () => expect((await look()).state).toBe(BackendState.NOT_SERVING));
  const away = await look();
  expect(away.since).toBeGreaterThan(before.since);
  expect(away.problem).toBe("the store cannot be reached");
  // Nobody asks the store for this.
  const listed = await admin.listBackends({});
  expect(listed.backends.find(({ name }) => name === "cache")?.state).toBe(BackendState.NOT_SERVING);
  const failed = "[-]namespace cache failed: the store cannot be reached\n";
  expect(await readyz(server)).toEqual([503, `${failed}not ready\n`]);
  expect(await readyz(server, "?verbose")).toEqual([
    503,
    `[+]server ok\n[+]namespace default ok\n${failed}not ready\n`,
  ]);
  expect(await readyz(server, "?exclude=cache")).toEqual([200, "ok\n"]);
  expect((await fetch(`${server.adminUrl}/livez`)).status).toBe(200);
  expect((await fetch(`${server.adminUrl}/health`)).status).toBe(503);

  await redis.start();
  await waitFor(async () => expect((await look()).state).toBe(BackendState.SERVING));
  expect((await look()).since).toBeGreaterThan(away.since);
  expect(await readyz(server)).toEqual([200, "ok\n"]);
});

test("a state is known without being asked for", async () => {
  await using database = await startTestServer();
  await using server = await startTestServer({
    adjust: onBackends({ plugin: { type: "remote", endpoint: database.address, namespace: "default" } }),
  });
  const admin = overGrpc(server);
  const stateOf = async () => {
    const { backends } = await admin.listBackends({});
    return backends.find(({ name }) => name === "plugin")?.state;
  };
  expect(await stateOf()).toBe(BackendState.SERVING);
  await database.stop();
  await waitFor(async () => expect(await stateOf()).toBe(BackendState.NOT_SERVING));
});

describe("Drain", () => {
  const ENTRIES = 400;

  test.each(WAYS)(
    "over %s: waits for calls under way, refuses new ones, and tells what is left",
    async (_, connect) => {
      await using plugin = await startTestServer();
      await using server = await startTestServer({
        adjust: onBackends({ plugin: { type: "remote", endpoint: plugin.address, namespace: "default" } }),
      });
      const admin = connect(server);
      await using client = new PrismClient(server.address);
      for (let i = 0; i < ENTRIES; i++) {
        await client.keyvalue.set(`k${i}`, new Uint8Array(50_000));
      }
      // More than what fits on the way, so the call is under way until all of it is read.
      const sessionManager = new Http2SessionManager(server.baseUrl);
      closers.push(() => sessionManager.abort());
      const transport = createNodeTransport({ baseUrl: server.baseUrl, sessionManager });
      const reading = createClient(KeyValueScanInterface, transport).scan({})[Symbol.asyncIterator]();
      await reading.next();
      await expect(admin.drain({ maxWaitMillis: -1n })).rejects.toThrow(
        "max_wait_millis must be 0 to 600000",
      );
      expect(await admin.drain({ maxWaitMillis: 50n })).toMatchObject({ callsLeft: 1 });

      expect(await readyz(server, "?verbose")).toEqual([
        503,
        "[-]server failed: it takes no calls\n[+]namespace default ok\n[+]namespace plugin ok\nnot ready\n",
      ]);
      expect((await fetch(`${server.adminUrl}/livez`)).status).toBe(200);
      expect(await admin.getServer({})).toMatchObject({ serving: false, callsUnderWay: 1 });
      await expect(fetch(server.baseUrl)).rejects.toThrow();

      const drained = admin.drain({ maxWaitMillis: 60_000n });
      let read = 1;
      for (let next = await reading.next(); next.done !== true; next = await reading.next()) {
        read++;
      }
      expect(read).toBe(ENTRIES);
      expect(await drained).toMatchObject({ callsLeft: 0 });
    },
  );

  test("ends calls that wait, and a stop goes on from there", async () => {
    await using server = await startTestServer();
    await using client = new PrismClient(server.address, { retries: 0 });
    const waiting = expect(client.list.blockingPopLeft("l", { waitMs: 60_000 })).rejects.toMatchObject({
      reason: "shutting_down",
    });
    await waitFor(async () => expect((await overGrpc(server).getServer({})).callsUnderWay).toBe(1));
    expect(await overGrpc(server).drain({ maxWaitMillis: 60_000n })).toMatchObject({ callsLeft: 0 });
    await waiting;
    await server.stop();
  });
});

describe("with authentication", () => {
  const viewer = createKey("dashboard", ["viewer"]);
  const operator = createKey("on-call", ["operator"]);
  const guarded = (config: Config) => ({
    ...onBackends({ gone: NOBODY })(config),
    auth: authSettings({
      apiKeys: [viewer.settings, operator.settings],
      roles: (["viewer", "operator"] as const).map((name) => role(name, { adminRole: name })),
    }),
  });

  test("a viewer looks, and an operator drains", async () => {
    await using server = await startTestServer({ adjust: guarded });
    const admin = overJson(server);
    const as = ({ bearer }: { readonly bearer: string }) => ({ headers: { authorization: bearer } });
    await expect(admin.getServer({})).rejects.toThrow("[unauthenticated]");
    expect(await admin.getServer({}, as(viewer))).toMatchObject({ serving: true });
    await expect(admin.drain({}, as(viewer))).rejects.toThrow("[permission_denied]");
    expect(await admin.getServer({}, as(viewer))).toMatchObject({ serving: true });
    expect(await admin.drain({}, as(operator))).toMatchObject({ callsLeft: 0 });
    expect(await admin.getServer({}, as(viewer))).toMatchObject({ serving: false });
  });

  test("probes need no credentials; who shows none learns no names", async () => {
    await using server = await startTestServer({ adjust: guarded });
    expect((await fetch(`${server.adminUrl}/livez`)).status).toBe(200);
    for (const query of ["", "?verbose", "?exclude=gone"]) {
      expect(await readyz(server, query)).toEqual([503, "not ready\n"]);
    }
    const headers = { authorization: viewer.bearer };
    const response = await fetch(`${server.adminUrl}/readyz?exclude=gone&verbose`, { headers });
    expect([response.status, await response.text()]).toEqual([
      200,
      "[+]server ok\n[+]namespace default ok\nok\n",
    ]);
  });
});
