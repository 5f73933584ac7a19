import type { Redis } from "ioredis";
import {
  type Diagnosis,
  diagnoseClock,
  diagnoseTls,
  fine,
  problem,
  unreachable,
  warning,
} from "../diagnosis.ts";
import { checkMemory, type Mark, markOf, whyNotOurs } from "./claim.ts";
import { describePlace, type RedisConfig, shardCount } from "./config.ts";
import { type Connection, createConnection } from "./connection.ts";
import { openError } from "./errors.ts";
import { asValue } from "./replies.ts";

/** The oldest version with all commands that Prism uses. */
const OLDEST_MAJOR = 7;

/** Looks at each primary of a Redis. Nothing is written. */
export async function* diagnose(config: RedisConfig, timeoutMs: number): AsyncGenerator<Diagnosis, void> {
  const place = describePlace(config);
  const connectMs = Math.min(config.connect_timeout_ms, timeoutMs);
  const connection = createConnection({ ...config, connect_timeout_ms: connectMs });
  try {
    await connection.retain();
    const nodes = connection.primaries();
    yield fine("reachable", config.cluster === undefined ? place : `${place}; primaries: ${nodes.length}`);
    const found = await Promise.all(nodes.map((node) => examine(node, config.cluster !== undefined)));
    yield* found.flat();
    if (found.flat().every(({ state }) => state !== "problem")) {
      yield await diagnoseLayout(connection, config);
    }
  } catch (error) {
    yield unreachable(openError(error, place));
  } finally {
    connection.release();
  }
}

async function examine(node: Redis, isCluster: boolean): Promise<Diagnosis[]> {
  const info = await node.info();
  const askedMs = Date.now();
  const [seconds, microseconds] = await node.time();
  const toldMs = Date.now();
  const found = [
    diagnoseVersion(info),
    diagnoseTls(node.stream),
    diagnoseRole(info, isCluster),
    diagnoseMemory(info),
    await diagnosePersistence(node, info),
    diagnoseClock(Number(seconds) * 1000 + Number(microseconds) / 1000, askedMs, toldMs),
  ];
  const { host, port } = node.options;
  return isCluster ? found.map((each) => ({ ...each, message: `${host}:${port}: ${each.message}` })) : found;
}

/** A value of INFO; "" = the server does not tell. */
function fact(info: string, name: string): string {
  return new RegExp(`^${name}:(.*?)\\r?$`, "m").exec(info)?.[1] ?? "";
}

function diagnoseVersion(info: string): Diagnosis {
  const redis = fact(info, "redis_version");
  const valkey = fact(info, "valkey_version");
  const name = valkey === "" ? `Redis ${redis}` : `Valkey ${valkey}`;
  // Valkey tells the version of Redis that it equals.
  return Number.parseInt(redis, 10) >= OLDEST_MAJOR
    ? fine("version", name)
    : problem("version", `${name || "unknown"}: Prism needs Redis ${OLDEST_MAJOR}.0 or newer`);
}

function diagnoseRole(info: string, isCluster: boolean): Diagnosis {
  if (fact(info, "cluster_enabled") === "1" && !isCluster) {
    return problem(
      "writes",
      "this is a node of a Cluster: a store names it under `cluster`, and shared quotas need one outside of a Cluster",
    );
  }
  return fact(info, "role") === "slave"
    ? warning("writes", "a replica, which takes none: name the primary, or the sentinels that know it")
    : fine("writes", "taken");
}

function diagnoseMemory(info: string): Diagnosis {
  try {
    checkMemory({ refusal: undefined, memory: info });
  } catch (error) {
    return problem("eviction", error instanceof Error ? error.message : String(error));
  }
  const policy = fact(info, "maxmemory_policy");
  const isBound = fact(info, "maxmemory") !== "0";
  return isBound || policy === "noeviction"
    ? fine("eviction", isBound ? `none: it refuses writes at ${fact(info, "maxmemory_human")}` : "none")
    : warning(
        "eviction",
        `none without maxmemory, but ${policy} with it: set maxmemory-policy to noeviction`,
      );
}

async function diagnosePersistence(node: Redis, info: string): Promise<Diagnosis> {
  const failed = ["aof_last_write_status", "rdb_last_bgsave_status"].find(
    (name) => fact(info, name) === "err",
  );
  if (failed !== undefined) {
    return problem("durability", `it could not write to its disk (${failed}): see its log`);
  }
  const [appends = "", saves = ""] = await Promise.all([read(node, "appendfsync"), read(node, "save")]);
  if (fact(info, "aof_enabled") === "1") {
    return appends === "no"
      ? warning("durability", "appendonly is on, but appendfsync is no: set it to everysec or always")
      : fine("durability", `appendonly is on${appends === "" ? "" : `, appendfsync ${appends}`}`);
  }
  const loses = saves === "" ? "everything, or all since its last snapshot" : "all since its last snapshot";
  return warning("durability", `appendonly is off: a crash loses ${loses}; set it to yes if that matters`);
}

/** Whether the data, if there is any, is of a store like this one. */
async function diagnoseLayout(connection: Connection, config: RedisConfig): Promise<Diagnosis> {
  const marks = Array.from({ length: shardCount(config) }, (_, shard) => markOf(config, shard));
  const look = async (mark: Mark) => {
    const found = asValue(await connection.run("repeatable", "get", [mark.key]));
    return found && whyNotOurs(mark, found.toString());
  };
  try {
    const reasons = await Promise.all(marks.map(look));
    const reason = reasons.find((each) => each !== undefined);
    return reason === undefined
      ? fine("layout", "no data of another version or number of shards")
      : problem("layout", reason);
  } catch (error) {
    return problem("layout", openError(error, describePlace(config)).message);
  }
}

/** A setting; `undefined` = our user may not ask. */
async function read(node: Redis, name: string): Promise<string | undefined> {
  try {
    const [, value] = (await node.config("GET", name)) as string[];
    return value;
  } catch {
    return undefined;
  }
}
