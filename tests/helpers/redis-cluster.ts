import { freePorts } from "./port.ts";
import { askRedis, type RedisProcess, startRedis, withRedis } from "./redis.ts";
import { until } from "./until.ts";

/** The number of hash slots of a cluster. */
const SLOTS = 16384;

const MASTERS = 3;

/**
 * A master that does not answer for this long counts as dead. A shorter time would fail on a busy
 * machine.
 */
const NODE_TIMEOUT_MS = 1000;

/** The keys that one step of a migration moves. */
const BATCH_KEYS = 10;

const MIGRATE_TIMEOUT_MS = 5000;

/** A node that does not answer within this time is skipped. */
const ASK_TIMEOUT_MS = 500;

/**
 * A Redis Cluster of three masters with equal shares of the slots. Disposing stops it and removes
 * its data.
 */
export interface RedisCluster extends AsyncDisposable {
  /**
   * Every node: first the initial masters in the order of their slots, then their replicas in the
   * same order.
   */
  readonly nodes: readonly RedisProcess[];
  /** The URLs of all nodes. */
  readonly urls: readonly string[];
  /** The slot of a key. */
  slotOf(key: string | Buffer): Promise<number>;
  /** The master of a slot. Waits until all answering nodes agree. */
  ownerOf(slot: number): Promise<RedisProcess>;
  /**
   * Moves a slot and its keys as an operator does, while it is in use. `midway` runs when the slot
   * is migrating and half of its keys are moved. Resolves when every answering node knows the new
   * owner.
   */
  moveSlot(slot: number, to: RedisProcess, midway?: () => Promise<void> | void): Promise<void>;
  /**
   * Kills a master, or with `isPlanned` hands over to its replica. Resolves with the new master
   * when every answering node knows it. A killed master becomes its replica when it is started
   * again.
   */
  failover(master: RedisProcess, options?: { readonly isPlanned?: boolean }): Promise<RedisProcess>;
  /** Waits until all answering nodes agree that all is well and replicas follow their masters. */
  settled(): Promise<void>;
}

/**
 * A node as another sees it: a line of CLUSTER NODES (redis.io/docs/latest/commands/cluster-nodes).
 */
interface SeenNode {
  readonly id: string;
  readonly port: number;
  readonly flags: readonly string[];
  /** "-" = it is a master. */
  readonly masterId: string;
  /** The first and the last slot of each range. */
  readonly slots: readonly (readonly [number, number])[];
}

/**
 * Starts a cluster, in some three seconds. `args` are settings of every node. Only if
 * canStartRedis.
 */
export async function startRedisCluster({
  replicas = 0,
  args = [],
}: {
  readonly replicas?: 0 | 1;
  readonly args?: readonly string[];
} = {}): Promise<RedisCluster> {
  const count = MASTERS * (1 + replicas);
  const ports = await freePorts(2 * count);
  // The default bus port is the node's port + 10,000, which may be taken.
  const busPorts = ports.slice(count);
  const settings = [
    ["--cluster-enabled", "yes", "--cluster-node-timeout", String(NODE_TIMEOUT_MS)],
    // A replica takes over even if it lost sight of its master for long, and none changes its
    // master by itself.
    ["--cluster-replica-validity-factor", "0", "--cluster-allow-replica-migration", "no"],
    args,
  ].flat();
  const starts = await Promise.allSettled(
    busPorts.map((busPort, at) =>
      startRedis({ port: ports[at], args: ["--cluster-port", String(busPort), ...settings] }),
    ),
  );
  const nodes = starts.flatMap((start) => (start.status === "fulfilled" ? [start.value] : []));
  const cluster = createCluster(nodes);
  try {
    for (const start of starts) {
      if (start.status === "rejected") {
        throw start.reason;
      }
    }
    await join(nodes, busPorts);
    await cluster.settled();
    return cluster;
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
}

/** Joins nodes that do not know each other into one cluster. */
async function join(nodes: readonly RedisProcess[], busPorts: readonly number[]): Promise<void> {
  await Promise.all(
    nodes.map((node, at) =>
      withRedis(node.url, async (client) => {
        // Different from the start; otherwise nodes would first have to resolve the conflict.
        await client.call("CLUSTER", "SET-CONFIG-EPOCH", at + 1);
        if (at < MASTERS) {
          await client.call("CLUSTER", "ADDSLOTSRANGE", firstSlot(at), firstSlot(at + 1) - 1);
        }
        for (const [other, { port }] of nodes.entries()) {
          if (other > at) {
            await client.call("CLUSTER", "MEET", "127.0.0.1", port, String(busPorts[other]));
          }
        }
      }),
    ),
  );
  await until("the nodes know each other", async () =>
    (await viewsOf(nodes)).every((seen) => seen.length === nodes.length && !seen.some(isNew)),
  );
  await Promise.all(
    nodes.slice(MASTERS).map(async (replica, at) => {
      const masterId = await askRedis(nodes[at]?.url ?? "", "CLUSTER", "MYID");
      await askRedis(replica.url, "CLUSTER", "REPLICATE", String(masterId));
    }),
  );
}

const firstSlot = (master: number) => Math.round((SLOTS * master) / MASTERS);
const isNew = ({ flags }: SeenNode) => flags.includes("handshake") || flags.includes("noaddr");

function createCluster(nodes: readonly RedisProcess[]): RedisCluster {
  const urls = nodes.map(({ url }) => url);

  async function ownerOf(slot: number): Promise<RedisProcess> {
    let ports = new Set<number | undefined>();
    await until(`all nodes agree on the owner of slot ${slot}`, async () => {
      ports = new Set((await viewsOf(nodes)).map((seen) => ownerIn(seen, slot)?.port));
      return ports.size === 1 && !ports.has(undefined);
    });
    return nodeAt([...ports][0]);
  }

  function nodeAt(port: number | undefined): RedisProcess {
    const node = nodes.find((node) => node.port === port);
    if (node === undefined) {
      throw new Error(`there is no node on port ${port}`);
    }
    return node;
  }

  async function settled(): Promise<void> {
    await until("the cluster is settled", async () => {
      const answers = await Promise.all(nodes.map(infoOf));
      const views = (await viewsOf(nodes)).map((seen) => seen.map(toText).sort().join("\n"));
      return new Set(views).size === 1 && answers.every((info) => info === undefined || isWell(info));
    });
  }

  async function replicaOf(master: RedisProcess): Promise<RedisProcess> {
    const [seen = []] = await viewsOf([master]);
    const { id } = seen.find(({ flags }) => flags.includes("myself")) ?? {};
    const replica = seen.find(({ masterId, flags }) => masterId === id && !flags.includes("fail"));
    if (replica === undefined) {
      throw new Error("the master has no replica");
    }
    return nodeAt(replica.port);
  }

  return {
    nodes,
    urls,
    ownerOf,
    settled,
    slotOf: async (key) => Number(await askRedis(urls[0] ?? "", "CLUSTER", "KEYSLOT", key)),
    async moveSlot(slot, to, midway) {
      const from = await ownerOf(slot);
      if (from === to) {
        return;
      }
      const [fromId, toId] = [await idOf(from), await idOf(to)];
      await askRedis(to.url, "CLUSTER", "SETSLOT", slot, "IMPORTING", fromId);
      await askRedis(from.url, "CLUSTER", "SETSLOT", slot, "MIGRATING", toId);
      const total = Number(await askRedis(from.url, "CLUSTER", "COUNTKEYSINSLOT", slot));
      await moveKeys(slot, from, to, Math.floor(total / 2));
      await midway?.();
      await moveKeys(slot, from, to, Number.POSITIVE_INFINITY);
      // The new owner first, or the slot would have no owner for a moment.
      for (const node of [to, from]) {
        await askRedis(node.url, "CLUSTER", "SETSLOT", slot, "NODE", toId);
      }
      await until(`every node knows the new owner of slot ${slot}`, async () =>
        (await viewsOf(nodes)).every((seen) => ownerIn(seen, slot)?.id === toId),
      );
    },
    async failover(master, { isPlanned = false } = {}) {
      const replica = await replicaOf(master);
      const id = await idOf(replica);
      if (isPlanned) {
        await askRedis(replica.url, "CLUSTER", "FAILOVER");
      } else {
        await master.kill();
      }
      await until("every node knows the new master", async () =>
        (await viewsOf(nodes)).every((seen) => seen.some((node) => node.id === id && node.slots.length > 0)),
      );
      await settled();
      return replica;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(nodes.map((node) => node[Symbol.asyncDispose]()));
    },
  };
}

/** Moves keys of a migrating slot, up to this many. */
async function moveKeys(slot: number, from: RedisProcess, to: RedisProcess, most: number): Promise<void> {
  await withRedis(from.url, async (client) => {
    for (let moved = 0; moved < most; ) {
      const count = Math.min(BATCH_KEYS, most - moved);
      const keys = await client.callBuffer("CLUSTER", "GETKEYSINSLOT", slot, count);
      if (!Array.isArray(keys) || keys.length === 0) {
        return;
      }
      await client.call("MIGRATE", "127.0.0.1", to.port, "", 0, MIGRATE_TIMEOUT_MS, "KEYS", ...keys);
      moved += keys.length;
    }
  });
}

const idOf = async ({ url }: RedisProcess) => String(await askRedis(url, "CLUSTER", "MYID"));

/** The cluster as the answering nodes see it. */
async function viewsOf(nodes: readonly RedisProcess[]): Promise<SeenNode[][]> {
  const answers = await Promise.all(
    nodes.map(({ url }) =>
      withRedis(url, (client) => client.call("CLUSTER", "NODES"), ASK_TIMEOUT_MS).catch(() => undefined),
    ),
  );
  return answers.filter((answer) => answer !== undefined).map((answer) => parseView(String(answer)));
}

function parseView(text: string): SeenNode[] {
  return text
    .trim()
    .split("\n")
    .map((line) => {
      const [id = "", address = "", flags = "", masterId = "", , , , , ...slots] = line.split(" ");
      const [, port] = /:(\d+)@/.exec(address) ?? [];
      // The other entries tell which slots are moving.
      const ranges = slots
        .filter((range) => !range.startsWith("["))
        .map((range) => range.split("-").map(Number));
      return {
        id,
        port: Number(port),
        flags: flags.split(","),
        masterId,
        slots: ranges.map(([first = Number.NaN, last = first]) => [first, last] as const),
      };
    });
}

const ownerIn = (seen: readonly SeenNode[], slot: number) =>
  seen.find(({ slots }) => slots.some(([first, last]) => first <= slot && slot <= last));

/** The part of a node that all nodes see alike once they have all news. */
function toText({ id, flags, masterId, slots }: SeenNode): string {
  return [id, flags.filter((flag) => flag !== "myself"), masterId, slots].join(" ");
}

/** `undefined` = it does not answer. */
async function infoOf({ url }: RedisProcess): Promise<string | undefined> {
  const ask = async () =>
    await withRedis(
      url,
      async (client) => `${await client.call("CLUSTER", "INFO")}${await client.info("replication")}`,
      ASK_TIMEOUT_MS,
    );
  return await ask().catch(() => undefined);
}

function isWell(info: string): boolean {
  const isMaster = info.includes("role:master");
  return info.includes("cluster_state:ok") && (isMaster || info.includes("master_link_status:up"));
}
