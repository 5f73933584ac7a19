import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { createShared, writeInSlices } from "./scrape.ts";

test("a text that takes long is written in many turns of the event loop", async () => {
  let turns = 0;
  let isOver = false;
  const seen: number[] = [];
  const watch = (async () => {
    for (; !isOver; turns++) {
      await nextTurn();
    }
  })();
  function* slow() {
    for (let i = 0; i < 5; i++) {
      for (const untilMs = performance.now() + 3; performance.now() < untilMs; ) {
        // Works.
      }
      seen.push(turns);
      yield `${i}\n`;
    }
  }
  const slices = await writeInSlices(slow());
  isOver = true;
  await watch;
  expect(Buffer.concat(slices).toString()).toBe("0\n1\n2\n3\n4\n");
  // The watch had its turn between any two pieces.
  expect(new Set(seen).size).toBe(seen.length);
});

test("those who ask for the same share it, and other kinds wait for it", async () => {
  const gates: (() => void)[] = [];
  const begun: string[] = [];
  const shared = createShared(async (kind: string) => {
    begun.push(kind);
    await new Promise<void>((resolve) => gates.push(resolve));
    return { kind };
  });
  const [one, same, other] = [shared("a"), shared("a"), shared("b")];
  await nextTurn();
  expect(begun).toEqual(["a"]);
  gates[0]?.();
  expect(await one).toBe(await same);
  await nextTurn();
  expect(begun).toEqual(["a", "b"]);
  const later = shared("a");
  gates[1]?.();
  expect(await other).toEqual({ kind: "b" });
  await nextTurn();
  gates[2]?.();
  expect(await later).not.toBe(await one);
  expect(begun).toEqual(["a", "b", "a"]);
});

test("one that fails fails for all who share it, and the next is made anew", async () => {
  let calls = 0;
  const shared = createShared(async (_kind: string) => {
    calls++;
    if (calls === 1) {
      throw new Error("broken");
    }
    return calls;
  });
  const results = await Promise.allSettled([shared("a"), shared("a")]);
  expect(results.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  expect(await shared("a")).toBe(2);
});
