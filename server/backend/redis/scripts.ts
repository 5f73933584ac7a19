import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

/**
 * A Lua script, which Redis runs without other commands in between. The file's head lists keys,
 * arguments and result.
 */
export interface Script {
  readonly text: string;
  /** The name by which a server that has run it knows it. */
  readonly sha1: string;
}

function load(name: string): Script {
  const text = readFileSync(new URL(`./scripts/${name}.lua`, import.meta.url), "utf8");
  return { text, sha1: createHash("sha1").update(text).digest("hex") };
}

/**
 * Every script of a store. A script declares all keys that it touches, so that any Redis can tell
 * where to run it.
 */
export const SCRIPTS = {
  open: load("open"),
  set: load("set"),
  delete: load("delete"),
  exists: load("exists"),
  values: load("values"),
  sweep: load("sweep"),
  expired: load("expired"),
  push: load("push"),
  pop: load("pop"),
  length: load("length"),
  read: load("read"),
  commit: load("commit"),
  slice: load("slice"),
  edit: load("edit"),
  writeItems: load("write-items"),
  readItems: load("read-items"),
  pageItems: load("page-items"),
  deleteItems: load("delete-items"),
  sweepItems: load("sweep-items"),
  liveRecords: load("live-records"),
  index: load("index"),
  scan: load("scan"),
} as const;

/** Every command that a store runs on its keys, directly or in a script. */
export const COMMANDS = [
  ...["GET", "MGET", "SET", "STRLEN", "GETRANGE", "SETRANGE", "EXISTS", "UNLINK", "TYPE", "TIME"],
  ...["PEXPIRETIME", "PEXPIREAT", "PERSIST"],
  ...["ZADD", "ZREM", "ZRANGEBYLEX", "ZRANGEBYSCORE", "ZCOUNT", "ZLEXCOUNT"],
  ...["LPUSH", "RPUSH", "LPOP", "RPOP", "LLEN"],
  ...["HGET", "HSET", "HDEL", "ZSCORE"],
  ...["LRANGE", "LTRIM", "LSET", "LINSERT", "LREM", "LMOVE"],
] as const;
