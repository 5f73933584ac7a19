import { setTimeout as delay } from "node:timers/promises";
import { Cluster, Command, type Redis } from "ioredis";
import { PrismError } from "../../errors.ts";
import type { Figures } from "../figures.ts";
import { storeError } from "../store-errors.ts";
import { createClient, patienceMs } from "./client.ts";
import type { RedisConfig } from "./config.ts";
import { forgetCommand, isRefused, lastErrorOf, type Repetition, replyCode, toPrismError } from "./errors.ts";
import { createLookout } from "./lookout.ts";
import { silentPlaces } from "./probe.ts";
import type { Script } from "./scripts.ts";

/**
 * The pauses before a command is tried again that had no effect or is repeatable. A broken
 * connection is back in a moment; a longer absence is reported to the caller.
 */
const RETRY_MS = [30, 60, 120] as const;

/** A command that has taken longer than this is not tried again. */
const RETRY_WITHIN_MS = 1_000;

/**
 * The time limit of a command that a Cluster's client may have put aside. A lost connection shows
 * sooner.
 */
const GIVE_UP_MS = 15_000;

/** A part of a command. */
export type Argument = string | Buffer | number;

/** The connections to one Redis, shared by all shards of a store. */
export interface Connection {
  /**
   * Connects for the first shard that calls it; the others wait for that. Rejects with the driver's
   * error or PrismError.
   */
  retain(): Promise<void>;
  /** Disconnects when the last shard has called it. */
  release(): void;
  /** The server, or every primary of a Cluster; none before it is connected. */
  primaries(): readonly Redis[];
  /** What the client counts now: many commands share a connection, so all are in use. */
  figures(): Figures;
  /**
   * Runs one command whose keys are all in one slot. A repeatable one is tried again after its
   * connection broke. Rejects with PrismError: `outcome_unknown` if a non-repeatable command may
   * have run; `overloaded` if the slot is moving to another Cluster node and the keys are on both.
   */
  run(kind: Repetition, name: string, args: readonly Argument[]): Promise<unknown>;
  /** Runs a script in the same way. */
  runScript(
    kind: Repetition,
    script: Script,
    keys: readonly string[],
    args: readonly Argument[],
  ): Promise<unknown>;
}

/** Makes the connections of {@link createClient}, not yet connected. */
export function createConnection(config: RedisConfig): Connection {
  let users = 0;
  let open: ReturnType<typeof connect> | undefined;

  function send(command: TrackedCommand): Promise<unknown> {
    if (open === undefined) {
      throw storeError("store_unavailable");
    }
    const { client } = open;
    // The client would keep what it cannot send, for ever.
    if (client instanceof Cluster && client.status !== "ready") {
      throw storeError("store_unavailable", open.trouble());
    }
    if (client instanceof Cluster) {
      command.setTimeout(GIVE_UP_MS);
    }
    return Promise.resolve(client.sendCommand(command));
  }

  async function run(kind: Repetition, name: string, args: readonly Argument[]): Promise<unknown> {
    const untilMs = performance.now() + RETRY_WITHIN_MS;
    for (const waitMs of [...RETRY_MS, undefined]) {
      const command = new TrackedCommand(name, [...args], { replyEncoding: null });
      try {
        const reply = await send(command);
        if (kind === "once") {
          open?.lookout.taken();
        }
        return reply;
      } catch (error) {
        if (replyCode(error) === "READONLY") {
          open?.lookout.refused();
        }
        // A refused repeatable command has several keys, and each can be read alone.
        const again = isRefused(error)
          ? kind !== "repeatable"
          : replyCode(error) === "" && (kind !== "once" || !command.wasSent);
        if (!again || waitMs === undefined || performance.now() > untilMs) {
          throw toPrismError(error, kind, command.wasSent);
        }
        await delay(waitMs);
      }
    }
    throw storeError("store_unavailable");
  }

  return {
    run,
    async runScript(kind, { sha1, text }, keys, args) {
      const rest = [keys.length, ...keys, ...args];
      try {
        return await run(kind, "evalsha", [sha1, ...rest]);
      } catch (error) {
        if (!(error instanceof PrismError) || replyCode(error.cause) !== "NOSCRIPT") {
          throw error;
        }
        // A server that does not know the script yet learns it from this.
        return await run(kind, "eval", [text, ...rest]);
      }
    },
    async retain() {
      users++;
      open ??= connect(config);
      await open.ready;
    },
    release() {
      users--;
      if (users > 0) {
        return;
      }
      open?.lookout.close();
      open?.client.disconnect();
      open = undefined;
    },
    primaries() {
      const client = open?.client;
      return client instanceof Cluster ? client.nodes("master") : client === undefined ? [] : [client];
    },
    figures() {
      const client = open?.client;
      const nodes = client instanceof Cluster ? client.nodes() : [client];
      return { connectionsUsed: nodes.filter((node) => node?.status === "ready").length };
    },
  };
}

/** A command that knows whether it was sent. */
class TrackedCommand extends Command {
  /** True: some part of it was written to a connection. */
  wasSent = false;

  override toWritable(socket: object): string | Buffer {
    // It was given up while it waited in one of the driver's queues. The driver expects an answer
    // all the same.
    if (this.isSettled) {
      return "*1\r\n$4\r\nPING\r\n";
    }
    this.wasSent = true;
    return super.toWritable(socket);
  }
}

/** Makes a client and connects it. Commands learn what the client reports from then on. */
function connect(config: RedisConfig) {
  const client = createClient(config);
  const timeoutMs = patienceMs(config);
  let timer: NodeJS.Timeout | undefined;
  let trouble: unknown;
  const hear = (error: unknown) => {
    const last = lastErrorOf(error);
    if (!tellsWhy(last)) {
      return;
    }
    forgetCommand(last);
    trouble = last;
  };
  client.on("node error", hear);
  client.on("ready", () => (trouble = undefined));
  const ready = new Promise<void>((resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer in ${timeoutMs} ms`)), timeoutMs);
    client.once("ready", resolve);
    client.on("error", (error) => {
      // The driver would go on in database 0.
      if (isOfSelect(error)) {
        client.disconnect(true);
      }
      hear(error);
      reject(error);
    });
    client.connect().catch(reject);
  })
    .finally(() => clearTimeout(timer))
    .catch(async (error: unknown) => {
      if (tellsWhy(lastErrorOf(error))) {
        throw error;
      }
      throw trouble ?? (await silentPlaces(config)) ?? error;
    });
  return {
    client,
    ready,
    lookout: createLookout(config, () => client.disconnect(true)),
    /**
     * The last error from the server or the network that explains why it is not ready. `undefined`
     * = none.
     */
    trouble: () => trouble,
  };
}

/** Whether the error is from the server or the network, and not the driver's own about them. */
function tellsWhy(error: unknown): boolean {
  return replyCode(error) !== "" || Reflect.get(Object(error), "code") !== undefined;
}

function isOfSelect(error: unknown): boolean {
  return Reflect.get(Object(Reflect.get(Object(error), "command")), "name") === "select";
}
