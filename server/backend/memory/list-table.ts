import type { NamePage, NameQuery } from "../contract.ts";
import { placeOf, placesOf, restOf } from "../list-range.ts";
import type {
  ListEnd,
  ListInsert,
  ListInsertAnswer,
  ListMove,
  ListPage,
  ListPut,
  ListPutAnswer,
  ListRange,
  ListRemove,
  ListSlice,
} from "../lists.ts";
import { ArrayValues } from "../values.ts";
import { OrderedKeys } from "./ordered-keys.ts";
import { Ring } from "./ring.ts";
import { isStored, load, type StoredValue, store } from "./stored-value.ts";

/** The lists of one namespace. */
export class ListTable {
  readonly #lists = new OrderedKeys<Ring<StoredValue>>();

  /** The number of lists. An emptied list is none. */
  get size(): number {
    return this.#lists.size;
  }

  /** Reads one page of the keys. */
  page(query: NameQuery): NamePage {
    return this.#lists.page(query);
  }

  /** Adds a copy of the value. Answers the new length. */
  push(key: string, end: ListEnd, value: Uint8Array): number {
    return this.#pushStored(key, end, store(value));
  }

  pop(key: string, end: ListEnd): Uint8Array | undefined {
    const value = this.#popStored(key, end);
    return value === undefined ? undefined : load(value);
  }

  length(key: string): number {
    return this.#lists.get(key)?.length ?? 0;
  }

  slice({ key, start, stop, maxEntries, maxBytes }: ListSlice): ListPage {
    const list = this.#lists.get(key);
    const places = placesOf({ start, stop }, list?.length ?? 0);
    const values: Uint8Array[] = [];
    let bytes = 0;
    for (let at = places.first; at < places.end && values.length < maxEntries && bytes < maxBytes; at++) {
      const value = list?.at(at);
      if (value === undefined) {
        break;
      }
      bytes += value.length;
      values.push(load(value));
    }
    return { values: new ArrayValues(values), next: restOf(places, values.length) };
  }

  /** Answers the new length. */
  trim({ key, ...range }: ListRange): number {
    const list = this.#lists.get(key);
    if (list === undefined) {
      return 0;
    }
    const { first, end } = placesOf(range, list.length);
    list.keep(first, end);
    this.#dropEmpty(key, list);
    return list.length;
  }

  at(key: string, index: number): Uint8Array | undefined {
    const list = this.#lists.get(key);
    const place = list && placeOf(index, list.length);
    const value = place === undefined ? undefined : list?.at(place);
    return value === undefined ? undefined : load(value);
  }

  put({ key, index, value }: ListPut): ListPutAnswer {
    const list = this.#lists.get(key);
    if (list === undefined) {
      return "absent";
    }
    const place = placeOf(index, list.length);
    if (place === undefined) {
      return "outside";
    }
    list.put(place, store(value));
    return "put";
  }

  insert({ key, side, pivot, value }: ListInsert): ListInsertAnswer {
    const list = this.#lists.get(key);
    if (list === undefined) {
      return { inserted: false, length: 0 };
    }
    const isPivot = isStored(pivot);
    for (let at = 0; at < list.length; at++) {
      const found = list.at(at);
      if (found !== undefined && isPivot(found)) {
        list.insert(side === "before" ? at : at + 1, store(value));
        return { inserted: true, length: list.length };
      }
    }
    return { inserted: false, length: list.length };
  }

  /** Answers how many it removed. */
  remove({ key, value, count }: ListRemove): number {
    const list = this.#lists.get(key);
    if (list === undefined) {
      return 0;
    }
    const max = count === 0 ? Number.POSITIVE_INFINITY : Math.abs(count);
    const removed = list.remove(isStored(value), max, count >= 0);
    this.#dropEmpty(key, list);
    return removed;
  }

  /** Answers the value that it moved. */
  move({ key, end, to, toEnd }: ListMove): Uint8Array | undefined {
    const value = this.#popStored(key, end);
    if (value === undefined) {
      return undefined;
    }
    this.#pushStored(to, toEnd, value);
    return load(value);
  }

  #pushStored(key: string, end: ListEnd, value: StoredValue): number {
    let list = this.#lists.get(key);
    if (list === undefined) {
      list = new Ring();
      this.#lists.add(key, list);
    }
    if (end === "left") {
      list.pushLeft(value);
    } else {
      list.pushRight(value);
    }
    return list.length;
  }

  #popStored(key: string, end: ListEnd): StoredValue | undefined {
    const list = this.#lists.get(key);
    if (list === undefined) {
      return undefined;
    }
    const value = end === "left" ? list.popLeft() : list.popRight();
    this.#dropEmpty(key, list);
    return value;
  }

  #dropEmpty(key: string, list: Ring<StoredValue>): void {
    if (list.length === 0) {
      this.#lists.delete(key);
    }
  }
}
