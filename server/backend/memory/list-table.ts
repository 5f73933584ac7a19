import type { ListEnd } from "../contract.ts";
import { KeyMap } from "./key-map.ts";
import { Ring } from "./ring.ts";
import { load, type StoredValue, store } from "./stored-value.ts";

/** The lists of one namespace. */
export class ListTable {
  readonly #lists = new KeyMap<Ring<StoredValue>>();

  /** The number of lists. An emptied list is none. */
  get size(): number {
    return this.#lists.size;
  }

  /** Adds a copy of the value. Answers the new length. */
  push(key: string, end: ListEnd, value: Uint8Array): number {
    let list = this.#lists.get(key);
    if (list === undefined) {
      list = new Ring();
      this.#lists.add(key, list);
    }
    const copy = store(value);
    if (end === "left") {
      list.pushLeft(copy);
    } else {
      list.pushRight(copy);
    }
    return list.length;
  }

  pop(key: string, end: ListEnd): Uint8Array | undefined {
    const list = this.#lists.get(key);
    if (list === undefined) {
      return undefined;
    }
    const value = end === "left" ? list.popLeft() : list.popRight();
    if (list.length === 0) {
      this.#lists.delete(key);
    }
    return value === undefined ? undefined : load(value);
  }

  length(key: string): number {
    return this.#lists.get(key)?.length ?? 0;
  }
}
