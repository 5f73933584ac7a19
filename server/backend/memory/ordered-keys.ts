import type { NamePage, NameQuery } from "../contract.ts";
import { keyRange } from "../key-range.ts";
import { compareUtf8, ordersNatively } from "../utf8.ts";
import { KeyMap } from "./key-map.ts";
import { type Place, SortedChunks } from "./sorted-chunks.ts";

/** A {@link KeyMap} whose keys can be read in the order of their bytes. */
export class OrderedKeys<V> {
  readonly #values = new KeyMap<V>();
  readonly #order = new SortedChunks<string>();

  get size(): number {
    return this.#values.size;
  }

  get(key: string): V | undefined {
    return this.#values.get(key);
  }

  /** Adds a key that is not there. */
  add(key: string, value: V): void {
    this.#values.add(key, value);
    this.#order.add(key, placeOf(key));
  }

  delete(key: string): void {
    this.#values.delete(key);
    this.#order.remove(placeOf(key));
  }

  /** Reads one page of the keys. */
  page(query: NameQuery): NamePage {
    const { from, below } = keyRange(query, query.after);
    const names: string[] = [];
    for (const key of this.#order.from(placeOf(Buffer.from(from).toString()))) {
      if (Buffer.compare(Buffer.from(key), below) >= 0) {
        break;
      }
      if (names.length === query.maxNames) {
        return { names, next: names.at(-1) };
      }
      names.push(key);
    }
    return { names, next: undefined };
  }
}

function placeOf(key: string): Place<string> {
  return ordersNatively(key)
    ? (other) => Number(other > key) - Number(other < key)
    : (other) => compareUtf8(other, key);
}
