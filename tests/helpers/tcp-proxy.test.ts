import { once } from "node:events";
import net, { type AddressInfo, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { startTcpProxy } from "./tcp-proxy.ts";
import { waitFor } from "./until.ts";

/** An echo server behind a proxy. */
async function startEcho() {
  const received: string[] = [];
  const sockets: Socket[] = [];
  const server = net.createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
    socket.on("data", (bytes) => {
      received.push(bytes.toString());
      socket.write(bytes);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const proxy = await startTcpProxy((server.address() as AddressInfo).port);
  onTestFinished(async () => {
    await proxy[Symbol.asyncDispose]();
    for (const socket of sockets) {
      socket.destroy();
    }
    await new Promise((resolve) => server.close(resolve));
  });
  return { proxy, received, sockets };
}

/** A connected client, and a call on it. */
async function connect(port: number) {
  const socket = net.connect(port, "127.0.0.1");
  onTestFinished(() => {
    socket.destroy();
  });
  await once(socket, "connect");
  const ask = async (text: string): Promise<string> => {
    socket.write(text);
    const [bytes] = await once(socket, "data");
    return String(bytes);
  };
  return { socket, ask };
}

const RESET = { code: "ECONNRESET" };

test("bytes go through, in both directions, and so does the end", async () => {
  const { proxy, sockets } = await startEcho();
  const { socket, ask } = await connect(proxy.port);
  expect(await ask("a")).toBe("a");
  const large = Buffer.alloc(8 * 1024 * 1024, "x");
  let length = 0;
  socket.on("data", (bytes) => {
    length += bytes.length;
  });
  socket.end(large);
  await once(socket, "close");
  expect(length).toBe(large.length);
  await waitFor(() => expect([proxy.connections, sockets[0]?.closed]).toEqual([0, true]));
});

test("a cut resets every connection on both sides, and new ones are taken", async () => {
  const { proxy, sockets } = await startEcho();
  const clients = await Promise.all([connect(proxy.port), connect(proxy.port)]);
  await Promise.all(clients.map(({ ask }) => ask("a")));
  expect(proxy.connections).toBe(2);
  const errors = [...clients.map(({ socket }) => socket), ...sockets].map(
    (socket) => new Promise((resolve) => socket.once("error", resolve)),
  );
  proxy.cut();
  for (const error of await Promise.all(errors)) {
    expect(error).toMatchObject(RESET);
  }
  expect([proxy.connections, proxy.bytesFromClients]).toEqual([0, 2]);
  const { ask } = await connect(proxy.port);
  expect(await ask("b")).toBe("b");
});

test("connections are refused until they are taken again, on the same port", async () => {
  const { proxy } = await startEcho();
  const { socket, ask } = await connect(proxy.port);
  await ask("a");
  const error = once(socket, "error");
  proxy.refuse();
  expect(await error).toMatchObject([RESET]);
  for (let i = 0; i < 2; i++) {
    await expect(connect(proxy.port)).rejects.toMatchObject({ code: "ECONNREFUSED" });
  }
  await proxy.restore();
  const again = await connect(proxy.port);
  expect(await again.ask("b")).toBe("b");
});

test("a frozen connection stays, and what was sent meanwhile arrives when it goes on", async () => {
  const { proxy, received, sockets } = await startEcho();
  const { ask } = await connect(proxy.port);
  await ask("a");
  proxy.freeze();
  const answer = ask("b");
  const late = await connect(proxy.port);
  const lateAnswer = late.ask("c");
  sockets[0]?.write("unasked");
  expect(await Promise.race([answer, lateAnswer, delay(100, "nothing")])).toBe("nothing");
  expect(received).toEqual(["a"]);
  expect(proxy.bytesFromClients).toBe("abc".length);
  proxy.thaw();
  expect(await answer).toContain("unasked");
  expect(await lateAnswer).toBe("c");
  expect(received.toSorted()).toEqual(["a", "b", "c"]);
});

test("a client that goes while the connection is frozen is not missed before it goes on", async () => {
  const { proxy, sockets } = await startEcho();
  const { socket, ask } = await connect(proxy.port);
  await ask("a");
  proxy.freeze();
  socket.resetAndDestroy();
  await delay(50);
  expect(sockets[0]?.destroyed).toBe(false);
  proxy.thaw();
  await waitFor(() => expect(sockets[0]?.destroyed).toBe(true));
});

test("an answer is cut after its request has reached the server; other connections are not affected", async () => {
  const { proxy, received } = await startEcho();
  const { socket, ask } = await connect(proxy.port);
  await ask("a");
  proxy.cutAnswers();
  const other = await connect(proxy.port);
  expect(await other.ask("b")).toBe("b");
  await expect(ask("c")).rejects.toMatchObject(RESET);
  expect(received).toEqual(["a", "b", "c"]);
  expect(socket.bytesRead).toBe(1);
});

test("a missing server resets the client's connection", async () => {
  const { proxy } = await startEcho();
  await using closed = await startTcpProxy(proxy.port);
  proxy.refuse();
  const socket = net.connect(closed.port, "127.0.0.1");
  expect(await new Promise((resolve) => socket.once("error", resolve))).toMatchObject(RESET);
});
