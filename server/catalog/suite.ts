import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { waitFor } from "../../tests/helpers/until.ts";
import { type NamespaceCatalog, NO_WISHES, type SavedNamespace } from "../namespaces/catalog.ts";
import { NO_RULES } from "../namespaces/rules.ts";

/** A place where catalogs can be kept, empty at first. */
export interface CatalogPlace extends AsyncDisposable {
  /** A new catalog in this place, not open yet. */
  create(): NamespaceCatalog;
}

/** What {@link describeCatalog} tests. */
export interface CatalogHarness {
  readonly name: string;
  /** Whether what was saved is there after the process has ended. */
  readonly durable: boolean;
  /** Whether several gateways can have one place open at a time. */
  readonly shared: boolean;
  place(): Promise<CatalogPlace>;
}

/** A namespace with no rules and no wishes, which was never saved. */
export function newNamespace(name: string, given: Partial<SavedNamespace> = {}): SavedNamespace {
  return {
    name,
    pattern: "keyvalue",
    backend: "database",
    rules: NO_RULES,
    wishes: NO_WISHES,
    createdAtMs: 1_700_000_000_000,
    deleting: false,
    version: 0,
    ...given,
  };
}

/** A namespace that says something of everything. */
const RICH = newNamespace("rich.one_two-3", {
  pattern: "timeseries",
  backend: "main",
  rules: {
    limits: {
      maxRps: 1,
      burst: 2,
      maxInBytesPerSecond: 3,
      maxConcurrentCalls: 4,
      maxValueBytes: 5,
      maxEntries: Number.MAX_SAFE_INTEGER,
    },
    ttl: { defaultSeconds: 20, minSeconds: 10, maxSeconds: 30, forbidden: false },
    timeseries: { retentionDays: 30, lateEvents: "refuse" },
    access: {
      owners: [{ team: "storage", role: "on call" }],
      consumers: [
        {
          servicePattern: "user-api.prod.*",
          permissions: ["read", "write"],
          keyPrefix: 'k: "ü"\n#',
          methods: ["Get", "Set"],
        },
        { servicePattern: "*", permissions: ["read"], keyPrefix: "", methods: undefined },
      ],
    },
  },
  wishes: {
    readRps: 1000,
    writeRps: 100,
    dataSizeGb: 7,
    retentionDays: 30,
    consistency: "strong",
    cacheEnabled: true,
    cacheTtlSeconds: 60,
  },
});

/** A test of what only some catalogs do. The others do not have it: a skipped test is an alarm. */
const testIf = (applies: boolean) => (name: string, run: () => Promise<void>) => {
  if (applies) {
    test(name, run);
  }
};

/** Tests a catalog: what every one of them promises (`namespaces/catalog.ts`). */
export function describeCatalog({ name, durable, shared, place }: CatalogHarness): void {
  describe(`${name} keeps namespaces`, () => {
    let where: CatalogPlace;
    let catalog: NamespaceCatalog;
    const opened: NamespaceCatalog[] = [];

    async function open(): Promise<NamespaceCatalog> {
      const one = where.create();
      await one.open();
      opened.push(one);
      return one;
    }

    async function close(one: NamespaceCatalog): Promise<void> {
      opened.splice(opened.indexOf(one), 1);
      await one.close();
    }

    beforeEach(async () => {
      where = await place();
      catalog = await open();
    });
    afterEach(async () => {
      await Promise.all(opened.splice(0).map((one) => one.close()));
      await where[Symbol.asyncDispose]();
    });

    test("begins empty", async () => {
      expect(await catalog.load()).toEqual([]);
    });

    test("answers what was saved, whole, with a version, in the order of the names", async () => {
      const saved = [await catalog.save(RICH), await catalog.save(newNamespace("a"))];
      expect(saved).toEqual([
        { ...RICH, version: expect.any(Number) },
        { ...newNamespace("a"), version: expect.any(Number) },
      ]);
      expect(await catalog.load()).toEqual([saved[1], saved[0]]);
    });

    test("gives a larger version at each change, also to a name that was forgotten", async () => {
      const first = await catalog.save(newNamespace("a"));
      const changed = await catalog.save({ ...first, deleting: true });
      expect(first.version).toBeGreaterThan(0);
      expect(changed).toEqual({ ...first, deleting: true, version: changed.version });
      expect(changed.version).toBeGreaterThan(first.version);
      expect(await catalog.load()).toEqual([changed]);
      await catalog.remove("a", changed.version);
      expect(await catalog.load()).toEqual([]);
      const again = await catalog.save(newNamespace("a"));
      expect(again.version).toBeGreaterThan(changed.version);
    });

    test("refuses a new namespace whose name is taken", async () => {
      const saved = await catalog.save(newNamespace("a"));
      const other = catalog.save(newNamespace("a", { backend: "other" }));
      await expect(other).rejects.toMatchObject({ reason: "namespace_exists" });
      expect(await catalog.load()).toEqual([saved]);
    });

    test("refuses a change of what was changed or forgotten meanwhile", async () => {
      const old = await catalog.save(newNamespace("a"));
      const now = await catalog.save({ ...old, createdAtMs: 1 });
      for (const late of [
        () => catalog.save({ ...old, createdAtMs: 2 }),
        () => catalog.remove("a", old.version),
      ]) {
        await expect(late()).rejects.toMatchObject({ reason: "conflict" });
      }
      expect(await catalog.load()).toEqual([now]);
      await catalog.remove("a", now.version);
      for (const late of [
        () => catalog.save({ ...now, createdAtMs: 2 }),
        () => catalog.remove("a", now.version),
      ]) {
        await expect(late()).rejects.toMatchObject({ reason: "conflict" });
      }
      expect(await catalog.load()).toEqual([]);
    });

    test("keeps many", async () => {
      const names = Array.from({ length: 30 }, (_, i) => `n${String(i).padStart(3, "0")}`);
      for (const each of names) {
        await catalog.save(newNamespace(each));
      }
      const loaded = await catalog.load();
      expect(loaded.map((each) => each.name)).toEqual(names);
      expect(new Set(loaded.map(({ version }) => version)).size).toBe(names.length);
    });

    testIf(durable)("has it when it is opened again", async () => {
      const kept = await catalog.save(RICH);
      const gone = await catalog.save(newNamespace("gone"));
      await catalog.remove("gone", gone.version);
      await close(catalog);
      const again = await open();
      expect(await again.load()).toEqual([kept]);
      expect((await again.save(newNamespace("new"))).version).toBeGreaterThan(gone.version);
    });

    test("does not tell of its own changes, and tells nothing once nobody watches", async () => {
      let told = 0;
      const stop = catalog.watch(() => told++);
      const saved = await catalog.save(newNamespace("a"));
      await catalog.remove("a", saved.version);
      stop();
      await close(catalog);
      expect(told).toBe(0);
    });

    testIf(shared)("tells of another gateway's changes", async () => {
      const other = await open();
      let told = 0;
      const stop = catalog.watch(() => told++);
      let saved = await other.save(newNamespace("a"));
      // Before it is read: what was read is not told of.
      await waitFor(() => expect(told).toBeGreaterThan(0));
      expect(await catalog.load()).toEqual([saved]);
      for (const change of [
        async () => (saved = await other.save({ ...saved, deleting: true })),
        async () => await other.remove("a", saved.version),
      ]) {
        const before = told;
        await catalog.load();
        await change();
        await waitFor(() => expect(told).toBeGreaterThan(before));
      }
      stop();
    });

    testIf(shared)("lets one of two gateways make a name", async () => {
      const other = await open();
      for (let round = 0; round < 10; round++) {
        const made = await Promise.allSettled(
          [catalog, other].map((one) => one.save(newNamespace(`n${round}`))),
        );
        const lost = made.flatMap((each) => (each.status === "rejected" ? [each.reason] : []));
        expect(lost).toMatchObject([{ reason: "namespace_exists" }]);
      }
      expect(await catalog.load()).toHaveLength(10);
    });

    testIf(shared)("lets one gateway at a time work on a namespace that is kept", async () => {
      const other = await open();
      const [a, b] = [await catalog.save(newNamespace("a")), await catalog.save(newNamespace("b"))];
      const { promise, resolve } = Promise.withResolvers<void>();
      const began = Promise.withResolvers<void>();
      const first = catalog.exclusively?.(a, async () => {
        began.resolve();
        await promise;
      });
      await began.promise;
      const nothing = async () => {};
      expect(await other.exclusively?.(a, nothing)).toBe(false);
      expect(await other.exclusively?.(b, nothing)).toBe(true);
      resolve();
      expect(await first).toBe(true);
      expect(await other.exclusively?.(a, nothing)).toBe(true);
      const failed = other.exclusively?.(a, async () => {
        throw new Error("no");
      });
      await expect(failed).rejects.toThrow("no");
      const removed = catalog.exclusively?.(a, () => catalog.remove("a", a.version));
      expect(await removed).toBe(true);
      expect(await other.exclusively?.(a, nothing)).toBe(false);
      expect(await other.exclusively?.(newNamespace("c", { version: 1 }), nothing)).toBe(false);
    });
  });
}
