import type { Clock } from "../clock.ts";
import { type Answers, isRefusal, refusalOf } from "../contract.ts";
import { FadingMaximum } from "../fading-maximum.ts";
import { toPrismError } from "./errors.ts";
import type { Reader } from "./reader.ts";

/**
 * Together with one call's keys this bounds a statement's keys, and so the BLOB that their values
 * share.
 */
const MAX_STATEMENT_KEYS = 256;

/**
 * The most bytes that a statement is expected to read, by the largest recent value. Bounds how long
 * the event loop stands still.
 */
const MAX_STATEMENT_BYTES = 1024 * 1024;

/** After reading this long in one turn of the event loop, the rest waits for the next turn. */
const MAX_TURN_MS = 2;

type Values = Answers<Uint8Array | undefined>;

/** Lets the Gets of one turn of the event loop share statements. */
export interface GetQueue {
  /**
   * The values at some moment after this call; `undefined` where there is no entry. Rejects with
   * {@link PrismError}.
   */
  get(namespace: string, keys: readonly string[]): Promise<Values>;
  /** Answers all waiting calls now. */
  flush(): void;
}

interface WaitingGet {
  readonly keys: readonly string[];
  readonly resolve: (values: Values) => void;
  readonly reject: (error: unknown) => void;
}

/** The calls of one statement and all their keys, in order. */
interface Group {
  readonly namespace: string;
  readonly keys: string[];
  readonly calls: WaitingGet[];
}

/** Makes the queue in front of `reader`. */
export function createGetQueue(reader: Pick<Reader, "get" | "getMany">, clock: Clock): GetQueue {
  let waiting: Group[] = [];
  /** The last group of each namespace, until it is full. */
  const open = new Map<string, Group>();
  let scheduled = false;
  const largest = new FadingMaximum(1);

  function groupOf(namespace: string): Group {
    const last = open.get(namespace);
    const most = Math.min(MAX_STATEMENT_KEYS, MAX_STATEMENT_BYTES / largest.value);
    if (last !== undefined && last.keys.length < most) {
      return last;
    }
    const group: Group = { namespace, keys: [], calls: [] };
    open.set(namespace, group);
    waiting.push(group);
    return group;
  }

  /** Runs at the end of the turn, when all its calls are here. */
  function schedule(): void {
    if (scheduled) {
      return;
    }
    scheduled = true;
    setImmediate(() => {
      scheduled = false;
      answer(performance.now() + MAX_TURN_MS);
    });
  }

  function answer(untilMs: number): void {
    const groups = waiting;
    waiting = [];
    open.clear();
    let done = 0;
    for (const group of groups) {
      answerGroup(group);
      done++;
      if (performance.now() >= untilMs) {
        break;
      }
    }
    waiting = groups.slice(done);
    if (waiting.length > 0) {
      schedule();
    }
  }

  function answerGroup({ namespace, keys, calls }: Group): void {
    try {
      const values = read(namespace, keys);
      largest.fade();
      for (const value of values) {
        largest.see(isRefusal(value) ? 0 : (value?.length ?? 0));
      }
      let start = 0;
      for (const call of calls) {
        call.resolve(values.slice(start, start + call.keys.length));
        start += call.keys.length;
      }
    } catch (error) {
      const failure = toPrismError(error);
      const refusal = refusalOf(failure);
      if (refusal === undefined) {
        for (const call of calls) {
          call.reject(failure);
        }
      } else if (calls.length > 1) {
        // Most likely one entry is damaged, so only one half will fail.
        const half = Math.ceil(calls.length / 2);
        for (const some of [calls.slice(0, half), calls.slice(half)]) {
          answerGroup({ namespace, keys: some.flatMap((call) => call.keys), calls: some });
        }
      } else {
        calls[0]?.resolve(keys.map(() => refusal));
      }
    }
  }

  function read(namespace: string, keys: readonly string[]): Values {
    const [first] = keys;
    const nowMs = clock.now();
    return keys.length === 1 && first !== undefined
      ? [reader.get(namespace, first, nowMs)]
      : reader.getMany(namespace, keys, nowMs);
  }

  function wait(namespace: string, keys: readonly string[]): Promise<Values> {
    return new Promise((resolve, reject) => {
      const group = groupOf(namespace);
      group.calls.push({ keys, resolve, reject });
      for (const key of keys) {
        group.keys.push(key);
      }
      schedule();
    });
  }

  return {
    async get(namespace, keys) {
      if (keys.length <= MAX_STATEMENT_KEYS) {
        return wait(namespace, keys);
      }
      const parts: Promise<Values>[] = [];
      for (let from = 0; from < keys.length; from += MAX_STATEMENT_KEYS) {
        parts.push(wait(namespace, keys.slice(from, from + MAX_STATEMENT_KEYS)));
      }
      return (await Promise.all(parts)).flat();
    },
    flush: () => answer(Number.POSITIVE_INFINITY),
  };
}
