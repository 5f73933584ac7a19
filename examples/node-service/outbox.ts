import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { json, type PrismClient } from "../../client/node.ts";

/** A message on its way. */
export interface Message {
  readonly from: string;
  readonly to: string;
  readonly text: string;
  readonly state: "waiting" | "delivered" | "failed";
  /** How often a worker began to deliver it. */
  readonly attempts: number;
}

/** Takes a message to its receiver. May do so twice for one id. Rejects if it cannot. */
export type Deliver = (id: string, message: Message) => Promise<void>;

/**
 * The ids of messages, the oldest at the left. What is in braces keeps lists together on a Redis
 * with several shards, so that `move` can change two of them at one moment.
 */
const WAITING = "{outbox}:waiting";

/** One value for each message that came to wait: what idle workers wait for. */
const BELL = "{outbox}:bell";

const MESSAGE_TTL_SECONDS = 7 * 24 * 3600;
const MAX_ATTEMPTS = 3;

/** A ring that was lost, because a process ended before it rang, delays a message by so much. */
const WAIT_MS = 30_000;

const PAUSE_AFTER_FAILURE_MS = 1000;

/** A queue of messages. Each is delivered at least once, whoever is killed meanwhile. */
export function createOutbox({ keyvalue, list }: PrismClient) {
  const messages = keyvalue.as(json<Message>());
  const write = (id: string, message: Message) =>
    messages.set(keyOf(id), message, { ttlSeconds: MESSAGE_TTL_SECONDS });

  /** Puts back what a worker has begun. Its name stands for the worker, also after a restart. */
  async function putBack(begun: string): Promise<void> {
    while ((await list.move(begun, "right", WAITING, "left")) !== undefined) {
      await list.pushRight(BELL, "");
    }
  }

  async function deliverNext(begun: string, deliver: Deliver): Promise<void> {
    const moved = await list.move(WAITING, "left", begun, "right");
    if (moved === undefined) {
      return;
    }
    const id = new TextDecoder().decode(moved);
    const message = await messages.find(keyOf(id));
    if (message?.state === "waiting") {
      const tried = await attempt(id, message, deliver);
      await write(id, tried);
      if (tried.state === "waiting") {
        await putBack(begun);
        return;
      }
    }
    await list.popLeft(begun);
  }

  async function attempt(id: string, message: Message, deliver: Deliver): Promise<Message> {
    const begun: Message = { ...message, attempts: message.attempts + 1 };
    if (begun.attempts > MAX_ATTEMPTS) {
      return { ...message, state: "failed" };
    }
    // Kept before it is tried: a message that ends its worker is not tried for ever.
    await write(id, begun);
    try {
      await deliver(id, begun);
      return { ...begun, state: "delivered" };
    } catch (error) {
      console.error(`message ${id} was not delivered: ${error}`);
      return begun;
    }
  }

  return {
    /** Adds a message. Answers its id. */
    async add(from: string, to: string, text: string): Promise<string> {
      const id = randomUUID();
      await write(id, { from, to, text, state: "waiting", attempts: 0 });
      await list.pushRight(WAITING, id);
      await list.pushRight(BELL, "");
      return id;
    },

    /** `undefined` = there is none with this id. */
    find: (id: string): Promise<Message | undefined> => messages.find(keyOf(id)),

    /** How many messages wait. */
    length: (): Promise<number> => list.length(WAITING),

    /**
     * Delivers messages until the signal aborts it. No two workers that run have the same name. A
     * worker that starts first goes on with what the last one of its name had begun.
     */
    async work(name: string, deliver: Deliver, signal: AbortSignal): Promise<void> {
      const begun = `{outbox}:begun:${name}`;
      while (!signal.aborted) {
        try {
          await putBack(begun);
          while (!signal.aborted) {
            await list.blockingPopLeft(BELL, { waitMs: WAIT_MS, signal });
            await deliverNext(begun, deliver);
          }
        } catch (error) {
          if (!signal.aborted) {
            console.error(`the worker goes on in a moment: ${error}`);
            await sleep(PAUSE_AFTER_FAILURE_MS, undefined, { signal }).catch(() => {});
          }
        }
      }
    },
  };
}

function keyOf(id: string): string {
  return `message:${id}`;
}
