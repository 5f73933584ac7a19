import { describe, expect, test } from "vitest";
import type { Check, Mutation } from "../backend/commit.ts";
import { SAMPLES } from "../backend/conformance/samples.ts";
import { createCall, type Interfaces, isRefusal } from "../backend/contract.ts";
import {
  buildInterfaces,
  INTERFACES,
  OPERATIONS,
  type OperationName,
  rowsOf,
  WRITE_NAMES,
  type WriteName,
} from "../backend/operations.ts";
import type { EventAppend } from "../backend/streams.ts";
import { ruledStores } from "./ruled-stores.ts";
import { type NamespaceRules, NO_RULES, type TimeseriesRules, type TtlRules } from "./rules.ts";

const CALL = createCall();

/** A store that has every method, does nothing and remembers what it was asked to. */
function createStore() {
  const asked: unknown[] = [];
  const stores = buildInterfaces(() => async (_namespace: string, items: unknown) => {
    asked.push(items);
    return [];
  }) as Required<Interfaces>;
  return { stores, asked };
}

function setUp({
  maxValueBytes = 0,
  ttl = {},
  timeseries = {},
}: {
  maxValueBytes?: number;
  ttl?: Partial<TtlRules>;
  timeseries?: Partial<TimeseriesRules>;
}) {
  const rules: NamespaceRules = {
    ...NO_RULES,
    limits: { ...NO_RULES.limits, maxValueBytes },
    ttl: { ...NO_RULES.ttl, ...ttl },
    timeseries: { ...NO_RULES.timeseries, ...timeseries },
  };
  const { stores, asked } = createStore();
  const ruled = ruledStores(stores, "orders", rules) as Required<Interfaces>;
  const value = new Uint8Array(4);
  /** What the store is asked to write, or the refusal's field and message. */
  async function outcome(answers: Promise<readonly unknown[] | undefined>): Promise<unknown> {
    const all = (await answers) ?? [];
    const [first] = all;
    if (!isRefusal(first)) {
      return asked.pop();
    }
    expect(all.every((each) => each === first)).toBe(true);
    expect(asked).toEqual([]);
    return `${first.reason} ${first.field}: ${first.message}`;
  }
  return {
    stores,
    ruled,
    value,
    set: (...ttlsMs: number[]) =>
      outcome(
        ruled.entries.set(
          "orders",
          ttlsMs.map((ttlMs) => ({ key: "k", value, ttlMs })),
          CALL,
        ),
      ),
    commit: (mutations: readonly Mutation[], checks: readonly Check[] = []) =>
      outcome(ruled.commits.commit("orders", [{ checks, mutations, tells: false }], CALL)),
    outcome,
  };
}

test("without such rules the stores are as they were", () => {
  const { stores, ruled } = setUp({});
  expect(ruled).toBe(stores);
});

test("every write is behind the rules, or brings neither a value nor a time to live", () => {
  const bringsNothing: readonly WriteName[] = [
    "delete",
    "pop",
    "trim",
    "remove",
    "move",
    "deleteItems",
    "deleteStream",
  ];
  const { stores, ruled } = setUp({ maxValueBytes: 1 });
  const names = Object.entries(OPERATIONS).flatMap(([of, methods]) =>
    Object.keys(methods).filter((method) => {
      const at = (all: object) => Reflect.get(Reflect.get(all, of), method);
      return at(stores) !== at(ruled);
    }),
  );
  expect(new Set([...names, ...bringsNothing])).toEqual(new Set<string>(WRITE_NAMES));
  expect(names).not.toEqual(expect.arrayContaining([...bringsNothing]));
});

test("a value has no more bytes than the namespace takes, whatever brings it", async () => {
  const small = setUp({ maxValueBytes: 3 });
  const large = setUp({ maxValueBytes: 4 });
  const message = (field: string) =>
    `value_too_large ${field}: the value has 4 bytes; the limit of namespace "orders" is 3`;
  const { value } = small;
  const item = { key: value, value, metadata: new Uint8Array(0), ttlMs: 0 };
  const calls = (stores: Required<Interfaces>) =>
    [
      ["value", stores.entries.set("orders", [{ key: "k", value, ttlMs: 0 }], CALL)],
      ["value", stores.lists.push("orders", [{ key: "k", end: "left", value }], CALL)],
      ["value", stores.listIndexes.put("orders", [{ key: "k", index: 0, value }], CALL)],
      [
        "value",
        stores.listIndexes.insert("orders", [{ key: "k", side: "before", pivot: value, value }], CALL),
      ],
      ["items[0].value", stores.records.putItems("orders", [{ id: "k", items: [item] }], CALL)],
      [
        "new_value",
        stores.records.swapItem("orders", [{ id: "k", key: value, expected: undefined, value }], CALL),
      ],
      [
        "events[1].payload",
        stores.streams.appendEvents("orders", [appendOf(new Uint8Array(3), value)], CALL),
      ],
    ] as const;
  for (const [field, answers] of calls(small.ruled)) {
    expect(await small.outcome(answers)).toBe(message(field));
  }
  for (const [, answers] of calls(large.ruled)) {
    expect(await large.outcome(answers)).toBeTypeOf("object");
  }
  expect(await small.commit([{ key: "k", do: "set", value, ttlMs: 0 }])).toBe(
    message("mutations[0].set.value"),
  );
  expect(
    await small.commit([
      { key: "k", do: "delete" },
      { key: "k", do: "replace", value },
    ]),
  ).toBe(message("mutations[1].replace.value"));
});

/** An append with these payloads, as handlers make it. */
function appendOf(...payloads: readonly Uint8Array[]): EventAppend {
  const events = payloads.map((payload) => ({ timestampMs: 0, payload, tags: {} }));
  return { stream: "s", events, retentionMs: 0, refusesExpired: false };
}

describe("streams", () => {
  const DAY_MS = 86_400_000;
  const stream = { stream: "s", partitions: 0, replicationFactor: 0 };

  test("the retention of the namespace is for streams that state none", async () => {
    const { outcome, ruled, value } = setUp({ timeseries: { retentionDays: 3 } });
    const append = appendOf(value);
    expect(await outcome(ruled.streams.appendEvents("orders", [append], CALL))).toEqual([
      { ...append, retentionMs: 3 * DAY_MS },
    ]);
    const creates = [0, 5 * DAY_MS].map((retentionMs) => ({ ...stream, retentionMs }));
    expect(await outcome(ruled.streams.createStream("orders", creates, CALL))).toEqual([
      { ...stream, retentionMs: 3 * DAY_MS },
      { ...stream, retentionMs: 5 * DAY_MS },
    ]);
  });

  test("late events are refused where the namespace says so", async () => {
    for (const lateEvents of ["accept", "refuse"] as const) {
      const { outcome, ruled, value } = setUp({ timeseries: { lateEvents } });
      expect(await outcome(ruled.streams.appendEvents("orders", [appendOf(value)], CALL))).toMatchObject([
        { retentionMs: 0, refusesExpired: lateEvents === "refuse" },
      ]);
    }
  });
});

describe("times to live", () => {
  test("the default is for what is set without one", async () => {
    const { set, commit, value, outcome, ruled } = setUp({ ttl: { defaultSeconds: 60 } });
    expect(await set(0, 5000)).toMatchObject([{ ttlMs: 60_000 }, { ttlMs: 5000 }]);
    expect(
      await commit([
        { key: "a", do: "set", value, ttlMs: 0 },
        { key: "b", do: "add", delta: 1n, initial: 0n, ttlMs: 0 },
        { key: "c", do: "persist" },
      ]),
    ).toMatchObject([{ mutations: [{ ttlMs: 60_000 }, { ttlMs: 60_000 }, { do: "persist" }] }]);
    const item = { key: value, value, metadata: value, ttlMs: 0 };
    expect(await outcome(ruled.records.putItems("orders", [{ id: "r", items: [item] }], CALL))).toEqual([
      { id: "r", items: [{ ...item, ttlMs: 60_000 }] },
    ]);
  });

  test("are within the bounds, for the whole call", async () => {
    const { set, commit, value, outcome, ruled } = setUp({ ttl: { minSeconds: 10, maxSeconds: 100 } });
    const wrong = (field: string, came: string | number) =>
      `invalid_field ${field}: the time to live must be 10 to 100 seconds in namespace "orders", and ${came} came`;
    expect(await set(10_000, 100_000)).toHaveLength(2);
    expect(await set(9000)).toBe(wrong("ttl_seconds", 9));
    expect(await set(20_000, 101_000)).toBe(wrong("items[1].ttl_seconds", 101));
    expect(await set(0)).toBe(wrong("ttl_seconds", "none"));
    const cases: readonly (readonly [Mutation, string, string | number])[] = [
      [{ key: "k", do: "set", value, ttlMs: 0 }, "set", "none"],
      [{ key: "k", do: "add", delta: 1n, initial: 0n, ttlMs: 1000 }, "add", 1],
      [{ key: "k", do: "expire", ttlMs: 101_000 }, "expire", 101],
    ];
    for (const [mutation, kind, came] of cases) {
      expect(await commit([mutation])).toBe(wrong(`mutations[0].${kind}.ttl_seconds`, came));
    }
    const item = { key: value, value, metadata: value, ttlMs: 101_000 };
    expect(await outcome(ruled.records.putItems("orders", [{ id: "r", items: [item] }], CALL))).toBe(
      wrong("items[0].metadata.ttl_seconds", 101),
    );
    expect(await commit([{ key: "k", do: "persist" }])).toMatch(/^invalid_field mutations\[0\].persist/);
  });

  test("at least so long: none at all is longer", async () => {
    const { set, commit } = setUp({ ttl: { minSeconds: 10 } });
    expect(await set(0)).toMatchObject([{ ttlMs: 0 }]);
    expect(await set(9000)).toContain("must be at least 10 seconds");
    expect(await commit([{ key: "k", do: "persist" }])).toHaveLength(1);
  });

  test("are refused where they are forbidden", async () => {
    const { set, commit } = setUp({ ttl: { forbidden: true } });
    expect(await set(0)).toMatchObject([{ ttlMs: 0 }]);
    expect(await set(1000)).toBe('invalid_field ttl_seconds: namespace "orders" takes no time to live');
    expect(await commit([{ key: "k", do: "expire", ttlMs: 1000 }])).toContain("takes no time to live");
    expect(await commit([{ key: "k", do: "persist" }])).toHaveLength(1);
  });

  test.each([{ defaultSeconds: 60 }, { maxSeconds: 60 }])(
    "with %o nothing makes an entry that never expires",
    async (ttl) => {
      const { commit, outcome, ruled, value } = setUp({ ttl });
      const replace: Mutation = { key: "k", do: "replace", value };
      const refused = expect.stringMatching(/^invalid_field mutations\[\d\]\.replace: replace can make/);
      expect(await commit([replace])).toEqual(refused);
      expect(await commit([replace], [{ key: "k", is: "absent" }])).toEqual(refused);
      expect(await commit([replace], [{ key: "other", is: "present" }])).toEqual(refused);
      expect(await commit([{ key: "k", do: "delete" }, replace], [{ key: "k", is: "present" }])).toEqual(
        refused,
      );
      expect(await commit([replace], [{ key: "k", is: "present" }])).toHaveLength(1);
      expect(await commit([replace], [{ key: "k", is: "version", version: 1 }])).toHaveLength(1);
      expect(await commit([{ key: "k", do: "set", value, ttlMs: 1000 }, replace])).toHaveLength(1);
      const swap = (expected: Uint8Array | undefined) =>
        outcome(ruled.records.swapItem("orders", [{ id: "r", key: value, expected, value }], CALL));
      expect(await swap(undefined)).toMatch(/^invalid_field old_value: a swap makes items that never expire/);
      expect(await swap(value)).toHaveLength(1);
    },
  );
});

test("what is not about values and times goes through unchanged", async () => {
  const { ruled } = setUp({ maxValueBytes: 1, ttl: { forbidden: true } });
  for (const of of INTERFACES) {
    for (const [method, row] of rowsOf(of)) {
      if (!row.writes) {
        const run = Reflect.get(ruled[of], method);
        expect(await run("orders", SAMPLES[method as OperationName], CALL)).toEqual([]);
      }
    }
  }
});
