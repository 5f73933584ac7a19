import { setImmediate as nextTurn } from "node:timers/promises";

/** How long the writer works in one turn of the event loop. */
const SLICE_MS = 2;

/**
 * Puts the pieces of a text together, a slice in each turn of the event loop, so that calls go on
 * meanwhile however long the text is. Answers the slices.
 */
export async function writeInSlices(pieces: Iterable<string>): Promise<readonly Buffer[]> {
  const slices: Buffer[] = [];
  let text = "";
  let untilMs = performance.now() + SLICE_MS;
  for (const piece of pieces) {
    text += piece;
    if (performance.now() >= untilMs) {
      slices.push(Buffer.from(text));
      text = "";
      await nextTurn();
      untilMs = performance.now() + SLICE_MS;
    }
  }
  slices.push(Buffer.from(text));
  return slices;
}

/**
 * Makes a function that runs `work` for each kind, one at a time. Who asks for a kind that is under
 * way, or waits already, gets the same.
 */
export function createShared<Kind, T>(work: (kind: Kind) => Promise<T>): (kind: Kind) => Promise<T> {
  const underWay = new Map<Kind, Promise<T>>();
  let last: Promise<unknown> = Promise.resolve();
  return (kind) => {
    let mine = underWay.get(kind);
    if (mine === undefined) {
      mine = last.then(() => work(kind)).finally(() => underWay.delete(kind));
      underWay.set(kind, mine);
      last = mine.catch(() => {});
    }
    return mine;
  };
}
