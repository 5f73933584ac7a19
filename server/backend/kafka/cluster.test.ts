/** How brokers are reached. */
import { writeFile } from "node:fs/promises";
import { createServer as createTcpServer, type Socket } from "node:net";
import { join } from "node:path";
import { createSecureContext, createServer } from "node:tls";
import { expect, test } from "vitest";
import { CERT, KEY } from "../../../tests/helpers/certificate.ts";
import { hasSharedKafka, sharedKafka } from "../../../tests/helpers/kafka.ts";
import { freePort } from "../../../tests/helpers/port.ts";
import { temporaryFolder } from "../../../tests/helpers/process.ts";
import { startTcpProxy } from "../../../tests/helpers/tcp-proxy.ts";
import { PrismError } from "../../errors.ts";
import { Cluster } from "./cluster.ts";
import { kafkaSchema } from "./config.ts";
import { StreamTopics } from "./topics.ts";

test("with TLS a broker hears by which name it is called, and not by which address", async () => {
  await using folder = await temporaryFolder();
  const ca = join(folder.path, "ca.pem");
  await writeFile(ca, CERT);
  const heard: string[] = [];
  let connections = 0;
  const server = createServer({
    cert: CERT,
    key: KEY,
    SNICallback(name, answer) {
      heard.push(name);
      answer(null, createSecureContext({ cert: CERT, key: KEY }));
    },
  });
  server.on("connection", () => connections++);
  server.on("secureConnection", (socket) => socket.destroy());
  server.on("tlsClientError", () => {});
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, resolve);
  await promise;
  const address = server.address();
  const port = typeof address === "object" ? address?.port : 0;
  try {
    for (const host of ["localhost", "127.0.0.1"]) {
      const config = kafkaSchema.parse({ type: "kafka", brokers: [`${host}:${port}`], tls: { ca } });
      const cluster = new Cluster(config);
      await expect(cluster.open()).rejects.toMatchObject({ reason: "store_unavailable" });
      await cluster.close();
    }
    expect(heard).toEqual(["localhost"]);
    expect(connections).toBe(2);
  } finally {
    server.close();
  }
});

test.runIf(hasSharedKafka())("a broker that is away is passed over, at the start and later", async () => {
  const { addresses } = await sharedKafka();
  const away = `127.0.0.1:${await freePort()}`;
  const cluster = new Cluster(kafkaSchema.parse({ type: "kafka", brokers: [away, ...addresses] }));
  await cluster.open();
  expect(cluster.brokerCount).toBe(1);
  const connection = await cluster.anyConnection("read");
  expect(`${connection.host}:${connection.port}`).toBe(addresses[0]);
  await connection.close();
  expect((await cluster.anyConnection("read")).isConnected()).toBe(true);
  await cluster.close();
  await expect(cluster.anyConnection("read")).rejects.toMatchObject({ reason: "store_unavailable" });
});

/** A TCP server that does this with each connection, until it is disposed. */
async function startTcp(accept: (socket: Socket) => void): Promise<AsyncDisposable & { address: string }> {
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    accept(socket);
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  const address = server.address();
  return {
    address: `127.0.0.1:${typeof address === "object" ? address?.port : 0}`,
    async [Symbol.asyncDispose]() {
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      for (const socket of sockets) {
        socket.destroy();
      }
      await closed.promise;
    },
  };
}

test("a broker that resets a connection while we log in fails the call, and nothing else", async () => {
  let resets = 0;
  await using server = await startTcp((socket) => {
    socket.once("data", () => {
      resets++;
      socket.resetAndDestroy();
    });
  });
  const sasl = { mechanism: "PLAIN", username: "prism", password: "sesame" };
  const cluster = new Cluster(kafkaSchema.parse({ type: "kafka", brokers: [server.address], sasl }));
  // An error that nobody listens to would end this process.
  await expect(cluster.open()).rejects.toMatchObject({ reason: "store_unavailable" });
  await expect(cluster.topics([])).rejects.toMatchObject({ reason: "store_unavailable" });
  expect(resets).toBe(2);
  await cluster.close();
});

test.runIf(hasSharedKafka())("a broker that takes connections and is silent is asked once", async () => {
  const { addresses } = await sharedKafka();
  let connections = 0;
  await using silent = await startTcp((socket) => {
    connections++;
    socket.resume();
  });
  const brokers = [silent.address, ...addresses];
  const cluster = new Cluster(kafkaSchema.parse({ type: "kafka", brokers, request_timeout_ms: 300 }));
  await cluster.open();
  expect(cluster.brokerCount).toBe(1);
  expect(connections).toBe(1);
  expect(await cluster.topics(["never"])).toEqual([undefined]);
  const connection = await cluster.anyConnection("read");
  expect(`${connection.host}:${connection.port}`).toBe(addresses[0]);
  expect(connections).toBe(1);
  await cluster.close();
});

test.runIf(hasSharedKafka())("a broker that falls silent fails no lookup", async () => {
  const { addresses } = await sharedKafka();
  await using proxy = await startTcpProxy(Number(addresses[0]?.split(":")[1]));
  const brokers = [`127.0.0.1:${proxy.port}`, ...addresses];
  const config = kafkaSchema.parse({ type: "kafka", brokers, request_timeout_ms: 500 });
  const cluster = new Cluster(config);
  await cluster.open();
  expect((await cluster.anyConnection("admin")).port).toBe(proxy.port);
  proxy.freeze();
  const topics = new StreamTopics(cluster, config);
  expect(await topics.find(["never"])).toEqual([undefined]);
  const sent = proxy.bytesFromClients;
  expect(await topics.find(["never"])).toEqual([undefined]);
  expect(proxy.bytesFromClients).toBe(sent);
  await cluster.close();
});

test.runIf(hasSharedKafka())("an error of a topic is of this topic alone", async () => {
  const { addresses } = await sharedKafka();
  const cluster = new Cluster(kafkaSchema.parse({ type: "kafka", brokers: addresses }));
  await cluster.open();
  const found = await cluster.topics(["no name!", "never"]);
  expect(found).toEqual([expect.any(PrismError), undefined]);
  await cluster.close();
});
