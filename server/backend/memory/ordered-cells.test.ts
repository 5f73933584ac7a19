import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compareUtf8 } from "../utf8.ts";
import { Cells } from "./cells.ts";
import { EncodedKey } from "./encoded-key.ts";
import { OrderedCells } from "./ordered-cells.ts";

/** The structure with text keys. */
class OrderedKeys {
  readonly #cells = new Cells();
  readonly #ordered = new OrderedCells(this.#cells);
  readonly #addresses = new Map<string, number>();

  insert({ key }: { readonly key: string }): void {
    const address = this.#cells.create(encoded(key), new Uint8Array(0), 1);
    this.#addresses.set(key, address);
    this.#ordered.insert(encoded(key), address);
  }

  /** Moves the cell to another address and frees its old room. */
  move(key: string): void {
    const from = this.#addresses.get(key) ?? 0;
    const to = this.#cells.copy(from);
    this.#addresses.set(key, to);
    this.#ordered.move(encoded(key), to);
    this.#cells.release(from);
  }

  delete(key: string): void {
    this.#ordered.delete(encoded(key));
    this.#cells.free(this.#addresses.get(key) ?? 0);
  }

  rank(probe: string): number {
    return this.#ordered.rank(encoded(probe));
  }

  /** The first keys of a walk, at most `most`. */
  walked(walk: "walk" | "walkBack", from: string, below: string, most = Infinity): string[] {
    const found: string[] = [];
    const key = new EncodedKey();
    this.#ordered[walk](encoded(from), encoded(below), (address) => {
      this.#cells.loadKey(address, key);
      return found.push(key.bytes.toString("utf8", 0, key.length)) < most;
    });
    return found;
  }
}

function encoded(text: string): EncodedKey {
  const key = new EncodedKey();
  key.encode(text);
  return key;
}

/** Greater than every key of these tests. */
const ABOVE_ALL = "\u{10ffff}".repeat(4);

function expectSame(keys: OrderedKeys, model: ReadonlySet<string>, probes: readonly string[]): void {
  const sorted = [...model].sort(compareUtf8);
  expect(keys.walked("walk", "", ABOVE_ALL)).toEqual(sorted);
  expect(keys.walked("walkBack", "", ABOVE_ALL)).toEqual(sorted.toReversed());
  for (const from of [...probes, ...probes.map((probe) => `${probe}\0`)]) {
    expect(keys.rank(from)).toBe(sorted.filter((key) => compareUtf8(key, from) < 0).length);
    for (const below of [...probes, ABOVE_ALL]) {
      const wanted = sorted.filter((key) => compareUtf8(key, from) >= 0 && compareUtf8(key, below) < 0);
      expect(keys.walked("walk", from, below, 5)).toEqual(wanted.slice(0, 5));
      expect(keys.walked("walkBack", from, below, 5)).toEqual(wanted.toReversed().slice(0, 5));
    }
  }
}

describe("OrderedCells", () => {
  test("an empty set", () => {
    const keys = new OrderedKeys();
    expectSame(keys, new Set(), ["", "a"]);
  });

  test("few keys of awkward characters", () => {
    const unit = fc.constantFrom("\0", "a", "b", "\ud7ff", "\ue000", "\uffff", "\u{10000}", "\u{10ffff}");
    const key = fc.string({ unit, minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(fc.array(key, { maxLength: 60 }), fc.array(key, { maxLength: 5 }), (inserted, probes) => {
        const keys = new OrderedKeys();
        const model = new Set<string>();
        for (const key of inserted) {
          if (model.has(key)) {
            keys.delete(key);
            model.delete(key);
          } else {
            keys.insert({ key });
            model.add(key);
            keys.move(key);
          }
        }
        expectSame(keys, model, ["", ...probes]);
      }),
    );
  });

  test.each([
    ["in order", (i: number) => i],
    ["backwards", (i: number) => 19_999 - i],
    ["scattered", (i: number) => (i * 7919) % 20_000],
  ])("blocks split and join: %s", (_, place) => {
    const keys = new OrderedKeys();
    const model = new Set<string>();
    const name = (i: number) => `k${String(place(i)).padStart(5, "0")}`;
    const probes = ["", "k", "k0", "k00511", "k00512", "k00513", "k10000", "k19999", "k2", "z"];
    for (let i = 0; i < 20_000; i++) {
      keys.insert({ key: name(i) });
      model.add(name(i));
    }
    for (let i = 0; i < 20_000; i++) {
      keys.move(name(i));
    }
    expectSame(keys, model, probes);
    for (let i = 0; i < 20_000; i++) {
      if (i % 10 === 3) {
        continue;
      }
      keys.delete(name(i));
      model.delete(name(i));
    }
    expectSame(keys, model, probes);
    for (let i = 0; i < 20_000; i++) {
      if (i % 10 === 3) {
        keys.delete(name(i));
      } else {
        keys.insert({ key: name(i) });
      }
    }
    for (let i = 0; i < 20_000; i++) {
      if (i % 10 !== 3) {
        keys.delete(name(i));
      }
    }
    expectSame(keys, new Set(), probes);
  });
});
