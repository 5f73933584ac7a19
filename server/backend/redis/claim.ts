import { ReplyError } from "ioredis";
import { type PrismError, StartError } from "../../errors.ts";
import { type RedisConfig, shardCount } from "./config.ts";
import type { Connection } from "./connection.ts";
import { toPrismError } from "./errors.ts";
import { indexNames } from "./index-names.ts";
import { shardKeys } from "./keys.ts";
import { asTexts } from "./replies.ts";
import { COMMANDS, SCRIPTS } from "./scripts.ts";

/** The version of the key layout. A change of the layout raises it. */
const LAYOUT_VERSION = 3;

/** The version before. */
const UNINDEXED_VERSION = 2;

/** What marks a shard as one of a store: a key and its value. */
export interface Mark {
  readonly key: string;
  readonly value: string;
  /** The value before there were indexes of lists and records. They are made when it is claimed. */
  readonly unindexed: string;
}

/** The mark of a store's shard. */
export function markOf(config: RedisConfig, shard: number): Mark {
  const { layout } = shardKeys(config.key_prefix, shard);
  const place = `${shard}/${shardCount(config)}`;
  return { key: layout, value: `${LAYOUT_VERSION} ${place}`, unindexed: `${UNINDEXED_VERSION} ${place}` };
}

/** Why a shard that is marked otherwise is not ours, and what to do. `undefined` = it is ours. */
export function whyNotOurs({ key, value, unindexed }: Mark, found: string): string | undefined {
  return found === value || found === unindexed
    ? undefined
    : `${key} is "${found}" and not "${value}": ${reasonOf(found)}`;
}

/** A server's answer to the claim of our shard. */
export interface Claim {
  /** Why it takes no writes now; `undefined` = it does. */
  readonly refusal: PrismError | undefined;
  /** Its memory settings and use as INFO prints them; "" = unknown. */
  readonly memory: string;
}

/**
 * Checks that a shard belongs to this store, and marks it for other stores. Makes its indexes of
 * lists and records if it has none. Throws StartError if it belongs to others, and PrismError if it
 * cannot be written now and has to be.
 */
export async function claimShard(connection: Connection, config: RedisConfig, shard: number): Promise<Claim> {
  const mark = markOf(config, shard);
  // When stores with different numbers of shards start at once, the one that claims the first shard
  // gets all. A shard that is ours already needs no such check; the first one may be on a node that
  // is away.
  if (shard > 0 && (await connection.run("repeatable", "get", [mark.key])) === null) {
    await claimShard(connection, config, 0);
  }
  const reply = await connection.runScript("repeatable", SCRIPTS.open, [mark.key], [mark.value, ...COMMANDS]);
  const [found = "", refused = "", memory = ""] = asTexts(reply);
  const reason = whyNotOurs(mark, found);
  if (reason !== undefined) {
    throw new StartError(reason);
  }
  const refusal = refused === "" ? undefined : toPrismError(new ReplyError(refused), "repeatable", true);
  if (found === mark.unindexed) {
    if (refusal !== undefined) {
      throw refusal;
    }
    await indexNames(connection, shardKeys(config.key_prefix, shard));
    await connection.run("repeatable", "set", [mark.key, mark.value]);
  }
  return { refusal, memory };
}

function reasonOf(found: string): string {
  return found.startsWith("1 ")
    ? 'the data is of an older Prism, whose entries have no versions: choose another key_prefix, and copy the data as docs/backends.md says ("Data of an older Prism")'
    : "the data has another number of shards, or is of another version of Prism";
}

/** Checks by the server's memory settings that it evicts no data. Throws StartError. */
export function checkMemory({ memory }: Claim): void {
  const [, policy = "noeviction"] = /^maxmemory_policy:(\S+)/m.exec(memory) ?? [];
  const [, maxBytes = "0"] = /^maxmemory:(\d+)/m.exec(memory) ?? [];
  if (maxBytes !== "0" && policy !== "noeviction") {
    throw new StartError(
      `it would throw away data when it is full: set its maxmemory-policy to noeviction (it is ${policy}), or its maxmemory to 0`,
    );
  }
}
