import { expect, test } from "vitest";
import { StreamTable } from "./stream-table.ts";

test("is like a Map, whatever comes and goes", () => {
  const table = new StreamTable<{ id: number }>();
  const map = new Map<number, { id: number }>();
  let random = 1;
  const next = (bound: number) => {
    random = (random * 48_271) % 2_147_483_647;
    return random % bound;
  };
  let id = 1;
  for (let step = 0; step < 50_000; step++) {
    // Waves of growing and shrinking, of ids in order and of some far apart.
    if (next(100) < (step % 4000 < 2000 ? 60 : 40)) {
      id += 2 * (1 + (next(50) === 0 ? next(1000) : 0));
      const stream = { id };
      table.add(stream);
      map.set(id, stream);
    } else {
      const ids = [...map.keys()];
      const gone = ids[next(ids.length + 1)] ?? id + 2;
      table.delete(gone);
      map.delete(gone);
    }
    expect(table.size).toBe(map.size);
    if (step % 100 === 0) {
      expect(table.all()).toEqual([...map.values()]);
      for (const [each, stream] of map) {
        expect(table.get(each)).toBe(stream);
      }
      expect(table.get(id + 2)).toBeUndefined();
    }
  }
});
