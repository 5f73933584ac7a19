import { describe, expect, test } from "vitest";
import { createManualClock } from "../backend/conformance/manual-clock.ts";
import { createCall, type Interfaces, isRefusal } from "../backend/contract.ts";
import { createMemoryBackend } from "../backend/memory/backend.ts";
import { EntryLimit, limited } from "./entry-limit.ts";

const CALL = createCall();
const NAMESPACE = "orders";

/** A namespace of ten entries at most, whose counts and looks for keys are counted. */
function setUp(maxEntries = 10) {
  const clock = { ms: 0 };
  const { entries, scans } = createMemoryBackend(
    { type: "memory" },
    { clock: createManualClock() },
  ) as Required<Pick<Interfaces, "entries" | "scans">>;
  const asked = { counts: 0, looks: 0 };
  const limit = new EntryLimit(
    NAMESPACE,
    maxEntries,
    {
      entries: {
        ...entries,
        exists(...given) {
          asked.looks++;
          return entries.exists(...given);
        },
      },
      scans: {
        ...scans,
        count(...given) {
          asked.counts++;
          return scans.count(...given);
        },
      },
    },
    () => clock.ms,
  );
  const set = limited(entries.set, ({ key }) => [key], limit);
  async function write(...keys: string[]): Promise<string> {
    const value = new Uint8Array(1);
    const answers =
      (await set(
        NAMESPACE,
        keys.map((key) => ({ key, value, ttlMs: 0 })),
        CALL,
      )) ?? [];
    const [first] = answers;
    return isRefusal(first) ? first.reason : "written";
  }
  const held = () => scans.count(NAMESPACE, "", CALL);
  return { clock, asked, write, held, entries, limit };
}

const keys = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `k${from + i}`);

test("new entries up to the limit, one by one and in a batch; a batch that is too large is refused whole", async () => {
  const { write, held } = setUp();
  for (const key of keys(0, 8)) {
    expect(await write(key)).toBe("written");
  }
  expect(await write(...keys(8, 11))).toBe("quota_exceeded");
  expect(await held()).toBe(8);
  expect(await write(...keys(8, 10))).toBe("written");
  expect(await write("more")).toBe("quota_exceeded");
  expect(await held()).toBe(10);
});

test("a full namespace takes overwrites and deletes, and then new entries again", async () => {
  const { clock, write, entries, held } = setUp(3);
  expect(await write("a", "b", "c")).toBe("written");
  expect(await write("a", "a", "b", "c")).toBe("written");
  expect(await write("a", "d")).toBe("quota_exceeded");
  await entries.delete(NAMESPACE, ["a"], CALL);
  clock.ms += 50;
  expect(await write("d", "b")).toBe("written");
  expect(await held()).toBe(3);
});

test("while there is room it counts once a second, and looks for no key", async () => {
  const { clock, asked, write } = setUp(1000);
  for (let i = 0; i < 100; i++) {
    await write(`k${i}`);
  }
  expect(asked).toEqual({ counts: 1, looks: 0 });
  clock.ms += 1000;
  await Promise.all([write("a"), write("b")]);
  expect(asked).toEqual({ counts: 2, looks: 0 });
});

test("overwrites of a namespace that is not full cost a count now and then", async () => {
  const { clock, asked, write } = setUp(10);
  for (let i = 0; i < 1000; i++) {
    clock.ms += 50;
    expect(await write("same")).toBe("written");
  }
  expect(asked.looks).toBe(0);
  expect(asked.counts).toBeLessThan(150);
});

test("a full namespace is counted twenty times a second, however many calls are refused", async () => {
  const { clock, asked, write } = setUp(1);
  await write("a");
  for (let i = 0; i < 1000; i++) {
    clock.ms += 1;
    expect(await write("b")).toBe("quota_exceeded");
  }
  expect(asked.counts).toBeLessThanOrEqual(21);
});

describe("what other gateways write", () => {
  test("is known within a second", async () => {
    const { clock, write, entries } = setUp(10);
    expect(await write("a")).toBe("written");
    const value = new Uint8Array(1);
    await entries.set(
      NAMESPACE,
      keys(0, 9).map((key) => ({ key, value, ttlMs: 0 })),
      CALL,
    );
    clock.ms += 1000;
    expect(await write("b")).toBe("quota_exceeded");
  });
});
