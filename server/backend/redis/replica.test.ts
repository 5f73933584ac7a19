/**
 * A former primary that is a replica now: it is still read, and looks for the new primary are rare.
 */
import { once } from "node:events";
import net from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { askRedis, canStartRedis, type RedisProcess, startRedis } from "../../../tests/helpers/redis.ts";
import { until } from "../../../tests/helpers/until.ts";
import { CALL, setTexts, texts } from "../conformance/harness.ts";
import { useGateways } from "../conformance/shared-store.ts";
import { redisSchema } from "./config.ts";

/** How long writes are refused, one after the other. */
const REFUSED_MS = 4_000;

const configOf = (port: number) => redisSchema.parse({ type: "redis", url: `redis://127.0.0.1:${port}` });

async function connectionsOf(server: RedisProcess): Promise<number> {
  const stats = String(await askRedis(server.url, "INFO", "stats"));
  return Number(/total_connections_received:(\d+)/.exec(stats)?.[1]);
}

async function follow(replica: RedisProcess, primary: RedisProcess): Promise<void> {
  await askRedis(replica.url, "REPLICAOF", "127.0.0.1", primary.port);
  await until("the replica has the primary's data", async () =>
    String(await askRedis(replica.url, "INFO", "replication")).includes("master_link_status:up"),
  );
}

/**
 * A name that can change its server: `port` leads to `target`, and open connections stay where they
 * are.
 */
async function startName(target: RedisProcess) {
  const sockets = new Set<net.Socket>();
  const name = { target, port: 0 };
  const listener = net.createServer((client) => {
    const server = net.connect(name.target.port, "127.0.0.1");
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      sockets.add(from);
      from.on("error", () => {});
      from.once("close", () => to.destroy());
      from.pipe(to);
    }
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  name.port = (listener.address() as net.AddressInfo).port;
  onTestFinished(() => {
    listener.close();
    for (const socket of sockets) {
      socket.destroy();
    }
  });
  return name;
}

describe.runIf(canStartRedis())("redis that is a replica", () => {
  const { open } = useGateways();

  test("refused writes cost no connection each, and no read fails", { timeout: 60_000 }, async () => {
    await using primary = await startRedis();
    await using replica = await startRedis();
    const { entries } = await open(configOf(replica.port));
    await setTexts(await open(configOf(primary.port)).then((gateway) => gateway.entries), { a: "1" });
    await follow(replica, primary);
    const before = await connectionsOf(replica);
    let refused = 0;
    let reads = 0;
    const untilMs = performance.now() + REFUSED_MS;
    const write = async () => {
      for (; performance.now() < untilMs; await delay(10)) {
        await expect(setTexts(entries, { a: "2" })).rejects.toMatchObject({
          reason: "store_unavailable",
          message: "the store takes no writes now",
        });
        refused++;
      }
    };
    const read = async () => {
      for (; performance.now() < untilMs; reads++) {
        expect(texts(await entries.get("default", ["a"], CALL))).toEqual(["1"]);
      }
    };
    await Promise.all([write(), write(), read(), read()]);
    expect(refused).toBeGreaterThan(20);
    expect(reads).toBeGreaterThan(100);
    // One look at once and one after each pause in that time, with room for a slow machine; also
    // the connections that ask for their number.
    expect((await connectionsOf(replica)) - before).toBeLessThan(8);
  });

  test("a name that leads to another server by now is followed, at the first refused write", async () => {
    await using old = await startRedis();
    await using next = await startRedis();
    const name = await startName(old);
    const { entries } = await open(configOf(name.port));
    await setTexts(entries, { a: "1" });
    await follow(next, old);
    await askRedis(next.url, "REPLICAOF", "NO", "ONE");
    await follow(old, next);
    name.target = next;
    await expect(setTexts(entries, { a: "2" })).rejects.toMatchObject({ reason: "store_unavailable" });
    await until("the new primary takes writes", async () => {
      await setTexts(entries, { a: "3" });
      return true;
    });
    expect(texts(await entries.get("default", ["a"], CALL))).toEqual(["3"]);
  });

  test("a name that leads there only later is followed too", { timeout: 30_000 }, async () => {
    await using old = await startRedis();
    await using next = await startRedis();
    const name = await startName(old);
    const { entries } = await open(configOf(name.port));
    await setTexts(entries, { a: "1" });
    await follow(next, old);
    await askRedis(next.url, "REPLICAOF", "NO", "ONE");
    await follow(old, next);
    const before = await connectionsOf(old);
    const write = () => setTexts(entries, { a: "2" });
    await expect(write()).rejects.toMatchObject({ reason: "store_unavailable" });
    await until("it was looked at", async () => (await connectionsOf(old)) > before + 1);
    name.target = next;
    await until("the new primary takes writes", async () => {
      await write();
      return true;
    });
  });
});
