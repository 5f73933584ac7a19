import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Cells } from "./cells.ts";
import { EncodedKey } from "./encoded-key.ts";
import { KeyTable } from "./key-table.ts";
import { NOWHERE } from "./segments.ts";

const VALUE = new Uint8Array(0);

function encoded(text: string): EncodedKey {
  const key = new EncodedKey();
  key.encode(text);
  return key;
}

describe("KeyTable", () => {
  test("finds what a Map does, though the hashes collide and come one behind the other", () => {
    const step = fc.record({ name: fc.nat(40), do: fc.constantFrom("add", "add", "remove", "move") });
    const hashes = fc.constantFrom(
      () => 0,
      (name: number) => name % 3,
      (name: number) => -1 - (name % 3),
      (name: number) => Math.imul(name, 0x9e3779b1),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200, size: "max" }), hashes, (steps, hash) => {
        const cells = new Cells();
        const table = new KeyTable(cells);
        const model = new Map<number, number>();
        for (const { name, do: what } of steps) {
          const key = encoded(`k${name}`);
          const address = model.get(name);
          if (what === "add" && address === undefined) {
            const added = cells.create(key, VALUE, 1);
            table.add(hash(name), added);
            model.set(name, added);
          } else if (what === "remove" && address !== undefined) {
            table.remove(hash(name), address);
            model.delete(name);
          } else if (what === "move" && address !== undefined) {
            const to = cells.copy(address);
            table.move(hash(name), address, to);
            model.set(name, to);
          }
          expect(table.size).toBe(model.size);
        }
        for (let name = 0; name <= 40; name++) {
          expect(table.find(hash(name), encoded(`k${name}`))).toBe(model.get(name) ?? NOWHERE);
        }
      }),
    );
  });

  test("grows and shrinks", () => {
    const cells = new Cells();
    const table = new KeyTable(cells);
    const hash = (i: number) => Math.imul(i, 0x9e3779b1);
    const addresses = Array.from({ length: 20_000 }, (_, i) => cells.create(encoded(`k${i}`), VALUE, 1));
    addresses.forEach((address, i) => {
      table.add(hash(i), address);
    });
    addresses.forEach((address, i) => {
      expect(table.find(hash(i), encoded(`k${i}`))).toBe(address);
    });
    addresses.forEach((address, i) => {
      if (i % 100 !== 0) {
        table.remove(hash(i), address);
      }
    });
    addresses.forEach((address, i) => {
      expect(table.find(hash(i), encoded(`k${i}`))).toBe(i % 100 === 0 ? address : NOWHERE);
    });
    expect(table.size).toBe(200);
  });
});
