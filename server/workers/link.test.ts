import { EventEmitter } from "node:events";
import { expect, test } from "vitest";
import { PrismError } from "../errors.ts";
import { Link } from "./link.ts";

type Calls = {
  double(number: number): Promise<number>;
  never(): Promise<void>;
  refuse(reason: "conflict" | "defect"): Promise<void>;
};

const HANDLERS: Calls = {
  double: async (number) => 2 * number,
  never: () => new Promise(() => {}),
  async refuse(reason) {
    throw reason === "conflict" ? new PrismError("conflict", "no") : new TypeError("oh");
  },
};

/** Two ends; what one sends the other gets in a turn of its own. */
function pair() {
  const ends = [new EventEmitter(), new EventEmitter()] as const;
  const channel = (own: EventEmitter, other: EventEmitter) =>
    Object.assign(own, {
      send(message: object, _handle: undefined, _options: undefined, sent: (error: Error | null) => void) {
        setImmediate(() => {
          other.emit("message", structuredClone(message));
          sent(null);
        });
        return true;
      },
    });
  const asking = new Link<Record<never, never>, Calls>(channel(ends[0], ends[1]), {});
  new Link<Calls, Record<never, never>>(channel(ends[1], ends[0]), HANDLERS);
  return { asking, cut: () => ends[0].emit("disconnect") };
}

test("each question gets its own answer", async () => {
  const { asking } = pair();
  expect(await Promise.all([1, 2, 3].map((number) => asking.ask("double", number)))).toEqual([2, 4, 6]);
});

test("what the other end throws is thrown, and a refusal keeps its reason", async () => {
  const { asking } = pair();
  await expect(asking.ask("refuse", "conflict")).rejects.toMatchObject({ reason: "conflict", message: "no" });
  const defect = asking.ask("refuse", "defect");
  await expect(defect).rejects.toThrow("oh");
  await expect(defect).rejects.not.toBeInstanceOf(PrismError);
});

test("a question ends when it takes too long, and when the other process ends", async () => {
  const { asking, cut } = pair();
  await expect(asking.ask("never", undefined, 5)).rejects.toMatchObject({ reason: "deadline_exceeded" });
  const waiting = asking.ask("never", undefined, 0);
  cut();
  await expect(waiting).rejects.toMatchObject({ reason: "store_unavailable" });
  await expect(asking.ask("double", 1)).rejects.toMatchObject({ reason: "store_unavailable" });
});
