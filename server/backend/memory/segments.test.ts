import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { NOWHERE, SEGMENT_BYTES, Segments, UNIT_BYTES, wordOf } from "./segments.ts";

describe("Segments", () => {
  test("no allocation meets another, and what is empty is given back", () => {
    const step = fc.record({
      bytes: fc.integer({ min: 1, max: 400_000 }),
      free: fc.boolean(),
      which: fc.nat(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: "max" }), (steps) => {
        const segments = new Segments();
        const held: { address: number; bytes: number; mark: number }[] = [];
        const check = ({ address, bytes, mark }: { address: number; bytes: number; mark: number }) => {
          const { words } = segments.of(address);
          const at = wordOf(address);
          expect([words[at], words[at + ((bytes - 1) >> 2)]]).toEqual([mark, mark]);
        };
        steps.forEach(({ bytes, free, which }, mark) => {
          if (free && held.length > 0) {
            const [gone] = held.splice(which % held.length, 1);
            if (gone !== undefined) {
              segments.free(gone.address, gone.bytes);
            }
          } else {
            const address = segments.allocate(bytes);
            expect(address).not.toBe(NOWHERE);
            const { words } = segments.of(address);
            words.fill(mark, wordOf(address), wordOf(address) + Math.ceil(bytes / UNIT_BYTES) * 2);
            held.push({ address, bytes, mark });
          }
          held.forEach(check);
          const used = held.reduce((sum, { bytes }) => sum + bytes, 0);
          if (segments.sparse() === undefined) {
            expect(segments.bytes).toBeLessThan(2.1 * used + 2 * SEGMENT_BYTES);
          }
        });
        for (const { address, bytes } of held) {
          segments.free(address, bytes);
        }
        expect(segments.bytes).toBe(SEGMENT_BYTES);
      }),
    );
  });

  test("an emptied segment that is being filled starts anew", () => {
    const segments = new Segments();
    const first = segments.allocate(SEGMENT_BYTES / 2 + 8);
    segments.free(first, SEGMENT_BYTES / 2 + 8);
    expect(segments.allocate(SEGMENT_BYTES / 2 + 8)).toBe(first);
    expect(segments.bytes).toBe(SEGMENT_BYTES);
  });

  test("says when there is no room left, and has some again when something is freed", () => {
    const segments = new Segments(2);
    const bytes = SEGMENT_BYTES - UNIT_BYTES;
    expect([segments.hasRoom(1, bytes), segments.hasRoom(2, bytes)]).toEqual([true, false]);
    const first = segments.allocate(bytes);
    segments.allocate(bytes);
    expect(segments.hasRoom(1, 8)).toBe(false);
    expect(() => segments.allocate(8)).toThrow(expect.objectContaining({ reason: "store_full" }));
    segments.free(first, bytes);
    expect(segments.hasRoom(1, bytes)).toBe(true);
    expect(segments.allocate(bytes)).toBe(first);
  });
});
