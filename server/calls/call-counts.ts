import { setImmediate as nextTurn } from "node:timers/promises";
import { type CallMeter, CallSeries, type NamespaceSeries, SERIES_SLOTS } from "./call-meter.ts";

/** After so many namespaces other calls have a turn. */
const SLICE_NAMESPACES = 500;

/** The counts of several things, in a form that one process sends to another. */
interface Counts {
  readonly names: readonly string[];
  /** The numbers of a {@link CallSeries} for each name. */
  readonly values: Float64Array;
}

/** What a process has counted of its calls. */
export interface CallCounts {
  /** Each namespace that was called; if they are too many, those with most calls. */
  readonly namespaces: Counts;
  /** How many there are, also those that are left out. */
  readonly namespaceCount: number;
  /** Each method that was called on any of them, as `package.Service/Method`. */
  readonly methods: Counts;
}

/** What several processes have counted, each thing by its name. */
export interface CallSums {
  readonly namespaces: ReadonlyMap<string, CallSeries>;
  readonly namespaceCount: number;
  readonly methods: ReadonlyMap<string, CallSeries>;
}

/**
 * Reads what `meter` has counted on the namespaces with these names; [] = on all. It tells of
 * `maxNamespaces` at most. Other calls have their turns meanwhile.
 */
export async function countCalls(
  meter: CallMeter,
  names: readonly string[],
  maxNamespaces: number,
): Promise<CallCounts> {
  const wanted = names.length === 0 ? undefined : new Set(names);
  const called: { readonly namespace: NamespaceSeries; readonly calls: number }[] = [];
  const methods: (CallSeries | undefined)[] = [];
  let looked = 0;
  for (const namespace of meter.namespaces()) {
    if (wanted?.has(namespace.name) !== false) {
      const calls = addMethods(namespace, methods);
      if (calls !== undefined) {
        called.push({ namespace, calls });
      }
    }
    if (++looked % SLICE_NAMESPACES === 0) {
      await nextTurn();
    }
  }
  const told =
    called.length <= maxNamespaces
      ? called
      : called.sort((a, b) => b.calls - a.calls).slice(0, maxNamespaces);
  return {
    namespaces: pack(told.map(({ namespace: { name, methods: all } }) => [name, all])),
    namespaceCount: called.length,
    methods: pack(
      meter.methods.flatMap((name, i) => (methods[i] === undefined ? [] : [[name, [methods[i]]]])),
    ),
  };
}

/** Adds up counts of several processes. */
export function sumOfCounts(counts: readonly CallCounts[]): CallSums {
  const namespaces = sumByName(counts.map((each) => each.namespaces));
  return {
    namespaces,
    namespaceCount: Math.max(namespaces.size, ...counts.map((each) => each.namespaceCount)),
    methods: sumByName(counts.map((each) => each.methods)),
  };
}

/**
 * Adds each method of a namespace to those of `sums`. Answers the calls that are over; `undefined`
 * = nothing was called.
 */
function addMethods({ methods }: NamespaceSeries, sums: (CallSeries | undefined)[]): number | undefined {
  let calls: number | undefined;
  for (let i = 0; i < methods.length; i++) {
    const series = methods[i];
    if (series !== undefined) {
      const sum = sums[i] ?? new CallSeries();
      sums[i] = sum;
      calls = (calls ?? 0) + sum.addAll(series);
    }
  }
  return calls;
}

/** Adds up the series of each name. */
function pack(named: readonly (readonly [string, readonly (CallSeries | undefined)[]])[]): Counts {
  const values = new Float64Array(named.length * SERIES_SLOTS);
  for (const [i, [, all]] of named.entries()) {
    const sum = seriesAt(values, i);
    for (const series of all) {
      if (series !== undefined) {
        sum.addAll(series);
      }
    }
  }
  return { names: named.map(([name]) => name), values };
}

function seriesAt(values: Float64Array, i: number): CallSeries {
  return new CallSeries(values.subarray(i * SERIES_SLOTS, (i + 1) * SERIES_SLOTS));
}

function sumByName(all: readonly Counts[]): ReadonlyMap<string, CallSeries> {
  const sums = new Map<string, CallSeries>();
  for (const { names, values } of all) {
    for (const [i, name] of names.entries()) {
      const sum = sums.get(name) ?? new CallSeries();
      sum.addAll(seriesAt(values, i));
      sums.set(name, sum);
    }
  }
  return sums;
}
