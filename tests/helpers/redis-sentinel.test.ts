import { Redis } from "ioredis";
import { describe, expect, onTestFinished, test } from "vitest";
import { present } from "../../server/backend/conformance/harness.ts";
import { askRedis, canStartRedis } from "./redis.ts";
import { startRedisSentinel } from "./redis-sentinel.ts";

describe.runIf(canStartRedis())("redis sentinel", () => {
  test("a master that dies is replaced by its replica, and becomes the replica of that", async () => {
    const sentinel = await startRedisSentinel({ args: ["--maxmemory", "50mb"] });
    onTestFinished(() => sentinel[Symbol.asyncDispose]());
    const [first, second] = sentinel.nodes.map(present);
    expect(await sentinel.master()).toBe(first);
    expect([sentinel.nodes.length, sentinel.sentinels.length]).toEqual([2, 3]);
    const client = new Redis({
      sentinels: sentinel.sentinels.map(({ port }) => ({ host: "127.0.0.1", port })),
      name: sentinel.name,
    });
    client.on("error", () => {});
    onTestFinished(() => client.disconnect());
    await client.set("a", "1");
    expect(await client.wait(1, 5000)).toBe(1);

    // Two of the three are enough.
    await sentinel.sentinels[0]?.kill();
    expect(await sentinel.failover()).toBe(second);
    expect(await sentinel.master()).toBe(second);
    expect(await client.get("a")).toBe("1");
    await client.set("b", "2");

    await sentinel.sentinels[0]?.start();
    await first?.start();
    await sentinel.settled();
    expect(await sentinel.master()).toBe(second);
    expect(await askRedis(first?.url ?? "", "GET", "b")).toBe("2");
    for (const { url } of sentinel.nodes) {
      expect(await askRedis(url, "CONFIG", "GET", "maxmemory")).toEqual(["maxmemory", "52428800"]);
    }
  });
});
