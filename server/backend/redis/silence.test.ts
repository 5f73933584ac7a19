/** Slow connections and silent ones. */
import { once } from "node:events";
import { Redis } from "ioredis";
import { describe, expect, onTestFinished, test } from "vitest";
import { canStartRedis, startRedis } from "../../../tests/helpers/redis.ts";
import { startTcpProxy } from "../../../tests/helpers/tcp-proxy.ts";
import { endSilent } from "./silence.ts";

// More than a busy machine holds up a process.
const SILENCE_MS = 1_500;

/** More than a loopback connection's buffers take in that time. */
const LARGE = Buffer.alloc(32 * 1024 * 1024, "x");

/** A client whose silent connections are ended, and the proxy to its server. */
async function connected() {
  const server = await startRedis();
  const proxy = await startTcpProxy(server.port);
  const client = new Redis(proxy.port, "127.0.0.1", {
    lazyConnect: true,
    disableClientInfo: true,
    maxRetriesPerRequest: 0,
    retryStrategy: null,
  });
  client.on("error", () => {});
  endSilent(client, SILENCE_MS);
  await client.connect();
  onTestFinished(async () => {
    client.disconnect();
    await proxy[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });
  return { client, proxy };
}

describe.runIf(canStartRedis())("redis", () => {
  test("a request that is long on its way, and an answer, is no silence", async () => {
    const { client, proxy } = await connected();
    proxy.slow(LARGE.length / 4);
    await client.set("a", LARGE);
    expect((await client.getBuffer("a"))?.equals(LARGE)).toBe(true);
  });

  test("one that does not get ahead is", async () => {
    const { client, proxy } = await connected();
    proxy.freeze();
    await expect(client.set("a", LARGE)).rejects.toThrow();
  });

  test("nor are commands that nobody answers a sign of life", async () => {
    const { client, proxy } = await connected();
    proxy.freeze();
    const timer = setInterval(() => void client.ping().catch(() => {}), SILENCE_MS / 10);
    onTestFinished(() => clearInterval(timer));
    await new Promise<void>((resolve) => client.once("close", resolve));
  });

  test("a connection that nobody uses stays", async () => {
    const { client, proxy } = await connected();
    const { stream } = client;
    await once(stream, "timeout");
    await client.ping();
    expect(client.stream).toBe(stream);
    expect(proxy.connections).toBe(1);
  });
});
