import { setTimeout as delay } from "node:timers/promises";
import { Cluster, Command } from "ioredis";
import { PrismError } from "../../errors.ts";
import { createClient, patienceMs } from "./client.ts";
import type { RedisConfig } from "./config.ts";
import {
  forgetCommand,
  isRefused,
  type Kind,
  lastErrorOf,
  replyCode,
  toPrismError,
  unavailable,
} from "./errors.ts";
import { createLookout } from "./lookout.ts";
import { silentPlaces } from "./probe.ts";
import type { Script } from "./scripts.ts";

/**
 * Between the tries to make a command again that had no effect, or that is repeatable: a connection that broke is back in a moment. What is
 * away for longer is for the callers to hear.
 */
const RETRY_MS = [30, 60, 120] as const;

/** What has taken longer by then is not made again. */
const RETRY_WITHIN_MS = 1_000;

/** The last word on a command that a Cluster's client may have put aside; a lost connection is noticed sooner. */
const GIVE_UP_MS = 15_000;

type Argument = string | Buffer | number;

/** The connections to one Redis, which all shards of a store share. */
export interface Connection {
  /** Waits for it; the first of the shards to come connects. Rejects with the driver's error, or PrismError. */
  retain(): Promise<void>;
  /** The last of the shards to go disconnects. */
  release(): void;
  /**
   * Runs one command, all of whose keys are in one slot. Those that are repeatable are made again where a connection broke. Rejects with
   * PrismError: `outcome_unknown` where another may have been done, `overloaded` where the slot is on its way to another node of a Cluster, which takes no
   * command meanwhile that has keys on both.
   */
  run(kind: Kind, name: string, args: readonly Argument[]): Promise<unknown>;
  /** The same for a script. */
  runScript(kind: Kind, script: Script, keys: readonly string[], args: readonly Argument[]): Promise<unknown>;
}

/** Makes what {@link createClient} names; it does not connect yet. */
export function createConnection(config: RedisConfig): Connection {
  let users = 0;
  let open: ReturnType<typeof connect> | undefined;

  function send(command: TrackedCommand): Promise<unknown> {
    if (open === undefined) {
      throw unavailable(undefined);
    }
    const { client } = open;
    // It would keep what it cannot send, for ever.
    if (client instanceof Cluster && client.status !== "ready") {
      throw unavailable(open.trouble());
    }
    if (client instanceof Cluster) {
      command.setTimeout(GIVE_UP_MS);
    }
    return Promise.resolve(client.sendCommand(command));
  }

  async function run(kind: Kind, name: string, args: readonly Argument[]): Promise<unknown> {
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
        // A repeatable one that is refused has several keys, and each can be read alone.
        const again = isRefused(error)
          ? kind === "once"
          : replyCode(error) === "" && (kind === "repeatable" || !command.wasSent);
        if (!again || waitMs === undefined || performance.now() > untilMs) {
          throw toPrismError(error, kind, command.wasSent);
        }
        await delay(waitMs);
      }
    }
    throw unavailable(undefined);
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
        // A server that has not run it yet learns it by running it.
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
  };
}

/** A command that knows whether it has left. */
class TrackedCommand extends Command {
  /** A part of it, or all, was written to a connection. */
  wasSent = false;

  override toWritable(socket: object): string | Buffer {
    // It was given up while it waited in a queue of the driver's, which expects an answer all the same.
    if (this.isSettled) {
      return "*1\r\n$4\r\nPING\r\n";
    }
    this.wasSent = true;
    return super.toWritable(socket);
  }
}

/** Connects a client, and keeps it: what it says from then on the commands hear too. */
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
    /** What was last heard from the server or the network that tells why it is not ready; `undefined` = nothing. */
    trouble: () => trouble,
  };
}

/** Whether it is from the server or the network, and not only the driver's about them. */
function tellsWhy(error: unknown): boolean {
  return replyCode(error) !== "" || Reflect.get(Object(error), "code") !== undefined;
}

function isOfSelect(error: unknown): boolean {
  return Reflect.get(Object(Reflect.get(Object(error), "command")), "name") === "select";
}
