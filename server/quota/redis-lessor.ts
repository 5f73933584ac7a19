import { createHash, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { Redis } from "ioredis";
import type { BucketMaker, BucketSize } from "../calls/policies/bucket.ts";
import { type Lease, LeasedBucket, type Lessor } from "./leased-bucket.ts";

/** Quotas that hold for all gateways with one Redis together. */
export interface SharedQuotas {
  readonly makeBucket: BucketMaker;
  close(): void;
}

/** Where it says that the Redis is away, and that it is back. A pino Logger fits. */
export interface QuotaLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** Replacements for tests. */
export interface SharedQuotaOptions {
  readonly nowMs?: () => number;
  readonly commandTimeoutMs?: number;
}

/**
 * A Redis that answers no sooner counts as away. Calls wait so long at most, and only those that
 * find it so; those after them do not ask.
 */
const COMMAND_TIMEOUT_MS = 500;
const CONNECT_TIMEOUT_MS = 2_000;

/** While the Redis is away, it is asked again this often. */
const RETRY_MS = 500;

/** The start of every key. */
const KEY_PREFIX = "prism:quota:";

const SCRIPT = readFileSync(new URL("./lease.lua", import.meta.url), "utf8");
const SCRIPT_SHA1 = createHash("sha1").update(SCRIPT).digest("hex");

/**
 * Shares quotas through a Redis. Connects in the background. While it cannot be reached, each
 * gateway limits by itself, and `log` says so.
 *
 * @param url `redis://user:password@host:6379/0`; rediss:// means TLS.
 */
export function createSharedQuotas(
  url: string,
  log: QuotaLog,
  { nowMs = () => performance.now(), commandTimeoutMs = COMMAND_TIMEOUT_MS }: SharedQuotaOptions = {},
): SharedQuotas {
  const lessor = new RedisLessor(url, log, commandTimeoutMs);
  return {
    makeBucket: (name, size) => new LeasedBucket(name, size, lessor, nowMs),
    close: () => lessor.close(),
  };
}

class RedisLessor implements Lessor {
  /** At the start it counts as there, so that the first calls wait for it. */
  isThere = true;
  readonly #gateway = randomUUID();
  readonly #client: Redis;
  readonly #log: QuotaLog;
  #retry: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(url: string, log: QuotaLog, commandTimeoutMs: number) {
    this.#log = log;
    this.#client = new Redis(url, {
      connectionName: "prism-quota",
      // A gateway that is made and not started connects to nothing.
      lazyConnect: true,
      disableClientInfo: true,
      connectTimeout: CONNECT_TIMEOUT_MS,
      commandTimeout: commandTimeoutMs,
      maxRetriesPerRequest: 0,
      // A lease that may have been given must not be asked for twice.
      autoResendUnfulfilledCommands: false,
      retryStrategy: () => RETRY_MS,
    });
    // What fails is told by the lease that fails.
    this.#client.on("error", () => {});
  }

  async lease(
    name: string,
    { perSecond, capacity }: BucketSize,
    want: number,
    need: number,
  ): Promise<Lease | undefined> {
    const ask = (tokens: number, least: number) =>
      this.#run(`${KEY_PREFIX}${name}`, [this.#gateway, perSecond, capacity, tokens, least]);
    try {
      return leaseOf(await ask(want, need));
    } catch (error) {
      this.#lose(error, async () => {
        leaseOf(await ask(0, 0));
      });
      return undefined;
    }
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#retry);
    this.#client.disconnect();
  }

  async #run(key: string, args: readonly (string | number)[]): Promise<unknown> {
    try {
      return await this.#client.evalsha(SCRIPT_SHA1, 1, key, ...args);
    } catch (error) {
      if (error instanceof Error && error.message.startsWith("NOSCRIPT")) {
        return await this.#client.eval(SCRIPT, 1, key, ...args);
      }
      throw error;
    }
  }

  /** `attempt` leases nothing where a lease has failed. */
  #lose(error: unknown, attempt: () => Promise<void>): void {
    if (!this.isThere || this.#isClosed) {
      return;
    }
    this.isThere = false;
    this.#log.warn(
      { error: error instanceof Error ? error.message : String(error) },
      "the Redis of shared quotas is away: each gateway limits by itself",
    );
    this.#look(attempt);
  }

  /**
   * Asks until it is back. It asks for a lease, because a Redis that answers may have no right or
   * no room to write for this gateway.
   */
  #look(attempt: () => Promise<void>): void {
    this.#retry = setTimeout(async () => {
      try {
        await attempt();
      } catch {
        this.#look(attempt);
        return;
      }
      if (!this.#isClosed) {
        this.isThere = true;
        this.#log.info({}, "the Redis of shared quotas is back");
      }
    }, RETRY_MS);
    this.#retry.unref();
  }
}

/** Throws TypeError if the reply is not what `lease.lua` says. */
function leaseOf(reply: unknown): Lease {
  const [got, gateways]: unknown[] = Array.isArray(reply) ? reply : [];
  const lease = { got: Number(got), gateways: Number(gateways) };
  if (!(lease.got >= 0 && lease.gateways >= 1)) {
    throw new TypeError("lease.lua answered something else");
  }
  return lease;
}
