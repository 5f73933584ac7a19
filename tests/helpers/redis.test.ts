import { existsSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import {
  askRedis,
  canStartRedis,
  createTestRedis,
  type RedisOptions,
  startRedis,
  withRedis,
} from "./redis.ts";

/** Stopped when the test is over. */
async function start(options?: RedisOptions) {
  const redis = await startRedis(options);
  onTestFinished(() => redis[Symbol.asyncDispose]());
  return redis;
}

/** The folder of its data. */
async function folderOf(url: string): Promise<string> {
  const answer = await askRedis(url, "CONFIG", "GET", "dir");
  return Array.isArray(answer) ? String(answer[1]) : "";
}

describe.runIf(canStartRedis())("redis", () => {
  test("a durable one that is killed has its data afterwards, another has none", async () => {
    const [durable, other] = await Promise.all([start({ durable: true }), start()]);
    for (const redis of [durable, other]) {
      expect(await askRedis(redis.url, "SET", "a", "1")).toBe("OK");
      await redis.kill();
      await expect(askRedis(redis.url, "GET", "a")).rejects.toThrow();
      await redis.start();
    }
    expect(await askRedis(durable.url, "GET", "a")).toBe("1");
    expect(await askRedis(other.url, "GET", "a")).toBeNull();
  });

  test("a frozen one answers when it goes on", async () => {
    const redis = await start();
    await withRedis(redis.url, async (client) => {
      redis.signal("SIGSTOP");
      const answer = client.ping();
      expect(await Promise.race([answer, delay(100, "nothing")])).toBe("nothing");
      redis.signal("SIGCONT");
      expect(await answer).toBe("PONG");
    });
  });

  test("nothing is left of it, also where it was frozen, or could not start", async () => {
    const redis = await startRedis();
    const folder = await folderOf(redis.url);
    expect(existsSync(folder)).toBe(true);
    redis.signal("SIGSTOP");
    await redis[Symbol.asyncDispose]();
    expect(existsSync(folder)).toBe(false);
    await expect(startRedis({ args: ["--no-such-setting", "1"] })).rejects.toThrow("no-such-setting");
  });

  test("settings that are asked for win", async () => {
    const { url } = await start({ args: ["--maxmemory", "10mb", "--appendonly", "yes"] });
    expect(await askRedis(url, "CONFIG", "GET", "maxmemory")).toEqual(["maxmemory", "10485760"]);
    expect(await askRedis(url, "CONFIG", "GET", "appendonly")).toEqual(["appendonly", "yes"]);
  });

  test("a flush deletes what starts with the prefix, and nothing else", async () => {
    const redis = await createTestRedis();
    onTestFinished(() => redis[Symbol.asyncDispose]());
    const mine = `prism_test_${process.pid}:`;
    const stays = [`${mine}a`, `${mine}[ab]`, `${mine}*`, `${mine}`];
    const goes = Array.from({ length: 3000 }, (_, i) => `${mine}[ab]*?\\^-${i}`);
    const all = [...stays, ...goes];
    await redis.query("MSET", ...all.flatMap((key) => [key, "v"]));
    await redis.query("RPUSH", `${mine}[ab]*?\\^-list`, "v");
    await redis.flush(`${mine}[ab]*?\\^-`);
    expect(await redis.query("EXISTS", ...all)).toBe(stays.length);
    expect(await redis.query("EXISTS", ...stays)).toBe(stays.length);
    expect(await redis.query("EXISTS", `${mine}[ab]*?\\^-list`)).toBe(0);
    await redis.flush(mine);
    expect(await redis.query("EXISTS", ...all)).toBe(0);
  });
});
