import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Expiring, ExpiryHeap, NOT_IN_HEAP } from "./expiry-heap.ts";

interface Item extends Expiring {
  readonly name: number;
}

function item(name: number): Item {
  return { name, expiresAtMs: 0, heapIndex: NOT_IN_HEAP };
}

describe("ExpiryHeap", () => {
  test("gives the soonest, whatever was put, moved and removed before", () => {
    const step = fc.record({ name: fc.nat(12), expiresAtMs: fc.nat(40), remove: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const heap = new ExpiryHeap<Item>();
        const items = Array.from({ length: 13 }, (_, name) => item(name));
        const expected = new Map<number, number>();
        for (const { name, expiresAtMs, remove } of steps) {
          const chosen = items[name];
          if (chosen === undefined) continue;
          if (remove) {
            heap.remove(chosen);
            expected.delete(name);
          } else {
            heap.put(chosen, expiresAtMs);
            expected.set(name, expiresAtMs);
          }
          expect(heap.size).toBe(expected.size);
          expect(heap.peek()?.expiresAtMs ?? Infinity).toBe(Math.min(...expected.values()));
        }
        const drained: number[] = [];
        for (let next = heap.peek(); next !== undefined; next = heap.peek()) {
          expect(expected.get(next.name)).toBe(next.expiresAtMs);
          drained.push(next.expiresAtMs);
          heap.remove(next);
          expect(next.heapIndex).toBe(NOT_IN_HEAP);
        }
        expect(drained).toEqual([...expected.values()].sort((a, b) => a - b));
      }),
    );
  });

  test("a million expiries of one item take one place", () => {
    const heap = new ExpiryHeap<Item>();
    const only = item(1);
    for (let i = 0; i < 1_000_000; i++) heap.put(only, i);
    expect(heap.size).toBe(1);
    expect(heap.peek()?.expiresAtMs).toBe(999_999);
  });
});
