import { Cluster } from "ioredis";
import { describe, expect, onTestFinished, test } from "vitest";
import { present } from "../../server/backend/conformance/harness.ts";
import { askRedis, canStartRedis, type RedisProcess, withRedis } from "./redis.ts";
import { type RedisCluster, startRedisCluster } from "./redis-cluster.ts";

/** Stopped when the test is over. */
async function start(options: Parameters<typeof startRedisCluster>[0]): Promise<RedisCluster> {
  const cluster = await startRedisCluster(options);
  onTestFinished(() => cluster[Symbol.asyncDispose]());
  return cluster;
}

/** A client as users of a cluster have one. */
function connect({ urls }: RedisCluster): Cluster {
  const client = new Cluster([...urls], { redisOptions: { maxRetriesPerRequest: 5 } });
  client.on("error", () => {});
  onTestFinished(() => client.disconnect());
  return client;
}

const keysIn = async (slot: number, { url }: RedisProcess) =>
  Number(await askRedis(url, "CLUSTER", "COUNTKEYSINSLOT", slot));

/** What a replica of this master reports of itself. */
const replicating = ({ port }: RedisProcess) => ["slave", "127.0.0.1", port, "connected", expect.any(Number)];

/** Checks that every slot has one owner. Answers the masters. */
async function ownersOf(cluster: RedisCluster): Promise<RedisProcess[]> {
  return await Promise.all([0, 5460, 5461, 10922, 10923, 16383].map(cluster.ownerOf));
}

describe.runIf(canStartRedis())("redis cluster", () => {
  test("a slot moves with its keys while it is in use", async () => {
    const cluster = await start({ args: ["--maxmemory", "50mb"] });
    const [a, b, c] = cluster.nodes;
    expect(await ownersOf(cluster)).toEqual([a, a, b, b, c, c]);
    expect(await askRedis(present(c).url, "CONFIG", "GET", "maxmemory")).toEqual(["maxmemory", "52428800"]);

    const slot = await cluster.slotOf("{moves}");
    const from = await cluster.ownerOf(slot);
    const to = present(cluster.nodes.find((node) => node !== from));
    const client = connect(cluster);
    const keys = Array.from({ length: 75 }, (_, i) => `{moves}${i}`);
    await Promise.all(keys.map((key) => client.set(key, key)));
    await client.set("stays", "1");
    let isMidway = false;
    await cluster.moveSlot(slot, to, async () => {
      isMidway = true;
      expect([await keysIn(slot, from), await keysIn(slot, to)]).toEqual([38, 37]);
      expect(await cluster.ownerOf(slot)).toBe(from);
      // Moved and new keys are asked for at the slot's destination.
      const missing = withRedis(from.url, (direct) => direct.get("{moves}new"));
      await expect(missing).rejects.toThrow(`ASK ${slot} 127.0.0.1:${to.port}`);
      await client.set("{moves}new", "new");
      expect(await Promise.all(keys.map((key) => client.get(key)))).toEqual(keys);
    });
    expect(isMidway).toBe(true);
    expect([await keysIn(slot, from), await keysIn(slot, to)]).toEqual([0, 76]);
    expect(await cluster.ownerOf(slot)).toBe(to);
    await expect(askRedis(from.url, "GET", "{moves}new")).rejects.toThrow(`MOVED ${slot}`);
    expect(await Promise.all([...keys, "{moves}new", "stays"].map((key) => client.get(key)))).toEqual([
      ...keys,
      "new",
      "1",
    ]);
    // And back, without a call in between; moving it where it is does nothing.
    await cluster.moveSlot(slot, from);
    await cluster.moveSlot(slot, from);
    expect([await keysIn(slot, from), await keysIn(slot, to)]).toEqual([76, 0]);
  });

  test("a master hands over to its replica, or dies and is replaced by it", async () => {
    const cluster = await start({ replicas: 1 });
    const [a, b, c, replica] = cluster.nodes.map(present);
    expect(cluster.nodes).toHaveLength(6);
    const client = connect(cluster);
    const slot = await cluster.slotOf("{a}");
    const master = await cluster.ownerOf(slot);
    const others = [a, b, c].filter((node) => node !== master);
    await client.set("{a}", "1");

    const second = await cluster.failover(master, { isPlanned: true });
    expect(cluster.nodes.indexOf(second)).toBe(cluster.nodes.indexOf(master) + 3);
    expect(await cluster.ownerOf(slot)).toBe(second);
    expect(await client.get("{a}")).toBe("1");
    expect(await askRedis(master.url, "ROLE")).toEqual(replicating(second));

    expect(await cluster.failover(second)).toBe(master);
    expect(await cluster.ownerOf(slot)).toBe(master);
    await expect(askRedis(second.url, "PING")).rejects.toThrow();
    expect(await client.get("{a}")).toBe("1");
    await second.start();
    await cluster.settled();
    expect(await askRedis(second.url, "ROLE")).toEqual(replicating(master));

    // The rest of the cluster is unchanged; a frozen node is not awaited.
    present(replica).signal("SIGSTOP");
    expect(new Set(await ownersOf(cluster))).toEqual(new Set([master, ...others]));
    await expect(cluster.failover(present(replica))).rejects.toThrow();
  });
});
