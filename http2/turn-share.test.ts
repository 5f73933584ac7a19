import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { TurnShare } from "./turn-share.ts";

/** A connection that has more to read than it has time for, so many times. */
class Busy {
  left: number;
  readonly runs: string[];
  readonly share: TurnShare;

  constructor(name: string, left: number, runs: string[]) {
    this.left = left;
    this.runs = runs;
    this.share = new TurnShare(() => {
      runs.push(name);
      this.read();
    });
  }

  read(): void {
    // Began long ago.
    this.share.begin(performance.now() - 1000);
    if (this.left-- > 0) {
      this.share.goesOn();
    }
  }
}

test("one connection goes on in each turn, and they take turns", async () => {
  const runs: string[] = [];
  const connections = [new Busy("a", 5, runs), new Busy("b", 5, runs)];
  for (const connection of connections) {
    connection.read();
  }
  expect(runs).toEqual([]);
  const seen: number[] = [];
  for (let turn = 0; turn < 12; turn++) {
    await nextTurn();
    seen.push(runs.length);
  }
  expect(runs.join("")).toBe("ababababab");
  expect(seen.every((count, turn) => count - (seen[turn - 1] ?? 0) <= 1)).toBe(true);
});
