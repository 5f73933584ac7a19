import type { Clock } from "../clock.ts";
import { type Answers, isRefusal, refusalOf } from "../contract.ts";
import { FadingMaximum } from "../fading-maximum.ts";
import { toPrismError } from "./errors.ts";
import type { Reader } from "./reader.ts";

/** A statement has no more keys than this and one call's: it bounds the BLOB that their values share. */
const MAX_STATEMENT_KEYS = 256;

/** Nor is it expected to read more bytes, by the largest value of late: it bounds how long the event loop stands still. */
const MAX_STATEMENT_BYTES = 1024 * 1024;

/** A turn of the event loop that has read for this long leaves the rest to the next. */
const MAX_TURN_MS = 2;

type Values = Answers<Uint8Array | undefined>;

/** Lets the Gets of one turn of the event loop share statements. */
export interface GetQueue {
  /** The values, `undefined` where a key holds nothing, as they are at some time after this call. Rejects with {@link PrismError}. */
  get(namespace: string, keys: readonly string[]): Promise<Values>;
  /** Answers everything that waits, now. */
  flush(): void;
}

interface WaitingGet {
  readonly keys: readonly string[];
  readonly resolve: (values: Values) => void;
  readonly reject: (error: unknown) => void;
}

/** The calls of one statement, and their keys in order. */
interface Group {
  readonly namespace: string;
  readonly keys: string[];
  readonly calls: WaitingGet[];
}

/** Makes the queue in front of `reader`. */
export function createGetQueue(reader: Pick<Reader, "get" | "getMany">, clock: Clock): GetQueue {
  let waiting: Group[] = [];
  /** The last group of each namespace, while it takes calls. */
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

  /** At the end of the turn, when all that it brought is here. */
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
        // What is damaged is one entry, most likely: it is in one of the halves.
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
