import type { EventEmitter } from "node:events";
import { Readable } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";
import { createCall } from "../backend/contract.ts";
import { createLane } from "../backend/lane.ts";
import { PrismError } from "../errors.ts";

/** What the writer makes in one turn of the event loop: so much text, or for so long. */
const SLICE_CHARACTERS = 64 * 1024;
const SLICE_MS = 2;

/** A scraper that has not taken everything in this time is cut off: others wait for it. */
const MAX_SCRAPE_MS = 30_000;

/** The most scrapers that wait for their turn. */
export const MAX_WAITING_SCRAPES = 16;

/**
 * Makes a function that streams a text that is made of pieces. A slice of it is made in each turn
 * of the event loop, and only when the reader has taken the one before: so calls go on meanwhile,
 * and nothing is held, however long the text is. One stream is under way at a time; the others wait
 * for their turn, in order. If too many do, it rejects with {@link PrismError} `overloaded`; its
 * `retryAfterMs` is when the one under way is over at the latest. `response` is where the stream
 * goes: if it closes before its turn, the stream comes destroyed, because nobody would ever read
 * it.
 */
export function createScraper<Kind>(
  piecesOf: (kind: Kind) => Iterable<string> | Promise<Iterable<string>>,
  maxScrapeMs = MAX_SCRAPE_MS,
): (kind: Kind, response?: EventEmitter) => Promise<Readable> {
  const lane = createLane(1);
  return async (kind, response) => {
    if (lane.waiting >= MAX_WAITING_SCRAPES) {
      throw new PrismError("overloaded", "too many scrapes wait for their turn", {
        retryAfterMs: maxScrapeMs,
      });
    }
    const left = new AbortController();
    const leave = () => left.abort();
    response?.once("close", leave);
    try {
      await lane.enter(createCall(left.signal));
    } catch {
      // It left.
      return Readable.from([]).destroy();
    }
    response?.off("close", leave);
    const stream = Readable.from(slicesOf(piecesOf(kind)));
    const cut = () => stream.destroy(new Error(`the metrics were not read in ${maxScrapeMs} ms`));
    const timer = setTimeout(cut, maxScrapeMs);
    stream.once("close", () => {
      clearTimeout(timer);
      lane.leave();
    });
    if (left.signal.aborted) {
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
