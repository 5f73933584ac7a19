import { expect, test } from "vitest";
import { seeded } from "../conformance/seeded.ts";
import { type Place, SortedChunks } from "./sorted-chunks.ts";

const placeOf =
  (number: number): Place<number> =>
  (item) =>
    item - number;

test("items come in order, whatever was added and removed before", () => {
  const { random, seed } = seeded();
  const sorted = new SortedChunks<number>();
  const model = new Set<number>();
  for (let i = 0; i < 40_000; i++) {
    const number = Math.floor(random() * 5000);
    // Grows, then shrinks to almost nothing, so that chunks are split, joined and dropped.
    if (random() < (i < 20_000 ? 0.8 : 0.1)) {
      if (!model.has(number)) {
        sorted.add(number, placeOf(number));
        model.add(number);
      }
    } else {
      expect(sorted.remove(placeOf(number)), `seed ${seed}`).toBe(model.delete(number) ? number : undefined);
    }
    if (i % 2000 === 0) {
      const wanted = [...model].sort((a, b) => a - b);
      expect([...sorted.from(() => 1)], `seed ${seed}`).toEqual(wanted);
      expect(sorted.size).toBe(model.size);
      expect(sorted.first()).toBe(wanted[0]);
      const start = Math.floor(random() * 5000);
      expect(sorted.from(placeOf(start)).take(3).toArray(), `seed ${seed}`).toEqual(
        wanted.filter((each) => each >= start).slice(0, 3),
      );
      expect(sorted.get(placeOf(start))).toBe(model.has(start) ? start : undefined);
    }
  }
});
