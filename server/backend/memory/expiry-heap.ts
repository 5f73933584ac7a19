import { NO_PLACE, type Records } from "./records.ts";
import { NOWHERE } from "./segments.ts";

/** Items of a chunk; two numbers each: the expiry, and the record's address. */
const CHUNK_ITEMS = 8192;
const CHUNK_SHIFT = 13;
/** Children of an item: four make half as many levels as two, and lie side by side. */
const ARITY = 4;

/**
 * A heap of records by expiry, soonest first. Each record knows its place, so a changed or withdrawn expiry moves or removes
 * that one item: the heap never holds two of one record, and none that is out of date. It grows by chunks, so that nothing is
 * ever copied over.
 */
export class ExpiryHeap {
  readonly #records: Records;
  readonly #chunks: Float64Array[] = [];
  #size = 0;

  constructor(records: Records) {
    this.#records = records;
  }

  get size(): number {
    return this.#size;
  }

  /** The address of the record that expires first; `NOWHERE` = there is none. */
  first(): number {
    return this.#size === 0 ? NOWHERE : this.#address(0);
  }

  /** When the record of a place expires, in milliseconds since 1970. */
  expiresAtMs(place: number): number {
    return this.#chunks[place >>> CHUNK_SHIFT]?.[(place & (CHUNK_ITEMS - 1)) * 2] ?? Infinity;
  }

  /** Adds the record, or moves it to where its new expiry belongs. */
  put(address: number, expiresAtMs: number): void {
    let place = this.#records.expiryPlace(address);
    if (place === NO_PLACE) {
      place = this.#size++;
      if (place % CHUNK_ITEMS === 0) {
        this.#chunks.push(new Float64Array(CHUNK_ITEMS * 2));
      }
    }
    this.#settle(place, expiresAtMs, address);
  }

  /** Takes the record out; no effect where it is not in. */
  remove(address: number): void {
    const place = this.#records.expiryPlace(address);
    if (place === NO_PLACE) {
      return;
    }
    this.#records.setExpiryPlace(address, NO_PLACE);
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

  /** A record that was moved; it has its place already. */
  move(to: number): void {
    const place = this.#records.expiryPlace(to);
    if (place !== NO_PLACE) {
      this.#set(place, this.expiresAtMs(place), to);
    }
  }

  /** Puts an item where it belongs, from a free place on: towards the first, or else away from it. */
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

  /** Moves up what expires sooner; answers the place that is free then. */
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
    this.#records.setExpiryPlace(address, place);
  }
}
