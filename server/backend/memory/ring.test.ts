import { setImmediate as nextTurn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Ring } from "./ring.ts";

/** Runs the garbage collector, which needs a flag. */
function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
}

describe("Ring", () => {
  test("does what an array does", () => {
    const step = fc.constantFrom("pushLeft", "pushRight", "popLeft", "popRight");
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300, size: "max" }), (steps) => {
        const ring = new Ring<number>();
        const array: number[] = [];
        steps.forEach((name, i) => {
          if (name === "pushLeft") {
            ring.pushLeft(i);
            array.unshift(i);
          } else if (name === "pushRight") {
            ring.pushRight(i);
            array.push(i);
          } else if (name === "popLeft") {
            expect(ring.popLeft()).toBe(array.shift());
          } else {
            expect(ring.popRight()).toBe(array.pop());
          }
          expect(ring.length).toBe(array.length);
        });
        while (array.length > 0) {
          expect(ring.popLeft()).toBe(array.shift());
        }
        expect(ring.popLeft()).toBeUndefined();
      }),
    );
  });

  test("does what an array does in the middle, too", () => {
    const small = fc.nat({ max: 20 });
    const step = fc.record({
      do: fc.constantFrom("push", "put", "insert", "keep", "remove"),
      a: small,
      b: small,
      fromLeft: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100, size: "max" }), (steps) => {
        const ring = new Ring<number>();
        let array: number[] = [];
        for (const { do: name, a, b, fromLeft } of steps) {
          const { length } = array;
          if (name === "push") {
            for (let i = 0; i < a; i++) {
              ring.pushLeft(i);
              array.unshift(i);
            }
          } else if (name === "put" && length > 0) {
            ring.put(a % length, b);
            array[a % length] = b;
          } else if (name === "insert") {
            ring.insert(a % (length + 1), b);
            array.splice(a % (length + 1), 0, b);
          } else if (name === "keep") {
            const first = a % (length + 1);
            const end = Math.min(length, first + b);
            ring.keep(first, end);
            array = array.slice(first, end);
          } else if (name === "remove") {
            let left = b;
            const keep = (value: number) => value % 5 !== a % 5 || left-- <= 0;
            const rest = fromLeft ? array.filter(keep) : array.toReversed().filter(keep).toReversed();
            expect(ring.remove((value) => value % 5 === a % 5, b, fromLeft)).toBe(length - rest.length);
            array = rest;
          }
          expect(Array.from({ length: array.length + 1 }, (_, i) => ring.at(i))).toEqual([
            ...array,
            undefined,
          ]);
          expect(ring.capacity).toBeLessThanOrEqual(Math.max(4, 8 * array.length));
        }
      }),
    );
  });

  test("gives back what a burst took", () => {
    const ring = new Ring<number>();
    for (let i = 0; i < 10_000; i++) {
      ring.pushRight(i);
    }
    expect(ring.capacity).toBe(16_384);
    for (let i = 0; i < 9_990; i++) {
      expect(ring.popLeft()).toBe(i);
    }
    expect(ring.capacity).toBeLessThanOrEqual(64);
    for (let i = 9_990; i < 10_000; i++) {
      expect(ring.popLeft()).toBe(i);
    }
    expect(ring.length).toBe(0);
  });

  test("does not keep what was popped", async () => {
    const ring = new Ring<object>();
    const popped = ["left", "right"].map((end) => {
      ring.pushLeft({});
      return new WeakRef((end === "left" ? ring.popLeft() : ring.popRight()) ?? {});
    });
    // A WeakRef keeps its object alive until the turn that made it is over.
    await nextTurn();
    collectGarbage();
    expect(popped.map((ref) => ref.deref())).toEqual([undefined, undefined]);
    expect(ring.length).toBe(0);
  });
});
