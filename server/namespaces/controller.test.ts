import { describe, expect, test } from "vitest";
import { waitFor } from "../../tests/helpers/until.ts";
import { CALL } from "../backend/conformance/harness.ts";
import { createManualClock } from "../backend/conformance/manual-clock.ts";
import { SILENT } from "../backend/contract.ts";
import { createGuardedBackend } from "../backend/layers/guarded.ts";
import { createMemoryBackend } from "../backend/memory/backend.ts";
import { CallScope } from "../calls/scope.ts";
import { createMemoryCatalog } from "../catalog/memory.ts";
import { newNamespace } from "../catalog/suite.ts";
import { PrismError, StartError } from "../errors.ts";
import { type NamespaceCatalog, NO_WISHES, type SavedNamespace } from "./catalog.ts";
import { type ConfiguredNamespace, NamespaceController } from "./controller.ts";
import type { StoreSource } from "./open-stores.ts";
import { NamespaceRegistry } from "./registry.ts";
import { NO_RULES } from "./rules.ts";

/** A memory store that cannot be opened while `isBroken`, and cannot keep a limit of entries. */
function source(name: string) {
  return {
    name,
    isBroken: false,
    async open() {
      if (this.isBroken) {
        throw new PrismError("store_unavailable", "it is broken");
      }
      const memory = createMemoryBackend({ type: "memory" }, { clock: createManualClock() });
      const { countsCheaply: _, ...backend } = createGuardedBackend(memory);
      await backend.open();
      return backend;
    },
  };
}

const asked = (name: string, backend = "database") => ({
  name,
  pattern: "keyvalue" as const,
  backend,
  rules: NO_RULES,
  wishes: NO_WISHES,
});

const file = (name: string, backend = "database"): ConfiguredNamespace => ({
  name,
  pattern: "keyvalue",
  backend,
});

/** Rules that {@link source}'s stores cannot keep. */
const ENTRIES_LIMITED = { ...NO_RULES, limits: { ...NO_RULES.limits, maxEntries: 5 } };

interface Given {
  readonly catalog?: NamespaceCatalog;
  readonly configured?: readonly ConfiguredNamespace[];
  readonly needsCatalog?: boolean;
  readonly drainMs?: number;
}

function make(given: Given = {}) {
  const { catalog = createMemoryCatalog(), configured = [file("default")] } = given;
  const { needsCatalog = true, drainMs = 1000 } = given;
  const stores = { database: source("database"), other: source("other") };
  const sources = new Map<string, StoreSource>(Object.entries(stores));
  const registry = new NamespaceRegistry(() => {});
  const times = { drainMs, othersMs: 0, retryMs: 5 };
  const control = new NamespaceController({
    registry,
    catalog,
    configured,
    sources,
    log: SILENT,
    needsCatalog,
    times,
  });
  return {
    catalog,
    control,
    registry,
    stores,
    sources,
    statesOf: () =>
      Object.fromEntries(control.directory.page("", 100).map(({ name, state }) => [name, state])),
    async [Symbol.asyncDispose]() {
      await control.close();
      await registry.close();
    },
  };
}

async function start(given: Given = {}) {
  const made = make(given);
  await made.control.start();
  return made;
}

describe("a namespace whose store cannot be opened", () => {
  test("is not made, and its name stays free", async () => {
    await using made = await start();
    const { control, catalog, stores, registry } = made;
    stores.other.isBroken = true;
    const refused = control.create(asked("a", "other"), CALL);
    await expect(refused).rejects.toMatchObject({ reason: "store_unavailable" });
    expect(await catalog.load()).toEqual([]);
    expect(registry.find("a")).toBeUndefined();
    expect(made.statesOf()).toEqual({ default: "active" });
    stores.other.isBroken = false;
    expect(await control.create(asked("a", "other"), CALL)).toMatchObject({ state: "active" });
  });

  test("is degraded after a start, until it can be opened", async () => {
    const catalog = createMemoryCatalog();
    await catalog.save(newNamespace("a", { backend: "other" }));
    await catalog.save(newNamespace("b"));
    await catalog.save(newNamespace("c", { backend: "gone" }));
    await using made = make({ catalog });
    made.stores.other.isBroken = true;
    await made.control.start();
    expect(made.statesOf()).toEqual({ a: "degraded", b: "active", c: "degraded", default: "active" });
    expect(made.control.directory.get("a")?.stateMessage).toBe('its backend "other" cannot be opened');
    expect(made.control.directory.get("c")?.stateMessage).toBe('its backend "gone" is not configured');
    const call = () => made.registry.route("entries", "a", new CallScope(0));
    expect(call).toThrow('namespace "a" cannot be served now');
    made.stores.other.isBroken = false;
    await waitFor(() => expect(made.statesOf()).toMatchObject({ a: "active" }));
    expect(made.registry.find("a")).toBeDefined();
  });
});

describe("a change that may have been kept or not", () => {
  test("is found out: the namespace is served if it was kept", async () => {
    const inner = createMemoryCatalog();
    const catalog: NamespaceCatalog = {
      ...inner,
      async save(namespace) {
        await inner.save(namespace);
        throw new PrismError("outcome_unknown", "who knows");
      },
    };
    await using made = await start({ catalog });
    const refused = made.control.create(asked("a"), CALL);
    await expect(refused).rejects.toMatchObject({ reason: "outcome_unknown" });
    await waitFor(() => expect(made.statesOf()).toMatchObject({ a: "active" }));
    expect(made.registry.find("a")).toBeDefined();
  });
});

describe("what another gateway did to the same catalog", () => {
  /** A catalog that others change too. */
  function shared() {
    const inner = createMemoryCatalog();
    let tell = () => {};
    const catalog: NamespaceCatalog = {
      ...inner,
      // Never ends a deletion here, so that the other gateway is the first.
      exclusively: async () => false,
      watch(changed) {
        tell = changed;
        return () => {};
      },
    };
    return { catalog, inner, tell: () => tell() };
  }

  test("one that it deleted and made again, before this one looked, takes calls", async () => {
    const { catalog, inner, tell } = shared();
    await using made = await start({ catalog });
    await made.control.create(asked("a"), CALL);
    const { version } = await made.control.delete("a", 0, CALL);
    expect(() => made.registry.route("entries", "a", new CallScope(0))).toThrow("is drained");
    await inner.remove("a", version);
    const again = await inner.save(newNamespace("a"));
    tell();
    await waitFor(() =>
      expect(made.control.directory.get("a")).toMatchObject({ state: "active", version: again.version }),
    );
    const call = new CallScope(0);
    expect(made.registry.route("entries", "a", call).namespace).toBe("a");
    call.close();
  });

  test("rules that a store here cannot keep degrade one namespace, and the others follow", async () => {
    const { catalog, inner, tell } = shared();
    await using made = await start({ catalog });
    const a = await made.control.create(asked("a"), CALL);
    await made.control.create(asked("b"), CALL);
    const kept = (await inner.load()).find(({ name }) => name === "a") as SavedNamespace;
    await inner.save({ ...kept, rules: ENTRIES_LIMITED, version: a.version });
    await inner.save(newNamespace("c"));
    tell();
    await waitFor(() => expect(made.statesOf()).toMatchObject({ a: "degraded", b: "active", c: "active" }));
    expect(made.control.directory.get("a")?.stateMessage).toContain("limits.max_entries");
    await using restarted = await start({ catalog });
    expect(restarted.statesOf()).toEqual({ a: "degraded", b: "active", c: "active", default: "active" });
  });
});

test("a change to rules that the store cannot keep changes nothing", async () => {
  await using made = await start();
  const { version } = await made.control.create(asked("a"), CALL);
  const refused = made.control.update("a", { limits: ENTRIES_LIMITED.limits }, version, CALL);
  await expect(refused).rejects.toMatchObject({ reason: "invalid_field" });
  expect(await made.catalog.load()).toMatchObject([{ name: "a", version, rules: NO_RULES }]);
  await made.control.update("a", { wishes: { readRps: 1 } }, version, CALL);
});

describe("a catalog that cannot be opened", () => {
  function broken(error: Error) {
    const inner = createMemoryCatalog();
    const state = { error: error as Error | undefined, closed: 0 };
    const catalog: NamespaceCatalog = {
      ...inner,
      async open() {
        if (state.error !== undefined) {
          throw state.error;
        }
      },
      async close() {
        state.closed++;
      },
    };
    return { catalog, state };
  }

  test("ends the start if an operator has to act and it was asked for", async () => {
    const { catalog, state } = broken(new StartError("mend me"));
    const made = make({ catalog });
    await expect(made.control.start()).rejects.toThrow("mend me");
    await made[Symbol.asyncDispose]();
    expect(state.closed).toBe(0);
  });

  test("is closed also if the server stops while it is being opened", async () => {
    const { catalog, state } = broken(new Error());
    const { promise, resolve } = Promise.withResolvers<void>();
    const made = make({ catalog: { ...catalog, open: () => promise } });
    const started = made.control.start();
    await waitFor(() => expect(made.statesOf()).toEqual({ default: "active" }));
    const closed = made.control.close();
    resolve();
    await Promise.all([started, closed]);
    expect(state.closed).toBe(1);
    await made.registry.close();
  });

  test.each([
    ["it is away", new PrismError("store_unavailable", "away"), true],
    ["nobody asked for it", new StartError("mend me"), false],
  ])("leaves the file's namespaces, where %s, and is tried again", async (_, error, needsCatalog) => {
    const { catalog, state } = broken(error);
    await using made = await start({ catalog, needsCatalog });
    expect(made.statesOf()).toEqual({ default: "active" });
    const refused = made.control.create(asked("a"), CALL);
    await expect(refused).rejects.toMatchObject({ reason: "store_unavailable" });
    expect(() => made.registry.route("entries", "a", new CallScope(0))).toThrow("are not known yet");
    state.error = undefined;
    await waitFor(async () =>
      expect(await made.control.create(asked("a"), CALL)).toMatchObject({ state: "active" }),
    );
    expect(() => made.registry.route("entries", "b", new CallScope(0))).toThrow("no namespace");
  });
});

describe("a namespace that is in the file too", () => {
  test("is that of the file; the kept one comes when the file has it no more", async () => {
    const catalog = createMemoryCatalog();
    await catalog.save(newNamespace("both", { backend: "other" }));
    await using made = await start({ catalog, configured: [file("default"), file("both")] });
    const { control, registry, sources } = made;
    expect(control.directory.get("both")).toMatchObject({ source: "file", backend: "database" });
    await expect(control.create(asked("both"), CALL)).rejects.toMatchObject({ reason: "namespace_exists" });
    await control.reconfigure([file("default")], sources, async () => {
      await registry.drop("both");
    });
    expect(control.directory.get("both")).toMatchObject({ source: "saved", backend: "other" });
    expect(registry.find("both")).toBeDefined();
  });
});

describe("another configuration", () => {
  test("moves one to its store's other settings, and no call finds it missing", async () => {
    await using made = await start();
    const { control, registry, stores } = made;
    await control.create(asked("a", "other"), CALL);
    await control.create(asked("b", "other"), CALL);
    await control.delete("b", 0, CALL);
    const newer = source("other");
    const { promise: opened, resolve: letOpen } = Promise.withResolvers<void>();
    let isOpening = false;
    const slow = {
      name: "other",
      async open() {
        isOpening = true;
        await opened;
        return await newer.open();
      },
    };
    const sources = new Map<string, StoreSource>([
      ["database", stores.database],
      ["other", slow],
    ]);
    const before = registry.find("a")?.backend;
    const configured = control.reconfigure([file("default")], sources, async () => {});
    await waitFor(() => expect(isOpening).toBe(true));
    expect(registry.find("a")?.backend).toBe(before);
    letOpen();
    await configured;
    expect(registry.find("a")?.backend).not.toBe(before);
    expect(made.statesOf()).toMatchObject({ a: "active" });
    if (registry.find("b") !== undefined) {
      expect(() => registry.route("entries", "b", new CallScope(0))).toThrow("is drained");
    }
  });

  test("that is the same tells nobody anything", async () => {
    await using made = await start();
    const { revision } = made.control.directory;
    await made.control.reconfigure([file("default")], made.sources, async () => {});
    expect(made.control.directory.revision).toBe(revision);
  });

  test("that has one which the catalog keeps no more takes it over, and its calls go on", async () => {
    await using made = await start();
    const { control, registry, stores, catalog } = made;
    const { version } = await control.create(asked("a"), CALL);
    await catalog.remove("a", version);
    const before = registry.find("a");
    await control.reconfigure([file("default"), file("a")], made.sources, async (handedOver) => {
      expect(handedOver).toEqual(["a"]);
      const settings = ["default", "a"].map((name) => ({ name, source: stores.database }));
      await registry.replace(["default", ...handedOver], settings);
    });
    expect(registry.find("a")).toBe(before);
    expect(control.directory.get("a")).toMatchObject({ source: "file", state: "active" });
    await control.create(asked("b"), CALL);
    expect(made.statesOf()).toEqual({ a: "active", b: "active", default: "active" });
  });

  test("is taken over with its stores", async () => {
    await using made = await start({ configured: [file("default"), file("old")] });
    const { control, registry, stores } = made;
    await control.create(asked("a", "other"), CALL);
    const before = registry.find("a")?.backend;
    const newer = source("other");
    const sources = new Map<string, StoreSource>([
      ["database", stores.database],
      ["other", newer],
    ]);
    await control.reconfigure([file("default"), file("new")], sources, async () => {
      await registry.drop("old");
      await registry.add([{ name: "new", source: stores.database }]);
    });
    expect(made.statesOf()).toEqual({ a: "active", default: "active", new: "active" });
    expect(registry.find("a")?.backend).not.toBe(before);
    await control.reconfigure(
      [file("default"), file("new")],
      new Map([["database", stores.database]]),
      async () => {},
    );
    expect(made.statesOf()).toEqual({ a: "degraded", default: "active", new: "active" });
  });

  test("that takes the name of one that was made is refused, and changes nothing", async () => {
    await using made = await start();
    await made.control.create(asked("a"), CALL);
    let applied = false;
    const refused = made.control.reconfigure([file("default"), file("a")], made.sources, async () => {
      applied = true;
    });
    await expect(refused).rejects.toMatchObject({ reason: "namespace_exists" });
    expect(applied).toBe(false);
  });
});

describe("a deletion", () => {
  test("goes on after a start, and after failures, until the data is gone", async () => {
    const catalog = createMemoryCatalog();
    await catalog.save(newNamespace("a", { deleting: true }));
    let failures = 3;
    const failing: NamespaceCatalog = {
      ...catalog,
      async remove(name, version) {
        if (failures-- > 0) {
          throw new PrismError("store_unavailable", "not now");
        }
        await catalog.remove(name, version);
      },
    };
    await using made = await start({ catalog: failing });
    expect(made.statesOf()).toMatchObject({ a: "deleting" });
    await waitFor(() => expect(made.statesOf()).toEqual({ default: "active" }));
    expect(await catalog.load()).toEqual([]);
    expect(made.registry.find("a")).toBeUndefined();
    expect(failures).toBe(-1);
  });

  test("does not hold up the end of the server", async () => {
    const made = await start({ drainMs: 600_000 });
    await made.control.create(asked("a"), CALL);
    const call = new CallScope(0);
    made.registry.route("entries", "a", call);
    await made.control.delete("a", 0, CALL);
    // It would wait for the call far longer than this test may take.
    await made.control.close();
    expect(await made.catalog.load()).toMatchObject([{ name: "a", deleting: true }]);
    call.close();
    await made.registry.close();
  });
});
