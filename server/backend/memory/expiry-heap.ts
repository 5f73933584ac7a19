import { type Cells, NO_PLACE } from "./cells.ts";
import { NOWHERE } from "./segments.ts";

/** Items in a chunk. An item is two numbers: the expiry and the cell's address. */
const CHUNK_ITEMS = 8192;
const CHUNK_SHIFT = 13;
/** Children of an item. Four need half as many levels as two, and are neighbours in memory. */
const ARITY = 4;

/**
 * A heap of cells, the soonest expiry first. Each cell knows its place, so a changed expiry moves
 * its one item: the heap never holds a stale or a second item of a cell. It grows in chunks, so
 * growing copies nothing.
 */
export class ExpiryHeap {
  readonly #cells: Cells;
  readonly #chunks: Float64Array[] = [];
  #size = 0;

  constructor(cells: Cells) {
    this.#cells = cells;
  }

  get size(): number {
    return this.#size;
  }

  /** The cell that expires first; `NOWHERE` = the heap is empty. */
  first(): number {
    return this.#size === 0 ? NOWHERE : this.#address(0);
  }

  /** The expiry at a place, in milliseconds since 1970. */
  expiresAtMs(place: number): number {
    return this.#chunks[place >>> CHUNK_SHIFT]?.[(place & (CHUNK_ITEMS - 1)) * 2] ?? Infinity;
  }

  /** Adds the cell, or moves it to suit its new expiry. */
  put(address: number, expiresAtMs: number): void {
    let place = this.#cells.expiryPlace(address);
    if (place === NO_PLACE) {
      place = this.#size++;
      if (place % CHUNK_ITEMS === 0) {
        this.#chunks.push(new Float64Array(CHUNK_ITEMS * 2));
      }
    }
    this.#settle(place, expiresAtMs, address);
  }

  /** Removes the cell. Does nothing if it is not in the heap. */
  remove(address: number): void {
    const place = this.#cells.expiryPlace(address);
    if (place === NO_PLACE) {
      return;
    }
    this.#cells.setExpiryPlace(address, NO_PLACE);
    const last = --this.#size;
    const lastExpiresAtMs = this.expiresAtMs(last);
    const lastAddress = this.#address(last);
    if (last % CHUNK_ITEMS === 0) {
      this.#chunks.pop();
    }
    if (place !== last) {
      this.#settle(place, lastExpiresAtMs, lastAddress);
    }
  }

  /** Updates the address of a moved cell; the cell itself holds its place already. */
  move(to: number): void {
    const place = this.#cells.expiryPlace(to);
    if (place !== NO_PLACE) {
      this.#set(place, this.expiresAtMs(place), to);
    }
  }

  /** Puts an item where it belongs, starting at a free place: up, or else down. */
  #settle(place: number, expiresAtMs: number, address: number): void {
    let free = place;
    while (free > 0) {
      const parent = Math.floor((free - 1) / ARITY);
      if (this.expiresAtMs(parent) <= expiresAtMs) {
        break;
      }
      this.#set(free, this.expiresAtMs(parent), this.#address(parent));
      free = parent;
    }
    if (free === place) {
      free = this.#sink(free, expiresAtMs);
    }
    this.#set(free, expiresAtMs, address);
  }

  /** Moves items up that expire sooner. Answers the place that is free then. */
  #sink(place: number, expiresAtMs: number): number {
    for (let free = place; ; ) {
      let soonest = NO_PLACE;
      let soonestMs = expiresAtMs;
      const firstChild = free * ARITY + 1;
      for (let child = firstChild; child < firstChild + ARITY && child < this.#size; child++) {
        const childMs = this.expiresAtMs(child);
        if (childMs < soonestMs) {
          soonest = child;
          soonestMs = childMs;
        }
      }
      if (soonest === NO_PLACE) {
        return free;
      }
      this.#set(free, soonestMs, this.#address(soonest));
      free = soonest;
    }
  }

  #address(place: number): number {
    return this.#chunks[place >>> CHUNK_SHIFT]?.[(place & (CHUNK_ITEMS - 1)) * 2 + 1] ?? NOWHERE;
  }

  #set(place: number, expiresAtMs: number, address: number): void {
    const chunk = this.#chunks[place >>> CHUNK_SHIFT];
    if (chunk === undefined) {
      return;
    }
    const at = (place & (CHUNK_ITEMS - 1)) * 2;
    chunk[at] = expiresAtMs;
    chunk[at + 1] = address;
    this.#cells.setExpiryPlace(address, place);
  }
}
