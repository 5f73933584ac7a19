import { ReplyError } from "ioredis";
import { type PrismError, StartError } from "../../errors.ts";
import { type RedisConfig, shardCount } from "./config.ts";
import type { Connection } from "./connection.ts";
import { toPrismError } from "./errors.ts";
import { shardKeys } from "./keys.ts";
import { asTexts } from "./replies.ts";
import { COMMANDS, SCRIPTS } from "./scripts.ts";

/** How the keys are laid out: a number that a change of it would raise. */
const LAYOUT_VERSION = 1;

/** What a server says to the claim of a shard that is ours. */
export interface Claim {
  /** Why it takes no writes now; `undefined` = it does. */
  readonly refusal: PrismError | undefined;
  /** What it tells of its memory, as INFO does; "" = nothing. */
  readonly memory: string;
}

/**
 * Makes sure that a shard is what this store takes it for, and says so to all others. Throws StartError where others have it, and
 * PrismError where nobody has, and it cannot be claimed now.
 */
export async function claimShard(connection: Connection, config: RedisConfig, shard: number): Promise<Claim> {
  const { layout } = shardKeys(config.key_prefix, shard);
  // Of stores with other numbers of shards that start at once the one that has the first shard has them all. Where this one is ours
  // already that is settled, and the first may be on a node that is away.
  if (shard > 0 && (await connection.run("repeatable", "get", [layout])) === null) {
    await claimShard(connection, config, 0);
  }
  const wanted = `${LAYOUT_VERSION} ${shard}/${shardCount(config)}`;
  const reply = await connection.runScript("repeatable", SCRIPTS.open, [layout], [wanted, ...COMMANDS]);
  const [found = "", refusal = "", memory = ""] = asTexts(reply);
  if (found !== wanted) {
    throw new StartError(
      `${layout} is "${found}" and not "${wanted}": the data has another number of shards, or is of another version of Prism`,
    );
  }
  return {
    refusal: refusal === "" ? undefined : toPrismError(new ReplyError(refusal), "repeatable", true),
    memory,
  };
}

/** Makes sure that what is in a server stays there, by what it tells of its memory. Throws StartError. */
export function checkMemory({ memory }: Claim): void {
  const [, policy = "noeviction"] = /^maxmemory_policy:(\S+)/m.exec(memory) ?? [];
  const [, maxBytes = "0"] = /^maxmemory:(\d+)/m.exec(memory) ?? [];
  if (maxBytes !== "0" && policy !== "noeviction") {
    throw new StartError(
      `it would throw away data when it is full: set its maxmemory-policy to noeviction (it is ${policy}), or its maxmemory to 0`,
    );
  }
}
