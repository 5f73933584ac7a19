import { EventEmitter } from "node:events";
import { setImmediate as nextTurn } from "node:timers/promises";
import { beforeEach, describe, expect, test } from "vitest";
import { PrismError } from "../../errors.ts";
import { createManualClock } from "../conformance/manual-clock.ts";
import { createCall } from "../contract.ts";
import type { Operation } from "./operation.ts";
import { unpackOperations } from "./packed-operations.ts";
import { createWriteQueue, type WriteQueue, type WriterThread } from "./write-queue.ts";
import type { FromWriter, ToWriter } from "./writer.ts";

/** A thread that answers on demand. */
class FakeThread extends EventEmitter implements WriterThread {
  readonly received: ToWriter[] = [];

  postMessage(message: ToWriter): void {
    this.received.push(message);
    if (message === "close") {
      this.emit("exit", 0);
    }
  }

  /** The sizes of the groups that it received. */
  get groups(): number[] {
    return this.received.map((message) =>
      message === "close" ? 0 : unpackOperations(message.operations).length,
    );
  }

  /** Answers the last group: each operation with its key. */
  async answer(): Promise<void> {
    const last = this.received.at(-1);
    if (last === undefined || last === "close") {
      throw new Error("there is no group to answer");
    }
    const outcomes = unpackOperations(last.operations).map((operation) =>
      operation.type === "delete" ? [operation.items[0] === "yes"] : 0,
    );
    const message: FromWriter = { outcomes, refusal: undefined };
    this.emit("message", message);
    await nextTurn();
  }
}

let thread: FakeThread;
let queue: WriteQueue;

beforeEach(() => {
  thread = new FakeThread();
  queue = createWriteQueue(thread, createManualClock(), []);
});

function remove(key: string): Extract<Operation, { type: "delete" }> {
  return { type: "delete", namespace: "a", items: [key] };
}

function pop(key: string): Extract<Operation, { type: "pop" }> {
  return { type: "pop", namespace: "a", items: [{ key, end: "left" }] };
}

/** The reasons of rejected writes, "done" for the others. */
async function reasonsOf(writes: readonly Promise<unknown>[]): Promise<unknown[]> {
  return (await Promise.allSettled(writes)).map((result) =>
    result.status === "rejected" ? result.reason.reason : "done",
  );
}

describe("groups", () => {
  test("what arrives in one turn is one group; what arrives during it is the next", async () => {
    const first = [queue.write(remove("yes"), 1), queue.write(remove("no"), 1)];
    expect(thread.groups).toEqual([]);
    await nextTurn();
    expect(thread.groups).toEqual([2]);
    const second = [
      queue.write(remove("yes"), 1),
      queue.write(remove("yes"), 1),
      queue.write(remove("no"), 1),
    ];
    await nextTurn();
    expect(thread.groups).toEqual([2]);
    await thread.answer();
    expect(await Promise.all(first)).toEqual([[true], [false]]);
    expect(thread.groups).toEqual([2, 3]);
    await thread.answer();
    expect(await Promise.all(second)).toEqual([[true], [true], [false]]);
    await nextTurn();
    expect(thread.groups).toEqual([2, 3]);
  });

  test("a group is bounded in calls", async () => {
    const writes = Array.from({ length: 1500 }, () => queue.write(remove("yes"), 1));
    await nextTurn();
    await thread.answer();
    await thread.answer();
    await Promise.all(writes);
    expect(thread.groups).toEqual([1024, 476]);
  });

  test("a group is bounded in bytes", async () => {
    const writes = Array.from({ length: 5 }, () => queue.write(remove("yes"), 3 * 1024 * 1024));
    await nextTurn();
    await thread.answer();
    await thread.answer();
    await Promise.all(writes);
    expect(thread.groups).toEqual([3, 2]);
  });

  test("a group is bounded in the bytes that it is expected to answer", async () => {
    const popMany = () => Array.from({ length: 200 }, () => queue.write(pop("k"), 1));
    const first = popMany();
    await nextTurn();
    expect(thread.groups).toEqual([128]);
    const message: FromWriter = {
      outcomes: Array.from({ length: 128 }, () => [Buffer.alloc(1024 * 1024)]),
      refusal: undefined,
    };
    thread.emit("message", message);
    await Promise.all(first.slice(0, 128));
    // Values of 1 MiB come, so eight are a group.
    expect(thread.groups).toEqual([128, 8]);
  });

  test("a failure rejects its own call", async () => {
    const writes = [queue.write(remove("a"), 1), queue.write(remove("b"), 1)];
    await nextTurn();
    const failure = { reason: "store_full" as const, message: "the store has no room left", detail: "log" };
    const message: FromWriter = { outcomes: [[true], failure], refusal: undefined };
    thread.emit("message", message);
    expect(await reasonsOf(writes)).toEqual(["done", "store_full"]);
  });
});

describe("bounds", () => {
  test("bytes that wait are bounded, and answered ones no longer count", async () => {
    const writes = Array.from({ length: 5 }, () => queue.write(remove("yes"), 15 * 1024 * 1024));
    const reasons = reasonsOf(writes);
    await nextTurn();
    for (let i = 0; i < 4; i++) {
      await thread.answer();
    }
    expect(await reasons).toEqual(["done", "done", "done", "done", "overloaded"]);
    const later = Array.from({ length: 4 }, () => queue.write(remove("yes"), 15 * 1024 * 1024));
    await nextTurn();
    for (let i = 0; i < 4; i++) {
      await thread.answer();
    }
    await Promise.all(later);
  });

  describe("what answers are expected to hold", () => {
    const MIB = 1024 * 1024;
    const popAll = (calls: number) => Array.from({ length: calls }, () => queue.write(pop("k"), 1));
    const answer = (sizes: readonly number[]) => {
      const outcomes = sizes.map((size) => [Buffer.alloc(size)]);
      thread.emit("message", { outcomes, refusal: undefined } satisfies FromWriter);
    };
    const answerLast = () => answer(Array.from({ length: thread.groups.at(-1) ?? 0 }, () => 1));

    test("counts, as long as the call is not answered", async () => {
      const first = popAll(100);
      await nextTurn();
      answer(first.map(() => MIB));
      await Promise.all(first);
      const reasons = reasonsOf(popAll(100));
      await nextTurn();
      // 64 MiB are 63 values of 1 MiB and what the calls themselves hold.
      for (let sent = 0; sent < 63; ) {
        sent += thread.groups.at(-1) ?? 0;
        answerLast();
        await nextTurn();
      }
      const results = await reasons;
      expect(results.slice(0, 63)).toEqual(Array.from({ length: 63 }, () => "done"));
      expect(results.slice(63)).toEqual(Array.from({ length: 37 }, () => "overloaded"));
      const more = reasonsOf(popAll(60));
      await nextTurn();
      thread.emit("exit", 1);
      expect(await more).not.toContain("overloaded");
    });

    test("is little where one value of many is large", async () => {
      const first = popAll(100);
      await nextTurn();
      answer(first.map((_, i) => (i === 0 ? MIB : 1)));
      await Promise.all(first);
      const reasons = reasonsOf(popAll(1000));
      await nextTurn();
      thread.emit("exit", 1);
      expect(await reasons).not.toContain("overloaded");
    });
  });

  test("one call is taken in whatever its size, when nothing else waits", async () => {
    const huge = queue.write(remove("yes"), 1024 ** 3);
    await expect(queue.write(remove("yes"), 1)).rejects.toMatchObject({ reason: "overloaded" });
    await nextTurn();
    await thread.answer();
    expect(await huge).toEqual([true]);
  });

  test("calls that wait are bounded", async () => {
    const writes = Array.from({ length: 65_536 }, () => queue.write(remove("yes"), 1));
    await expect(queue.write(remove("yes"), 1)).rejects.toMatchObject({ reason: "overloaded" });
    thread.emit("exit", 1);
    await Promise.allSettled(writes);
  });
});

describe("aborts", () => {
  test("a call aborted before its group is sent is dropped; a call aborted later is answered", async () => {
    const sent = new AbortController();
    const waiting = new AbortController();
    const first = queue.write(remove("yes"), 1, createCall(sent.signal));
    await nextTurn();
    const second = queue.write(remove("yes"), 1, createCall(waiting.signal));
    const third = queue.write(remove("no"), 1);
    const reasons = reasonsOf([second, third]);
    sent.abort();
    waiting.abort(new PrismError("deadline_exceeded", "too late"));
    await thread.answer();
    expect(await first).toEqual([true]);
    expect(thread.groups).toEqual([1, 1]);
    await thread.answer();
    expect(await reasons).toEqual(["deadline_exceeded", "done"]);
  });

  test("an empty group is not sent", async () => {
    const controller = new AbortController();
    const write = queue.write(remove("yes"), 1, createCall(controller.signal));
    const closed = queue.close();
    controller.abort();
    expect(await reasonsOf([write])).toEqual(["canceled"]);
    await closed;
    expect(thread.received).toEqual(["close"]);
  });
});

describe("the end", () => {
  test("close answers what waits first", async () => {
    const first = queue.write(remove("yes"), 1);
    await nextTurn();
    const second = queue.write(remove("no"), 1);
    const closed = queue.close();
    await thread.answer();
    await thread.answer();
    expect(await Promise.all([first, second])).toEqual([[true], [false]]);
    await closed;
    expect(thread.received.at(-1)).toBe("close");
  });

  test("when the thread dies, calls that were sent may have taken effect, waiting and later ones have not", async () => {
    const sent = queue.write(remove("yes"), 1);
    await nextTurn();
    const waiting = queue.write(remove("yes"), 1);
    const closed = queue.close();
    const results = reasonsOf([sent, waiting]);
    const crash = new Error("crash");
    thread.emit("error", crash);
    thread.emit("exit", 1);
    expect(await results).toEqual(["outcome_unknown", "store_unavailable"]);
    await expect(queue.write(remove("yes"), 1)).rejects.toMatchObject({
      reason: "store_unavailable",
      cause: crash,
    });
    expect(() => queue.check()).toThrow(expect.objectContaining({ reason: "store_unavailable" }));
    await closed;
    expect(thread.groups).toEqual([1]);
  });
});
