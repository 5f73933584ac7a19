import type { EventEmitter } from "node:events";
import { Readable } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";
import { createLane } from "../backend/lane.ts";

/** What the writer makes in one turn of the event loop: so much text, or for so long. */
const SLICE_CHARACTERS = 64 * 1024;
const SLICE_MS = 2;

/** A scraper that has not taken everything in this time is cut off: others wait for it. */
const MAX_SCRAPE_MS = 30_000;

/**
 * Makes a function that streams a text that is made of pieces. A slice of it is made in each turn
 * of the event loop, and only when the reader has taken the one before: so calls go on meanwhile,
 * and nothing is held, however long the text is. One stream is under way at a time; the others wait
 * for their turn, in order. `response` is where the stream goes: if it closes before its turn, the
 * stream comes destroyed, because nobody would ever read it.
 */
export function createScraper<Kind>(
  piecesOf: (kind: Kind) => Iterable<string> | Promise<Iterable<string>>,
  maxScrapeMs = MAX_SCRAPE_MS,
): (kind: Kind, response?: EventEmitter) => Promise<Readable> {
  const lane = createLane(1);
  return async (kind, response) => {
    let hasLeft = false;
    const leave = () => {
      hasLeft = true;
    };
    response?.once("close", leave);
    await lane.enter(undefined);
    response?.off("close", leave);
    const stream = Readable.from(slicesOf(piecesOf(kind)));
    const cut = () => stream.destroy(new Error(`the metrics were not read in ${maxScrapeMs} ms`));
    const timer = setTimeout(cut, maxScrapeMs);
    stream.once("close", () => {
      clearTimeout(timer);
      lane.leave();
    });
    if (hasLeft) {
      stream.destroy();
    }
    return stream;
  };
}

async function* slicesOf(asked: Iterable<string> | Promise<Iterable<string>>): AsyncGenerator<string> {
  const pieces = await asked;
  let text = "";
  let untilMs = performance.now() + SLICE_MS;
  for (const piece of pieces) {
    text += piece;
    if (text.length >= SLICE_CHARACTERS || performance.now() >= untilMs) {
      yield text;
      text = "";
      await nextTurn();
      untilMs = performance.now() + SLICE_MS;
    }
  }
  yield text;
}
