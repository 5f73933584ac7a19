import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { freePorts } from "./port.ts";
import { askRedis, type RedisProcess, startRedis, startRedisServer, withRedis } from "./redis.ts";
import { until } from "./until.ts";

const SENTINELS = 3;

/** The number of sentinels that must agree that the master is gone. */
const QUORUM = 2;

/**
 * A master that does not answer for this long counts as dead. A shorter time would fail on a busy
 * machine.
 */
const DOWN_AFTER_MS = 1000;

/** A failover that takes longer is tried again. */
const FAILOVER_TIMEOUT_MS = 3000;

/** A sentinel that does not answer within this time is skipped. */
const ASK_TIMEOUT_MS = 500;

/** How often sentinels look and talk, in milliseconds. Some of these are ten seconds by default. */
const PERIODS = ["INFO-PERIOD", 200, "PUBLISH-PERIOD", 200, "ASK-PERIOD", 200];

/** The master's name at the sentinels. */
const NAME = "prism";

/**
 * A master, its replica, and three sentinels that swap them. Disposing stops all and removes their
 * data.
 */
export interface RedisSentinel extends AsyncDisposable {
  /** The master's name at the sentinels, whichever node it is. */
  readonly name: string;
  /** First the initial master, then its replica. */
  readonly nodes: readonly RedisProcess[];
  readonly sentinels: readonly RedisProcess[];
  /** The current master by the sentinels. Waits until all answering sentinels agree. */
  master(): Promise<RedisProcess>;
  /**
   * Kills the master; resolves with its successor. The killed one becomes its replica some time
   * after it is started again.
   */
  failover(): Promise<RedisProcess>;
  /**
   * Waits until all answering sentinels know each other, and a master with a replica that follows
   * it.
   */
  settled(): Promise<void>;
}

/**
 * Starts them, in some two seconds. `args` are settings of master and replica. Only if
 * canStartRedis.
 */
export async function startRedisSentinel({
  args = [],
}: {
  readonly args?: readonly string[];
} = {}): Promise<RedisSentinel> {
  const ports = await freePorts(2 + SENTINELS);
  const [masterPort = 0, replicaPort = 0, ...sentinelPorts] = ports;
  const replicaOf = ["--replicaof", "127.0.0.1", String(masterPort)];
  const starts = await Promise.allSettled([
    startRedis({ port: masterPort, args }),
    startRedis({ port: replicaPort, args: [...replicaOf, ...args] }),
    ...sentinelPorts.map((port) => startSentinel(port, masterPort)),
  ]);
  const started = starts.flatMap((start) => (start.status === "fulfilled" ? [start.value] : []));
  const sentinel = createSentinel(started.slice(0, 2), started.slice(2));
  try {
    for (const start of starts) {
      if (start.status === "rejected") {
        throw start.reason;
      }
    }
    await sentinel.settled();
    return sentinel;
  } catch (error) {
    await sentinel[Symbol.asyncDispose]();
    throw error;
  }
}

/** A sentinel stores what it knows in its configuration, so that must be a file. */
async function startSentinel(port: number, masterPort: number): Promise<RedisProcess> {
  const sentinel = await startRedisServer(port, "+monitor master", async (directory) => {
    const file = join(directory, "sentinel.conf");
    const lines = [
      `port ${port}`,
      "bind 127.0.0.1",
      `dir ${directory}`,
      `sentinel monitor ${NAME} 127.0.0.1 ${masterPort} ${QUORUM}`,
      `sentinel down-after-milliseconds ${NAME} ${DOWN_AFTER_MS}`,
      `sentinel failover-timeout ${NAME} ${FAILOVER_TIMEOUT_MS}`,
    ];
    await writeFile(file, `${lines.join("\n")}\n`);
    return [file, "--sentinel"];
  });
  await askRedis(sentinel.url, "SENTINEL", "DEBUG", ...PERIODS);
  return sentinel;
}

function createSentinel(nodes: readonly RedisProcess[], sentinels: readonly RedisProcess[]): RedisSentinel {
  async function master(): Promise<RedisProcess> {
    let found: RedisProcess | undefined;
    await until("all sentinels agree on the master", async () => {
      const ports = new Set((await viewsOf(sentinels)).map((view) => view.get("port")));
      found = nodes.find(({ port }) => ports.size === 1 && ports.has(String(port)));
      return found !== undefined;
    });
    if (found === undefined) {
      throw new Error("there is no master");
    }
    return found;
  }

  return {
    name: NAME,
    nodes,
    sentinels,
    master,
    async settled() {
      await until("the sentinels are settled", async () => {
        const views = await viewsOf(sentinels);
        return views.length > 0 && views.every(isWell) && (await isFollowed(await master()));
      });
    },
    async failover() {
      const killed = await master();
      await killed.kill();
      // The sentinels report it only when the replica itself says that it is one.
      await until("there is a new master", async () => (await master()) !== killed);
      return await master();
    },
    async [Symbol.asyncDispose]() {
      // First the sentinels, which would start a failover.
      for (const those of [sentinels, nodes]) {
        await Promise.all(those.map((one) => one[Symbol.asyncDispose]()));
      }
    },
  };
}

/** What the answering sentinels know of the master, by name. */
async function viewsOf(sentinels: readonly RedisProcess[]): Promise<Map<string, string>[]> {
  const answers = await Promise.all(
    sentinels.map(({ url }) =>
      withRedis(url, (client) => client.call("SENTINEL", "MASTER", NAME), ASK_TIMEOUT_MS).catch(() => []),
    ),
  );
  return answers
    .map((answer) => (Array.isArray(answer) ? answer.map(String) : []))
    .filter((fields) => fields.length > 0)
    .map(
      (fields) => new Map(fields.flatMap((name, at) => (at % 2 === 0 ? [[name, fields[at + 1] ?? ""]] : []))),
    );
}

function isWell(view: ReadonlyMap<string, string>): boolean {
  return (
    view.get("flags") === "master" &&
    view.get("num-slaves") === "1" &&
    view.get("num-other-sentinels") === String(SENTINELS - 1)
  );
}

const isFollowed = async ({ url }: RedisProcess) =>
  String(await askRedis(url, "INFO", "replication")).includes("state=online");
