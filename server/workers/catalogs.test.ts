import { expect, test } from "vitest";
import { waitFor } from "../../tests/helpers/until.ts";
import { CALL } from "../backend/conformance/harness.ts";
import { createManualClock } from "../backend/conformance/manual-clock.ts";
import { SILENT } from "../backend/contract.ts";
import { createMemoryBackend } from "../backend/memory/backend.ts";
import { CallScope } from "../calls/scope.ts";
import { createMemoryCatalog } from "../catalog/memory.ts";
import { type CatalogChanges, type NamespaceCatalog, NO_WISHES } from "../namespaces/catalog.ts";
import { NamespaceController } from "../namespaces/controller.ts";
import { NamespaceRegistry } from "../namespaces/registry.ts";
import { NO_RULES } from "../namespaces/rules.ts";
import { readFromPrimary, relayed } from "./catalogs.ts";

const store = createMemoryBackend({ type: "memory" }, { clock: createManualClock() });
/** The one store of all processes. */
const SOURCES = new Map([["database", { name: "database", open: async () => store }]]);

/** A process, as far as its namespaces go. */
async function start(catalog: NamespaceCatalog) {
  const registry = new NamespaceRegistry(() => {});
  const control = new NamespaceController({
    registry,
    catalog,
    configured: [],
    sources: SOURCES,
    log: SILENT,
    needsCatalog: true,
    times: { drainMs: 10_000, othersMs: 50, retryMs: 10 },
  });
  await control.start();
  return { registry, control };
}

const asked = {
  name: "a",
  pattern: "keyvalue",
  backend: "database",
  rules: NO_RULES,
  wishes: NO_WISHES,
} as const;

test("a change is answered when the worker has it; a namespace's data is removed when its calls have ended", async () => {
  const kept = createMemoryCatalog();
  const relay = relayed(kept, (changes) => worker.control.takeOver(changes));
  const primary = await start(relay);
  const worker = await start(readFromPrimary(async () => relay.known()));

  await primary.control.create(asked, CALL);
  expect(worker.registry.find("a")).toBeDefined();
  const call = new CallScope(0);
  const { namespace } = worker.registry.route("entries", "a", call);
  await store.entries?.set(namespace, [{ key: "k", value: Buffer.from("v"), ttlMs: 0 }], CALL);

  await primary.control.delete("a", 0, CALL);
  expect(() => worker.registry.route("entries", "a", new CallScope(0))).toThrow("drained");
  call.close();
  await waitFor(() => expect(primary.control.directory.get("a")).toBeUndefined());
  expect(worker.registry.find("a")).toBeUndefined();
  expect(await store.entries?.get(namespace, ["k"], CALL)).toEqual([undefined]);

  await worker.control.close();
  await primary.control.close();
});

test("what another gateway changes is read once, and the workers hear what that is", async () => {
  const kept = createMemoryCatalog();
  let loads = 0;
  let changed = () => {};
  const told: CatalogChanges[] = [];
  const relay = relayed(
    {
      ...kept,
      async load() {
        loads++;
        return await kept.load();
      },
      watch(listener) {
        changed = listener;
        return () => {};
      },
    },
    async (changes) => {
      told.push(changes);
      await worker.control.takeOver(changes);
    },
  );
  expect(() => relay.known()).toThrow("not known yet");
  await kept.save({ ...asked, name: "old", createdAtMs: 0, deleting: false, version: 0 });
  const primary = await start(relay);
  const worker = await start(readFromPrimary(async () => relay.known()));
  expect(worker.registry.find("old")).toBeDefined();
  // Each change that it makes itself is read by nobody.
  const { version } = await primary.control.create(asked, CALL);
  expect([loads, told.length]).toEqual([1, 1]);

  const rules = { ...NO_RULES, ttl: { ...NO_RULES.ttl, forbidden: true } };
  const other = { ...asked, createdAtMs: 0, deleting: false, version: 0 };
  await kept.save({ ...other, version, rules });
  await kept.remove("old", 1);
  await kept.save({ ...other, name: "new" });
  changed();
  await waitFor(() => expect(worker.registry.find("new")).toBeDefined());
  expect(worker.registry.find("a")?.rules.ttl.forbidden).toBe(true);
  expect(worker.registry.find("old")).toBeUndefined();
  expect(loads).toBe(2);
  expect(told[1]?.kept.map(({ name }) => name)).toEqual(["a", "new"]);
  expect(told[1]?.forgotten.map(({ name }) => name)).toEqual(["old"]);
  changed();
  await waitFor(() => expect(loads).toBe(3));
  expect(told).toHaveLength(2);

  await worker.control.close();
  await primary.control.close();
});

test("a worker changes nothing by itself", async () => {
  const worker = await start(readFromPrimary(async () => []));
  await expect(worker.control.create(asked, CALL)).rejects.toMatchObject({ reason: "internal" });
  await worker.control.close();
});

test("a worker that cannot take a change over reads all that is kept", async () => {
  const kept = createMemoryCatalog();
  const worker = await start(kept);
  const saved = await kept.save({ ...asked, createdAtMs: 0, deleting: false, version: 0 });
  const broken: CatalogChanges = {
    forgotten: [],
    get kept(): never {
      throw new Error("cut off");
    },
  };
  await expect(worker.control.takeOver(broken)).rejects.toThrow("cut off");
  await waitFor(() => expect(worker.registry.find(saved.name)).toBeDefined());
  await worker.control.close();
});
