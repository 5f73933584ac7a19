import { expect, it } from "vitest";
import { UnsentBudget, type UnsentHolder } from "./index.ts";

/** Holds one answer, which began to wait so long ago. */
class Holder implements UnsentHolder {
  countedBytes = 0;
  unsentBytes: number;
  readonly since: number;

  constructor(bytes: number, ageMs: number) {
    this.unsentBytes = bytes;
    this.since = performance.now() - ageMs;
  }

  unsent() {
    const end = () => {
      this.unsentBytes = 0;
      budget.update(this);
    };
    return [{ bytes: this.unsentBytes, since: this.since, end }];
  }
}

let budget: UnsentBudget;

function hold(...holders: Holder[]): void {
  for (const holder of holders) {
    budget.join(holder);
    budget.update(holder);
  }
}

it("ends the largest and oldest where more waits than it has", () => {
  const ended: [count: number, bytes: number][] = [];
  budget = new UnsentBudget(1000, { onEnded: (count, bytes) => ended.push([count, bytes]) });
  const [small, large, recent] = [new Holder(50, 9000), new Holder(500, 5000), new Holder(500, 1)];
  hold(small, large);
  expect(ended).toEqual([]);
  hold(recent);
  expect([small, large, recent].map(({ unsentBytes }) => unsentBytes)).toEqual([50, 0, 500]);
  expect(ended).toEqual([[1, 500]]);
});

it("has room for a new answer at the cost of one that stands still, and not of one that moves", () => {
  budget = new UnsentBudget(1000);
  const moving = new Holder(900, 10);
  hold(moving);
  expect(budget.hasRoom(100)).toBe(true);
  expect(budget.hasRoom(101)).toBe(false);
  expect(moving.unsentBytes).toBe(900);

  budget = new UnsentBudget(1000);
  const still = new Holder(900, 5000);
  hold(still);
  expect(budget.hasRoom(101)).toBe(true);
  expect(still.unsentBytes).toBe(0);
});

it("gives back what a holder had that leaves", () => {
  budget = new UnsentBudget(1000);
  const holder = new Holder(1000, 10);
  hold(holder);
  expect(budget.hasRoom(1)).toBe(false);
  budget.leave(holder);
  expect(budget.hasRoom(1000)).toBe(true);
  // What it tells later counts no more.
  budget.update(holder);
  expect(budget.hasRoom(1000)).toBe(true);
});
