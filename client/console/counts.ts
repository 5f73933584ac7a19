import { signal } from "@preact/signals";
import { useCallback, useEffect, useState } from "preact/hooks";
import { freshness, gateway } from "./gateway.ts";
import { problemOf } from "./problem.ts";

/** How many entries a namespace has. */
export interface EntryCount {
  /** `undefined` = it could not be counted. */
  readonly entries: number | undefined;
  /** Why it could not be counted; "" = it was. */
  readonly why: string;
  /** 0 = it is to be counted again. */
  readonly countedAtMs: number;
}

/** A count of a large namespace may take long: it is given up. */
const TIMEOUT_MS = 5000;
/** How many are counted at the same time: a store has other work. */
const AT_ONCE = 2;
/** A count stays good for a return to the page. */
const GOOD_MS = 60_000;
/** The most counts that are kept. */
const MAX_KEPT = 1000;

const counts = signal<ReadonlyMap<string, EntryCount>>(new Map());

/** Counts the entries of namespaces, each at most once a minute unless `countAgain` is called. */
export function useEntryCounts(names: readonly string[]) {
  const [again, setAgain] = useState(0);
  const fresh = freshness.value;
  useEffect(() => {
    const stopped = new AbortController();
    const left = names.filter((name) => !isGood(counts.peek().get(name)));
    for (let i = 0; i < AT_ONCE; i++) {
      void countAll(left, stopped.signal);
    }
    return () => stopped.abort();
  }, [names.toSorted().join(" "), again, fresh]);
  const countAgain = useCallback(() => {
    counts.value = new Map(
      Array.from(counts.peek(), ([name, count]) => [name, { ...count, countedAtMs: 0 }]),
    );
    setAgain((before) => before + 1);
  }, []);
  return { counts: counts.value, countAgain };
}

function isGood(count: EntryCount | undefined): boolean {
  return count !== undefined && Date.now() - count.countedAtMs < GOOD_MS;
}

/** Takes names from `left` until there are none. */
async function countAll(left: string[], stopped: AbortSignal): Promise<void> {
  for (let name = left.shift(); name !== undefined; name = left.shift()) {
    const count = await countOne(name, stopped);
    if (stopped.aborted) {
      return;
    }
    const kept = [...counts.peek()].filter(([other]) => other !== name).slice(1 - MAX_KEPT);
    counts.value = new Map([...kept, [name, count]]);
  }
}

async function countOne(namespace: string, signal: AbortSignal): Promise<EntryCount> {
  try {
    const entries = await gateway.data.keyvalue.count("", { namespace, signal, timeoutMs: TIMEOUT_MS });
    return { entries, why: "", countedAtMs: Date.now() };
  } catch (thrown) {
    const { reason, message } = problemOf(thrown);
    const why = reason === "deadline_exceeded" ? "Counting takes more than 5 s" : message;
    return { entries: undefined, why, countedAtMs: Date.now() };
  }
}
