import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Cells, NO_PLACE } from "./cells.ts";
import { EncodedKey } from "./encoded-key.ts";
import { ExpiryHeap } from "./expiry-heap.ts";

function create(count: number): { cells: Cells; addresses: number[] } {
  const cells = new Cells();
  const key = new EncodedKey();
  const addresses = Array.from({ length: count }, (_, i) => {
    key.encode(`k${i}`);
    return cells.create(key, new Uint8Array(0), 1);
  });
  return { cells, addresses };
}

describe("ExpiryHeap", () => {
  test("gives the soonest, whatever was put, moved and removed before", () => {
    const step = fc.record({
      index: fc.nat(30),
      expiresAtMs: fc.nat(40),
      do: fc.constantFrom("put", "put", "remove", "move"),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200, size: "max" }), (steps) => {
        const { cells, addresses } = create(31);
        const heap = new ExpiryHeap(cells);
        const expected = new Map<number, number>();
        for (const { index, expiresAtMs, do: what } of steps) {
          const address = addresses[index] ?? 0;
          if (what === "remove") {
            heap.remove(address);
            expected.delete(address);
          } else if (what === "put") {
            heap.put(address, expiresAtMs);
            expected.set(address, expiresAtMs);
          } else {
            const to = cells.copy(address);
            heap.move(to);
            addresses[index] = to;
            const old = expected.get(address);
            if (old !== undefined) {
              expected.delete(address) && expected.set(to, old);
            }
          }
          expect(heap.size).toBe(expected.size);
          for (const [held, atMs] of expected) {
            expect(heap.expiresAtMs(cells.expiryPlace(held))).toBe(atMs);
          }
        }
        const drained: number[] = [];
        while (heap.size > 0) {
          const first = heap.first();
          drained.push(heap.expiresAtMs(0));
          expect(expected.get(first)).toBe(drained.at(-1));
          heap.remove(first);
          expect(cells.expiryPlace(first)).toBe(NO_PLACE);
        }
        expect(drained).toEqual([...expected.values()].sort((a, b) => a - b));
      }),
    );
  });

  test("a million expiries of one cell take one place", () => {
    const { cells, addresses } = create(1);
    const heap = new ExpiryHeap(cells);
    for (let i = 0; i < 1_000_000; i++) {
      heap.put(addresses[0] ?? 0, i);
    }
    expect(heap.size).toBe(1);
    expect(heap.expiresAtMs(0)).toBe(999_999);
  });

  test("holds more than a chunk", () => {
    const { cells, addresses } = create(20_000);
    const heap = new ExpiryHeap(cells);
    addresses.forEach((address, i) => {
      heap.put(address, (i * 7919) % 20_000);
    });
    for (let i = 0; i < 20_000; i++) {
      expect(heap.expiresAtMs(0)).toBe(i);
      heap.remove(heap.first());
    }
    expect(heap.size).toBe(0);
  });
});
