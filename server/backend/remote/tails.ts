import type { MessageShape } from "@bufbuild/protobuf";
import {
  type TailResponseSchema,
  TimeSeriesService,
} from "../../../gen/prism/timeseries/v1/timeseries_pb.ts";
import { PrismError } from "../../errors.ts";
import type { Call, StreamTailStore } from "../contract.ts";
import { bytesOfEvent, type EventWait, type HeldEvent, type OffsetPage } from "../streams.ts";
import { answeredWrongly, toPrismError } from "./errors.ts";
import type { Plugin } from "./plugin.ts";
import type { StoreOptions } from "./stores.ts";
import { describe, fromTail, ifThere, toTail } from "./streams.ts";

const { tail } = TimeSeriesService.method;

/**
 * The most tails that are open at the plugin; further ones fail as `overloaded`. Their connections
 * have as many places.
 */
export const MAX_TAILS = 1024;

/** How long a tail waits for its reader. One that comes later opens another. */
const IDLE_MS = 60_000;

/** The tails of a plugin. Closing them ends them. */
export interface RemoteTails extends StreamTailStore {
  close(): void;
}

/**
 * Tails of the plugin, which knows when events come. The wire streams them, while the contract asks
 * for pages. So a tail stays open until the same call asks for its next page; flow control holds
 * the plugin back meanwhile.
 */
export function createTails({ plugin }: Pick<StoreOptions, "plugin">): RemoteTails {
  /** The open tails. A call has at most one. */
  const open = new Map<Call, RemoteTail>();

  /** Opens a tail, or answers the page that tells that the stream is not there or ends before. */
  async function begin(
    namespace: string,
    wait: EventWait,
    call: Call,
  ): Promise<RemoteTail | OffsetPage | undefined> {
    const ask = plugin();
    const state = await ifThere(() =>
      describe((method, input) => ask.ask(method, input, call, false), namespace, wait.stream),
    );
    if (state === undefined) {
      return undefined;
    }
    const { nextOffset } = state;
    if (wait.offset !== Infinity && wait.offset > nextOffset) {
      return { events: [], next: nextOffset, ended: true };
    }
    if (open.size >= MAX_TAILS) {
      throw new PrismError("overloaded", "too many calls wait for events of the plugin");
    }
    const offset = Math.min(wait.offset, nextOffset);
    const opened = new RemoteTail(offset, () => open.delete(call));
    open.set(call, opened);
    opened.start(ask, namespace, wait, call);
    return opened;
  }

  return {
    async waitEvents(namespace, wait, call) {
      const found = open.get(call);
      if (found !== undefined && found.next !== wait.offset) {
        found.close();
      }
      const opened = open.get(call) ?? (await begin(namespace, wait, call));
      if (!(opened instanceof RemoteTail)) {
        return opened;
      }
      return await ifThere(async () => {
        try {
          return await opened.page(wait);
        } catch (error) {
          opened.close();
          throw toPrismError(error, { call, write: false });
        }
      });
    },

    close() {
      for (const opened of open.values()) {
        opened.close();
      }
    },
  };
}

type Message = IteratorResult<MessageShape<typeof TailResponseSchema>>;

/** One tail at the plugin. */
class RemoteTail {
  /** The offset behind the last event that was handed over. */
  next: number;
  readonly #forget: () => void;
  readonly #leaving = new AbortController();
  #messages: Promise<AsyncIterator<MessageShape<typeof TailResponseSchema>>> | undefined;
  /** The message that is waited for. It stays when a page ends without it. */
  #coming: Promise<Message> | undefined;
  #idle: NodeJS.Timeout | undefined;

  /** `forget` is called when it is closed. */
  constructor(next: number, forget: () => void) {
    this.next = next;
    this.#forget = forget;
  }

  /** Asks the plugin. What fails is told to who asks for a page. */
  start(plugin: Plugin, namespace: string, wait: EventWait, call: Call): void {
    const signal = AbortSignal.any([call.signal, this.#leaving.signal]);
    const request = { namespace, ...toTail(wait, this.next) };
    this.#messages = plugin.stream(tail, request, call, signal);
    call.signal.addEventListener("abort", this.close, { signal: this.#leaving.signal });
  }

  /**
   * Waits for the first message, and takes those that have come with it. Throws the transport's
   * errors, and PrismError.
   */
  async page({ waitMs, maxEvents, maxBytes }: EventWait): Promise<OffsetPage> {
    clearTimeout(this.#idle);
    const events: HeldEvent[] = [];
    let bytes = 0;
    while (events.length < maxEvents && bytes < maxBytes) {
      this.#coming ??= this.#receive();
      const message = await (events.length === 0
        ? within(this.#coming, waitMs)
        : Promise.race([this.#coming, thisTurn()]));
      if (message === undefined) {
        break;
      }
      this.#coming = undefined;
      if (message.done === true) {
        throw answeredWrongly("the end of a tail");
      }
      const event = fromTail(message.value.event);
      events.push(event);
      bytes += bytesOfEvent(event);
      this.next = event.offset + 1;
    }
    this.#idle = setTimeout(this.close, IDLE_MS).unref();
    return { events, next: this.next, ended: false };
  }

  /** Ends it at the plugin. */
  readonly close = (): void => {
    clearTimeout(this.#idle);
    this.#leaving.abort();
    this.#forget();
  };

  #receive(): Promise<Message> {
    const coming = (async () => {
      const messages = await this.#messages;
      return messages === undefined ? { done: true as const, value: undefined } : await messages.next();
    })();
    // Nobody may ask for it any more.
    coming.catch(() => {});
    return coming;
  }
}

/** What comes within so many milliseconds, 0 = whenever it comes; `undefined` = it has not. */
async function within<T>(coming: Promise<T>, maxMs: number): Promise<T | undefined> {
  if (maxMs === 0) {
    return await coming;
  }
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(resolve, maxMs, undefined);
  try {
    return await Promise.race([coming, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Resolves when what has been received by now is told. */
function thisTurn(): Promise<undefined> {
  return new Promise((resolve) => setImmediate(resolve, undefined));
}
