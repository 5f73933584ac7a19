/** What a store can tell of itself in numbers, each with what it counts. All of them add up. */
export const FIGURES = {
  connectionsUsed: "Connections to the store's server that are in use",
  connectionsIdle: "Connections to the store's server that wait for work",
  connectionsMax: "The most connections that the pool makes; 0 = the pool has no bound",
  connectionWaits: "Calls that wait for a connection",
  queuedCalls: "Calls that wait in the gateway for their turn at the store, or writes for the disk",
  queuedBytes: "Bytes of keys and values that those calls hold",
  waitingPops: "Calls that wait until a list has a value",
  waitingTails: "Calls that wait until a stream has events",
  breakers: "Parts of the store that can be away by themselves",
  breakersOpen: "Those of them that are away, so that calls fail at once",
} as const;

/** One of {@link FIGURES}. */
export type FigureName = keyof typeof FIGURES;

/** Numbers at one moment. An absent one = the store has no such thing. */
export type Figures = { readonly [Name in FigureName]?: number };

/** Something that tells figures, or nothing: a store, or a layer around it. */
interface Told {
  readonly figures?: (() => Figures) | undefined;
}

/** The function that adds up what all of these tell. `undefined` = none tells anything. */
export function sumFigures(parts: readonly Told[]): (() => Figures) | undefined {
  const all = parts.flatMap(({ figures }) => figures ?? []);
  const [first, ...others] = all;
  if (first === undefined || others.length === 0) {
    return first;
  }
  return () => sumOfFigures(all.map((figures) => figures()));
}

/** What several parts tell together. */
export function sumOfFigures(all: readonly Figures[]): Figures {
  const sum: Partial<Record<FigureName, number>> = {};
  for (const figures of all) {
    for (const [name, value] of Object.entries(figures) as [FigureName, number][]) {
      sum[name] = (sum[name] ?? 0) + value;
    }
  }
  return sum;
}
