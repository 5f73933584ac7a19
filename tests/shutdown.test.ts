import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { Agent, request as httpRequest } from "node:http";
import http2 from "node:http2";
import { setTimeout as delay } from "node:timers/promises";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { expect, test } from "vitest";
import { Health, HealthCheckResponse_ServingStatus as Status } from "../gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "../gen/grpc/reflection/v1/reflection_pb.ts";
import { KeyValueScanInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { type ServerProcess, spawnServer, temporaryFolder } from "./helpers/process.ts";

const GET = "/prism.interfaces.keyvalue.KeyValueBasicInterface/Exists";
const SET = "/prism.interfaces.keyvalue.KeyValueBasicInterface/Set";
const HEADERS = { "content-type": "application/json" };

/** The number of answered calls, and each failure of a call that was sent on an open connection. */
interface Tally {
  answered: number;
  readonly failed: unknown[];
}

/**
 * Makes calls without a pause on one HTTP/2 connection, `width` at a time, until the server says
 * GOAWAY.
 */
async function loadHttp2(address: string, width: number, tally: Tally): Promise<void> {
  const session = http2.connect(`http://${address}`);
  session.on("error", (error) => tally.failed.push(error));
  const call = () =>
    new Promise<void>((resolve) => {
      const stream = session.request({ ":method": "POST", ":path": GET, ...HEADERS });
      stream.on("response", (headers) => {
        if (headers[":status"] === 200) {
          tally.answered++;
        } else {
          tally.failed.push(headers[":status"]);
        }
      });
      stream.on("error", (error) => {
        // It was sent while GOAWAY was on its way: the server reports that it did not take the
        // call.
        if (stream.rstCode !== http2.constants.NGHTTP2_REFUSED_STREAM) {
          tally.failed.push(error);
        }
      });
      stream.on("close", resolve);
      stream.resume();
      stream.end('{"key":"a"}');
    });
  const lane = async () => {
    while (!session.closed && !session.destroyed) {
      await call();
    }
  };
  await Promise.all(Array.from({ length: width }, lane));
}

/** The same on kept-alive HTTP/1.1 connections, each until an answer says `Connection: close`. */
async function loadHttp1(address: string, width: number, tally: Tally): Promise<void> {
  const [host, port] = address.split(":");
  const lane = async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    let open = true;
    while (open) {
      await new Promise<void>((resolve) => {
        const request = httpRequest(
          { host, port, agent, method: "POST", path: SET, headers: HEADERS },
          (response) => {
            open = response.headers.connection !== "close";
            tally.answered++;
            response.resume();
            response.on("end", resolve);
          },
        );
        request.on("error", (error) => {
          tally.failed.push(error);
          open = false;
          resolve();
        });
        request.end('{"key":"a","value":"aGk="}');
      });
    }
    agent.destroy();
  };
  await Promise.all(Array.from({ length: width }, lane));
}

function clientOf<T>(server: ServerProcess, make: (transport: ReturnType<typeof createGrpcTransport>) => T) {
  const baseUrl = `http://${server.address}`;
  const sessionManager = new Http2SessionManager(baseUrl);
  const client = make(createGrpcTransport({ baseUrl, sessionManager }));
  return { client, [Symbol.dispose]: () => sessionManager.abort() };
}

async function fill(server: ServerProcess, entries: number): Promise<void> {
  const value = Buffer.alloc(50_000).toString("base64");
  for (let i = 0; i < entries; i++) {
    const response = await fetch(`http://${server.address}${SET}`, {
      method: "POST",
      headers: HEADERS,
      body: JSON.stringify({ key: `k${i}`, value }),
    });
    expect(response.status).toBe(200);
  }
}

async function configFile(folder: string, graceMs: number): Promise<string> {
  const path = `${folder}/prism.yaml`;
  await writeFile(path, `server:\n  shutdown_grace_ms: ${graceMs}\ndatabase:\n  type: memory\n`);
  return path;
}

test("SIGTERM under load: no call that was accepted fails, and the exit code is 0", async () => {
  await using folder = await temporaryFolder();
  await using server = await spawnServer(["--data-dir", folder.path]);
  const tally: Tally = { answered: 0, failed: [] };
  const load = [
    loadHttp2(server.address, 16, tally),
    loadHttp2(server.address, 16, tally),
    loadHttp1(server.address, 8, tally),
  ];
  while (tally.answered < 500) {
    await new Promise(setImmediate);
  }
  server.child.kill("SIGTERM");
  await Promise.all(load);
  expect(await server.exited).toBe(0);
  expect(tally.failed).toEqual([]);
  const messages = server.lines.map((line) => JSON.parse(line).msg);
  expect(messages.slice(-2)).toEqual(["stopping", "stopped"]);
});

test("health turns, calls in flight end in their time, new connections are refused", async () => {
  await using folder = await temporaryFolder();
  await using server = await spawnServer(["--config", await configFile(folder.path, 15_000)]);
  await fill(server, 100);
  using health = clientOf(server, (transport) => createClient(Health, transport));
  using scan = clientOf(server, (transport) => createClient(KeyValueScanInterface, transport));

  const statuses: Status[] = [];
  const reader = scan.client.scan({})[Symbol.asyncIterator]();
  const watching = (async () => {
    for await (const { status } of health.client.watch({ service: "" })) {
      statuses.push(status);
      if (status === Status.NOT_SERVING) {
        return;
      }
      // Both streams are open now.
      await reader.next();
      server.child.kill("SIGTERM");
    }
  })();
  await watching;
  expect(statuses).toEqual([Status.SERVING, Status.NOT_SERVING]);

  const [host, port] = server.address.split(":");
  const newcomer = httpRequest({ host, port, agent: false });
  const [error] = await once(newcomer, "error");
  expect(error.code).toBe("ECONNREFUSED");

  let rest = 1;
  while (!(await reader.next()).done) {
    rest++;
  }
  expect(rest).toBe(100);
  expect(await server.exited).toBe(0);
});

test("a stream that outlives the grace time ends with UNAVAILABLE", async () => {
  await using folder = await temporaryFolder();
  await using server = await spawnServer(["--config", await configFile(folder.path, 200)]);
  using health = clientOf(server, (transport) => createClient(Health, transport));
  using reflection = clientOf(server, (transport) => createClient(ServerReflection, transport));
  const watch = health.client.watch({ service: "" })[Symbol.asyncIterator]();
  await watch.next();
  const stream = endlessStream(reflection.client);
  await stream.next();
  server.child.kill("SIGTERM");
  expect((await watch.next()).value?.status).toBe(Status.NOT_SERVING);
  const error = await stream.next().then(
    () => undefined,
    (reason: unknown) => ConnectError.from(reason),
  );
  expect(error?.code).toBe(Code.Unavailable);
  expect(error?.rawMessage).toBe("the server is shutting down");
  expect(await server.exited).toBe(0);
});

/** A server that takes a minute to stop because a stream is open. `signal` told it to stop. */
async function startStopping(folder: string, signal: NodeJS.Signals) {
  const server = await spawnServer(["--config", await configFile(folder, 60_000)]);
  const health = clientOf(server, (transport) => createClient(Health, transport));
  const reflection = clientOf(server, (transport) => createClient(ServerReflection, transport));
  const watch = health.client.watch({ service: "" })[Symbol.asyncIterator]();
  await watch.next();
  const stream = endlessStream(reflection.client);
  await stream.next();
  server.child.kill(signal);
  expect((await watch.next()).value?.status).toBe(Status.NOT_SERVING);
  return {
    server,
    stream,
    async [Symbol.asyncDispose]() {
      health[Symbol.dispose]();
      reflection[Symbol.dispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

test("a second signal ends the process at once", async () => {
  await using folder = await temporaryFolder();
  await using stopping = await startStopping(folder.path, "SIGINT");
  const { server, stream } = stopping;
  server.child.kill("SIGTERM");
  expect(await server.exited).toBe(128 + 15);
  await expect(stream.next()).rejects.toThrow();
});

test("so does the same signal again", { timeout: 60_000 }, async () => {
  await using folder = await temporaryFolder();
  await using stopping = await startStopping(folder.path, "SIGTERM");
  const { server } = stopping;
  // What comes sooner is an echo, which server/signals.test.ts is about.
  await delay(250);
  server.child.kill("SIGTERM");
  expect(await server.exited).toBe(128 + 15);
});

/** A stream whose client asks once and then keeps it open. */
function endlessStream(client: Client<typeof ServerReflection>) {
  async function* questions() {
    yield { messageRequest: { case: "listServices" as const, value: "" } };
    await new Promise<never>(() => {});
  }
  return client.serverReflectionInfo(questions())[Symbol.asyncIterator]();
}

test("refused calls with far deadlines do not keep the process after its last word", async () => {
  await using server = await spawnServer(["--memory"]);
  const headers = { ...HEADERS, "content-encoding": "br", "connect-timeout-ms": "2000000000" };
  const url = `http://${server.address}${SET}`;
  const refused = await fetch(url, { method: "POST", headers, body: "{}" });
  expect(refused.status).toBe(501);
  const query = new URLSearchParams({ connect: "v1", encoding: "json", message: "{}" });
  await (await fetch(`${url.replace(/Set$/, "Get")}?${query}`, { headers })).arrayBuffer();
  server.child.kill("SIGTERM");
  expect(await server.exited).toBe(0);
});
