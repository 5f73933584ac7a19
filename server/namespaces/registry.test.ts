import { describe, expect, test } from "vitest";
import { waitFor } from "../../tests/helpers/until.ts";
import { bytes, CALL, texts } from "../backend/conformance/harness.ts";
import { createManualClock } from "../backend/conformance/manual-clock.ts";
import type { Backend } from "../backend/contract.ts";
import { createGuardedBackend } from "../backend/layers/guarded.ts";
import { createMemoryBackend } from "../backend/memory/backend.ts";
import { CallScope } from "../calls/scope.ts";
import { PrismError } from "../errors.ts";
import { NamespaceRegistry } from "./registry.ts";
import { NO_RULES } from "./rules.ts";

/** A counting source of memory stores; `without` leaves out an interface. */
function source(name: string, { without }: { readonly without?: "lists" } = {}) {
  const counted = {
    name,
    opened: 0,
    closed: 0,
    /** `open` and `close` wait for it. */
    openGate: Promise.resolve(),
    closeGate: Promise.resolve(),
    async open(): Promise<Backend> {
      await counted.openGate;
      const { lists, ...rest } = createMemoryBackend({ type: "memory" }, { clock: createManualClock() });
      const backend = createGuardedBackend({ ...rest, ...(lists && without !== "lists" && { lists }) });
      await backend.open();
      counted.opened++;
      for (const namespace of ["a", "b", "c"]) {
        await backend.entries?.set(namespace, [{ key: "store", value: bytes(name), ttlMs: 0 }], CALL);
      }
      return {
        ...backend,
        async close() {
          await counted.closeGate;
          counted.closed++;
          await backend.close();
        },
      };
    },
  };
  return counted;
}

/** Counts how often it is opened and closed; behind it is `backend` each time. */
function countedSource(name: string, backend: Backend) {
  const counted = {
    name,
    opened: 0,
    closed: 0,
    async open(): Promise<Backend> {
      counted.opened++;
      return {
        ...backend,
        async close() {
          counted.closed++;
        },
      };
    },
  };
  return counted;
}

function startRegistry() {
  const failures: unknown[] = [];
  return { failures, registry: new NamespaceRegistry((_, error) => failures.push(error)) };
}

/** Starts a call on a namespace; it lasts until its end. */
function begin(registry: NamespaceRegistry, name: string) {
  const call = new CallScope(0);
  const { namespace, store } = registry.route("entries", name, call);
  return {
    storeName: async () => texts(await store.get(namespace, ["store"], call))[0],
    end: () => call.close(),
  };
}

/** Why a call is refused; "none" = it is not. */
const reasonOf = (run: (call: CallScope) => unknown): string => {
  const call = new CallScope(0);
  try {
    run(call);
    return "none";
  } catch (error) {
    return error instanceof PrismError ? error.reason : String(error);
  } finally {
    call.close();
  }
};

describe("stores", () => {
  test("namespaces with one source share a store, which is opened with the first and closed after the last", async () => {
    const { registry } = startRegistry();
    const [one, other] = [source("one"), source("other")];
    await registry.add([
      { name: "a", source: one },
      { name: "b", source: one },
      { name: "c", source: other },
    ]);
    expect([one.opened, other.opened]).toEqual([1, 1]);
    await registry.add([{ name: "d", source: one }]);
    expect(registry.namespaces.map(({ name }) => name)).toEqual(["a", "b", "c", "d"]);
    for (const name of ["a", "b"]) {
      await (await registry.drop(name)).ended;
    }
    expect([one.opened, one.closed]).toEqual([1, 0]);
    await (await registry.drop("d")).ended;
    expect([one.opened, one.closed]).toEqual([1, 1]);
    await registry.close();
    expect([one.closed, other.closed]).toEqual([1, 1]);
  });

  test("a store that is asked for again while it closes is opened after that", async () => {
    const { registry } = startRegistry();
    const one = source("one");
    const { promise, resolve } = Promise.withResolvers<void>();
    one.closeGate = promise;
    await registry.add([{ name: "a", source: one }]);
    await registry.drop("a");
    const added = registry.add([{ name: "a", source: one }]);
    await new Promise(setImmediate);
    expect([one.opened, one.closed]).toEqual([1, 0]);
    resolve();
    await added;
    expect([one.opened, one.closed]).toEqual([2, 1]);
    expect(await begin(registry, "a").storeName()).toBe("one");
    await registry.close();
    expect([one.opened, one.closed]).toEqual([2, 2]);
  });

  test("a store that cannot be opened changes nothing, and those opened beside it are closed", async () => {
    const { registry } = startRegistry();
    const [one, other] = [source("one"), source("other")];
    await registry.add([{ name: "a", source: one }]);
    const broken = {
      name: "broken",
      open: () => Promise.reject(new PrismError("store_unavailable", "away")),
    };
    const settings = [other, one, broken].map((each, i) => ({ name: `n${i}`, source: each }));
    await expect(registry.add(settings)).rejects.toThrow("away");
    await expect(registry.change({ name: "a", source: broken })).rejects.toThrow("away");
    expect([one.closed, other.opened, other.closed]).toEqual([0, 1, 1]);
    expect(registry.namespaces.map(({ name }) => name)).toEqual(["a"]);
    const call = begin(registry, "a");
    expect(await call.storeName()).toBe("one");
    call.end();
    await (await registry.drop("a")).ended;
    expect(one.closed).toBe(1);
  });

  test("a store that cannot be closed is reported, the others are closed, and the end fails", async () => {
    const { registry, failures } = startRegistry();
    const [one, other] = [source("one"), source("other")];
    one.closeGate = Promise.reject(new Error("stuck"));
    one.closeGate.catch(() => {});
    await registry.add([
      { name: "a", source: one },
      { name: "b", source: other },
    ]);
    await expect(registry.close()).rejects.toThrow("stuck");
    expect(failures).toEqual([new Error("stuck")]);
    expect(other.closed).toBe(1);
    await registry.close();
    expect(other.closed).toBe(1);
  });
});

describe("a call under way", () => {
  test.each(["change", "drop"] as const)(
    "ends on its store after a %s, and that is closed then",
    async (how) => {
      const { registry } = startRegistry();
      const [one, other] = [source("one"), source("other")];
      await registry.add([{ name: "a", source: one }]);
      const call = begin(registry, "a");
      const { ended } = await (how === "drop"
        ? registry.drop("a")
        : registry.change({ name: "a", source: other }));
      if (how === "drop") {
        expect(reasonOf((call) => registry.route("entries", "a", call))).toBe("namespace_not_found");
      } else {
        expect(await begin(registry, "a").storeName()).toBe("other");
      }
      expect(await call.storeName()).toBe("one");
      expect(one.closed).toBe(0);
      call.end();
      await ended;
      expect(one.closed).toBe(1);
    },
  );

  test("holds back no other change, and a store that is used again meanwhile stays open", async () => {
    const { registry } = startRegistry();
    const one = source("one");
    await registry.add([{ name: "a", source: one }]);
    const call = begin(registry, "a");
    const { ended } = await registry.drop("a");
    await registry.add([{ name: "a", source: one }]);
    call.end();
    await ended;
    expect([one.opened, one.closed]).toEqual([1, 0]);
    expect(await begin(registry, "a").storeName()).toBe("one");
  });

  test("of a namespace that was dropped does not close its store once more after the end of all", async () => {
    const { registry } = startRegistry();
    const one = source("one");
    await registry.add([{ name: "a", source: one }]);
    const call = begin(registry, "a");
    const { ended } = await registry.drop("a");
    await registry.close();
    expect(one.closed).toBe(1);
    call.end();
    await ended;
    expect(one.closed).toBe(1);
  });

  test("does not outlive the end of all", async () => {
    const { registry } = startRegistry();
    const one = source("one");
    await registry.add([{ name: "a", source: one }]);
    const call = begin(registry, "a");
    await registry.close();
    expect(one.closed).toBe(1);
    await expect(call.storeName()).rejects.toMatchObject({ reason: "store_unavailable" });
    call.end();
    expect(reasonOf((call) => registry.route("entries", "a", call))).toBe("shutting_down");
    await expect(registry.add([{ name: "b", source: one }])).rejects.toMatchObject({
      reason: "shutting_down",
    });
    expect([one.opened, one.closed]).toEqual([1, 1]);
  });
});

describe("replace", () => {
  test("adds, moves, drops and gives rules at once; what stays on its source goes on", async () => {
    const { registry } = startRegistry();
    const [one, other] = [source("one"), source("other")];
    await registry.add(["a", "b", "c", "made"].map((name) => ({ name, source: one })));
    const calls = ["a", "b", "c"].map((name) => begin(registry, name));
    const rules = { ...NO_RULES, ttl: { ...NO_RULES.ttl, forbidden: true } };
    const { ended } = await registry.replace(
      ["a", "b", "c", "none"],
      [
        { name: "new", source: other },
        { name: "b", source: other },
        { name: "a", source: one, rules },
      ],
    );
    expect(registry.namespaces.map(({ name }) => name)).toEqual(["a", "b", "made", "new"]);
    expect(registry.find("a")?.rules).toBe(rules);
    expect(registry.find("b")?.rules).toBe(NO_RULES);
    expect(await Promise.all(calls.map((call) => call.storeName()))).toEqual(["one", "one", "one"]);
    expect(await begin(registry, "b").storeName()).toBe("other");
    expect(reasonOf((call) => registry.route("entries", "c", call))).toBe("namespace_not_found");
    for (const call of calls) {
      call.end();
    }
    await ended;
    expect([one.opened, one.closed, other.opened, other.closed]).toEqual([1, 0, 1, 0]);
    const dropped: string[] = [];
    registry.whenDropped((name) => dropped.push(name));
    await (await registry.replace(["a", "made"], [])).ended;
    expect(dropped).toEqual(["a", "made"]);
    expect(one.closed).toBe(1);
  });

  test("that fails changes nothing: a store that is away, a name that is taken, invalid or repeated", async () => {
    const { registry } = startRegistry();
    const [one, other, broken] = [source("one"), source("other"), source("broken")];
    broken.openGate = Promise.reject(new PrismError("store_unavailable", "away"));
    broken.openGate.catch(() => {});
    await registry.add(["a", "made"].map((name) => ({ name, source: one })));
    const before = registry.namespaces;
    for (const [names, error] of [
      [["a", "b", "c"], "away"],
      [["b", "made"], "there already"],
      [["b", "b"], "there already"],
      [["b", "No!"], "must be"],
    ] as const) {
      const settings = names.map((name) => ({ name, source: name === "c" ? broken : other }));
      await expect(registry.replace(["a"], settings)).rejects.toThrow(error);
      expect(registry.namespaces).toEqual(before);
    }
    expect([one.closed, other.opened - other.closed]).toEqual([0, 0]);
    expect(await begin(registry, "a").storeName()).toBe("one");
  });

  test("asks when its stores are open and nothing has changed yet, and gives it up if that is refused", async () => {
    const { registry } = startRegistry();
    const [one, other] = [source("one"), source("other")];
    await registry.add([{ name: "a", source: one }]);
    const before = registry.namespaces;
    const refuse = async () => {
      expect(other.opened).toBe(1);
      expect(registry.namespaces).toEqual(before);
      throw new PrismError("conflict", "not all agree");
    };
    await expect(registry.replace(["a"], [{ name: "a", source: other }], refuse)).rejects.toThrow("agree");
    expect(registry.namespaces).toEqual(before);
    expect([one.closed, other.closed]).toEqual([0, 1]);
  });

  test("1,000 times leaves no store open", async () => {
    const { registry } = startRegistry();
    // One store is behind them: a thousand with a megabyte each would keep the collector busy.
    const backend = await source("shared").open();
    const sources = Array.from({ length: 1000 }, (_, i) => countedSource(`${i}`, backend));
    for (const each of sources) {
      await registry.replace(
        ["a", "b"],
        ["a", "b"].map((name) => ({ name, source: each })),
      );
    }
    await waitFor(() => expect(sources.filter(({ opened, closed }) => opened !== closed)).toHaveLength(1));
    await registry.close();
    expect(sources.every(({ opened, closed }) => opened === 1 && closed === 1)).toBe(true);
  });
});

describe("drain", () => {
  test("refuses new calls and waits for those under way; a change makes it serve again", async () => {
    const { registry } = startRegistry();
    const one = source("one");
    await registry.add([
      { name: "a", source: one },
      { name: "b", source: one },
    ]);
    const call = begin(registry, "a");
    const other = begin(registry, "b");
    const left = registry.drain("a", 60_000);
    await waitFor(() =>
      expect(reasonOf((call) => registry.route("entries", "a", call))).toBe("store_unavailable"),
    );
    expect(await call.storeName()).toBe("one");
    call.end();
    expect(await left).toBe(0);
    expect(reasonOf((call) => registry.route("entries", "a", call))).toBe("store_unavailable");
    begin(registry, "b").end();
    other.end();
    await registry.change({ name: "a", source: one });
    expect(await begin(registry, "a").storeName()).toBe("one");
    expect([one.opened, one.closed]).toEqual([1, 0]);
  });

  test("waits no longer than its limit, and answers how many are left; other changes do not wait", async () => {
    const { registry } = startRegistry();
    const one = source("one");
    await registry.add([{ name: "a", source: one }]);
    const call = begin(registry, "a");
    // A scan holds its call from its first page to its last.
    const scan = new CallScope(0);
    registry.route("scans", "a", scan);
    expect(await registry.drain("a", 1)).toBe(2);
    const long = registry.drain("a", 2 ** 40);
    await registry.add([{ name: "b", source: one }]);
    scan.close();
    const { ended } = await registry.drop("a");
    call.end();
    expect(await long).toBe(0);
    await ended;
  });

  test("ends with the registry", async () => {
    const { registry } = startRegistry();
    await registry.add([{ name: "a", source: source("one") }]);
    begin(registry, "a");
    const left = registry.drain("a", 60_000);
    await registry.close();
    expect(await left).toBe(1);
  });
});

describe("names", () => {
  test("are looked up as the wire has them, and refused for what they are", async () => {
    const { registry } = startRegistry();
    await registry.add([{ name: "default", source: source("one", { without: "lists" }) }]);
    expect(registry.route("entries", "", CALL)).toBe(registry.route("entries", "default", CALL));
    expect(reasonOf((call) => registry.route("lists", "", call))).toBe("interface_unsupported");
    expect(reasonOf((call) => registry.route("scans", "nowhere", call))).toBe("namespace_not_found");
    expect(reasonOf((call) => registry.route("entries", "No!", call))).toBe("invalid_field");
    expect(reasonOf((call) => registry.route("entries", "toString", call))).toBe("invalid_field");
  });

  test("a taken or invalid name cannot be added, a missing one cannot be changed", async () => {
    const { registry } = startRegistry();
    const one = source("one");
    await registry.add([{ name: "a", source: one }]);
    for (const names of [["a"], ["b", "b"], ["b", "No!"], [""]]) {
      const settings = names.map((name) => ({ name, source: one }));
      await expect(registry.add(settings)).rejects.toMatchObject({ reason: "invalid_field" });
    }
    for (const change of [
      registry.drop("b"),
      registry.drain("b", 0),
      registry.change({ name: "b", source: one }),
    ]) {
      await expect(change).rejects.toMatchObject({ reason: "namespace_not_found" });
    }
    expect(registry.namespaces.map(({ name }) => name)).toEqual(["a"]);
    expect(one.opened).toBe(1);
  });

  test("changes are made one after the other, in their order", async () => {
    const { registry } = startRegistry();
    const [slow, fast] = [source("slow"), source("fast")];
    const { promise, resolve } = Promise.withResolvers<void>();
    slow.openGate = promise;
    const changes = Promise.allSettled([
      registry.add([{ name: "a", source: slow }]),
      registry.add([{ name: "a", source: fast }]),
      registry.change({ name: "a", source: fast }),
      registry.drop("a"),
      registry.add([{ name: "a", source: fast }]),
    ]);
    await new Promise(setImmediate);
    expect([slow.opened, fast.opened]).toEqual([0, 0]);
    resolve();
    expect((await changes).map(({ status }) => status)).toEqual([
      "fulfilled",
      "rejected",
      "fulfilled",
      "fulfilled",
      "fulfilled",
    ]);
    expect(await begin(registry, "a").storeName()).toBe("fast");
    await waitFor(() => expect(slow.closed).toBe(1));
  });
});

describe("a namespace that is to be deleted", () => {
  test("is there without taking calls, also from its start", async () => {
    const { registry } = startRegistry();
    const one = source("one");
    await registry.add([{ name: "a", source: one, drained: true }]);
    expect(one.opened).toBe(1);
    expect(registry.find("a")?.name).toBe("a");
    expect(reasonOf((call) => registry.route("entries", "a", call))).toBe("store_unavailable");
  });

  test("ends its scans and ranges of lists when it is told to, and no other calls", async () => {
    const { registry } = startRegistry();
    await registry.add([{ name: "a", source: source("one") }]);
    const lasting = (["scans", "listRanges"] as const).map((of) => {
      const call = new CallScope(0);
      registry.route(of, "a", call);
      return call;
    });
    const short = new CallScope(0);
    registry.route("entries", "a", short);
    expect(await registry.drain("a", 1)).toBe(3);
    expect(lasting.map(({ aborted }) => aborted)).toEqual([false, false]);
    await registry.endScans("a");
    expect(lasting.map(({ reason }) => reason)).toMatchObject([
      { reason: "store_unavailable" },
      { reason: "store_unavailable" },
    ]);
    expect(short.aborted).toBe(false);
    for (const call of [...lasting, short]) {
      call.close();
    }
    expect(await registry.drain("a", 1)).toBe(0);
  });
});

test("while not all namespaces are known, an unknown one may come", async () => {
  const { registry } = startRegistry();
  registry.whyAbsent = () => "not yet";
  expect(reasonOf((call) => registry.route("entries", "a", call))).toBe("store_unavailable");
  expect(reasonOf((call) => registry.route("entries", "No!", call))).toBe("invalid_field");
  registry.whyAbsent = () => undefined;
  expect(reasonOf((call) => registry.route("entries", "a", call))).toBe("namespace_not_found");
});

test("no more than so many changes wait", async () => {
  const { registry } = startRegistry();
  const slow = source("slow");
  const { promise, resolve } = Promise.withResolvers<void>();
  slow.openGate = promise;
  const changes = Array.from({ length: 1030 }, (_, i) => registry.add([{ name: `n${i}`, source: slow }]));
  const ended = Promise.allSettled(changes);
  await expect(changes.at(-1)).rejects.toMatchObject({ reason: "overloaded" });
  resolve();
  expect((await ended).filter(({ status }) => status === "fulfilled")).toHaveLength(1024);
  await registry.close();
});

test("a namespace for time series is only on a store that has streams", async () => {
  const { registry } = startRegistry();
  const [able, unable] = [source("able"), source("unable")];
  const flat = {
    ...unable,
    async open() {
      const { streams: _, ...backend } = await unable.open();
      return backend;
    },
  };
  const lacking = {
    ...unable,
    async open() {
      return { ...(await unable.open()), lacks: () => new Set(["streams"] as const) };
    },
  };
  const pattern = "timeseries";
  const refused = {
    reason: "invalid_field",
    field: "pattern",
    message:
      'namespace "b" is for time series, and its memory backend has no interface for streams of events',
  };
  await registry.add([{ name: "a", pattern, source: able }]);
  for (const each of [flat, lacking]) {
    await expect(registry.add([{ name: "b", pattern, source: each }])).rejects.toMatchObject(refused);
    // The same at a reload that changes what it is for.
    await registry.add([{ name: "b", source: each }]);
    await expect(registry.replace(["b"], [{ name: "b", pattern, source: each }])).rejects.toMatchObject(
      refused,
    );
    await registry.drop("b");
  }
  await registry.close();
});

test("a namespace for keys and values is only on a store that has some", async () => {
  const { registry } = startRegistry();
  const store = source("store");
  const streamsOnly = {
    ...store,
    async open() {
      const { entries: _, lists: __, records: ___, ...backend } = await store.open();
      return backend;
    },
  };
  await expect(registry.add([{ name: "b", pattern: "keyvalue", source: streamsOnly }])).rejects.toMatchObject(
    {
      reason: "invalid_field",
      field: "pattern",
      message: expect.stringMatching(
        /^namespace "b" is for keys and values, .* pattern: timeseries if it is/,
      ),
    },
  );
  await registry.add([{ name: "b", pattern: "timeseries", source: streamsOnly }]);
  await registry.close();
});

test("a store with its own rules for streams gets none of a namespace", async () => {
  const { registry } = startRegistry();
  const own = source("own");
  const plugin = {
    ...own,
    async open() {
      return { ...(await own.open()), ownsStreamRules: true as const };
    },
  };
  await registry.add([{ name: "b", source: plugin }]);
  for (const timeseries of [
    { retentionDays: 1, lateEvents: "accept" },
    { retentionDays: 0, lateEvents: "refuse" },
  ] as const) {
    await expect(registry.setRules("b", { ...NO_RULES, timeseries })).rejects.toMatchObject({
      reason: "invalid_field",
      field: "timeseries",
    });
  }
  await registry.close();
});

test("a store that cannot count cheaply gets no limit of entries, and is given back", async () => {
  const { registry } = startRegistry();
  const [able, unable] = [source("able"), source("unable")];
  const slow = {
    ...unable,
    async open() {
      const { countsCheaply: _, ...backend } = await unable.open();
      return backend;
    },
  };
  const rules = { ...NO_RULES, limits: { ...NO_RULES.limits, maxEntries: 5 } };
  const refused = {
    reason: "invalid_field",
    message:
      'limits.max_entries of namespace "b" cannot be kept on a memory backend, which cannot count its entries cheaply',
  };
  const both = [
    { name: "a", source: able, rules },
    { name: "b", source: slow, rules },
  ];
  await expect(registry.add(both)).rejects.toMatchObject(refused);
  expect([able.closed, unable.closed]).toEqual([1, 1]);
  expect(registry.namespaces).toEqual([]);
  await registry.add([{ name: "b", source: able, rules }]);
  await expect(registry.change({ name: "b", source: slow, rules })).rejects.toMatchObject(refused);
  expect(unable.closed).toBe(2);
  await registry.change({ name: "b", source: slow });
  await expect(registry.setRules("b", rules)).rejects.toMatchObject(refused);
  // The same at a reload, where it stays on its store and where it moves there.
  await expect(registry.replace(["b"], [{ name: "b", source: slow, rules }])).rejects.toMatchObject(refused);
  await registry.change({ name: "b", source: able });
  await expect(registry.replace(["b"], [{ name: "b", source: slow, rules }])).rejects.toMatchObject(refused);
  expect(registry.find("b")?.backendName).toBe("able");
  await registry.change({ name: "b", source: slow });
  expect(registry.find("b")?.rules).toBe(NO_RULES);
  await registry.close();
});
