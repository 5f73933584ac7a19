import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { bytes, texts } from "../conformance/harness.ts";
import { createManualClock } from "../conformance/manual-clock.ts";
import { createGetQueue } from "./get-queue.ts";
import type { Reader } from "./reader.ts";

/** A reader whose keys are their own values, with a record of its calls. "bad" is damaged. */
function createFakeReader() {
  const asked: string[] = [];
  const get: Reader["get"] = (_, key) => {
    asked.push(key);
    if (key === "bad") {
      throw new Error("damaged");
    }
    return bytes(key);
  };
  const getMany: Reader["getMany"] = (_, keys) => {
    asked.push(keys.join());
    if (keys.includes("bad")) {
      throw new Error("damaged");
    }
    return keys.map(bytes);
  };
  return { asked, get, getMany };
}

describe("createGetQueue", () => {
  test("calls of one turn share a statement, each namespace its own, and get what they asked for", async () => {
    const reader = createFakeReader();
    const queue = createGetQueue(reader, createManualClock());
    const calls = [queue.get("n", ["a", "b"]), queue.get("m", ["c", "d"]), queue.get("n", ["e"])];
    expect((await Promise.all(calls)).map(texts)).toEqual([["a", "b"], ["c", "d"], ["e"]]);
    expect(reader.asked).toEqual(["a,b,e", "c,d"]);
    await queue.get("n", ["f"]);
    expect(reader.asked).toEqual(["a,b,e", "c,d", "f"]);
  });

  test("a call that meets damage fails alone", async () => {
    const queue = createGetQueue(createFakeReader(), createManualClock());
    const [good, bad, other] = [queue.get("n", ["a"]), queue.get("n", ["bad"]), queue.get("n", ["b"])];
    expect(await bad).toMatchObject([{ reason: "internal" }]);
    expect(texts(await good)).toEqual(["a"]);
    expect(texts(await other)).toEqual(["b"]);
  });

  test("a statement has a bounded number of keys", async () => {
    const reader = createFakeReader();
    const queue = createGetQueue(reader, createManualClock());
    const keys = Array.from({ length: 700 }, (_, i) => `k${i}`);
    expect(texts(await queue.get("n", keys))).toEqual(keys);
    await Promise.all(keys.map((key) => queue.get("n", [key])));
    for (const question of reader.asked) {
      expect(question.split(",").length).toBeLessThanOrEqual(256);
    }
  });

  test("and fewer of them where values are large, until they are not any more", async () => {
    const reader = createFakeReader();
    let bytes = 400_000;
    const getMany: Reader["getMany"] = (namespace, keys, nowMs) => {
      reader.getMany(namespace, keys, nowMs);
      return keys.map(() => new Uint8Array(bytes));
    };
    const queue = createGetQueue({ get: () => new Uint8Array(bytes), getMany }, createManualClock());
    const ask = () => Promise.all(Array.from({ length: 9 }, (_, i) => queue.get("n", [`${i}`])));
    await ask();
    expect(reader.asked.splice(0)).toEqual(["0,1,2,3,4,5,6,7,8"]);
    await ask();
    expect(reader.asked.splice(0)).toEqual(["0,1,2", "3,4,5", "6,7,8"]);
    bytes = 10;
    for (let i = 0; i < 10; i++) {
      await ask();
    }
    expect(reader.asked.at(-1)).toEqual("0,1,2,3,4,5,6,7,8");
  });

  test("what waits is answered when the store closes", async () => {
    const queue = createGetQueue(createFakeReader(), createManualClock());
    const call = queue.get("n", ["a"]);
    queue.flush();
    expect(texts(await call)).toEqual(["a"]);
    await nextTurn();
  });
});
