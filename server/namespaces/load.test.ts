/** Random changes of namespaces during calls, on real stores, compared with a model. */
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { temporaryFolder } from "../../tests/helpers/process.ts";
import { createTestRedis, hasTestRedis } from "../../tests/helpers/redis.ts";
import { bytes, CALL, present, texts } from "../backend/conformance/harness.ts";
import { seeded } from "../backend/conformance/seeded.ts";
import type { Backend } from "../backend/contract.ts";
import { createBackend } from "../backend/factory.ts";
import { type BackendConfig, backendSchema } from "../backend/rooms.ts";
import { CallScope } from "../calls/scope.ts";
import { PrismError } from "../errors.ts";
import type { StoreSource } from "./open-stores.ts";
import { NamespaceRegistry, type NamespaceSettings } from "./registry.ts";

const NAMES = ["a", "b", "c", "d", "e"];
const LANES = 8;
const STEPS = 150;
/** Entries that a scan finds, in pages of two. */
const PAGE_KEYS = ["p1", "p2", "p3", "p4", "p5"];

/** Records what happened to the stores that sources opened. */
class Ledger {
  /** The source of each store. */
  readonly origins = new Map<Backend, string>();
  /** How often each store was closed. */
  readonly closes = new Map<Backend, number>();

  /** The stores that are open now. */
  get open(): number {
    return [...this.closes.values()].filter((count) => count === 0).length;
  }

  /** A source of stores that know their origin. Opening fails if `fails` says so. */
  source(name: string, config: BackendConfig, fails: () => boolean): StoreSource {
    const open = async () => {
      if (fails()) {
        throw new PrismError("store_unavailable", "chosen to fail");
      }
      const inner = await createBackend(config);
      await inner.open();
      const entries = ["store", ...PAGE_KEYS].map((key) => ({ key, value: bytes(name), ttlMs: 0 }));
      for (const namespace of NAMES) {
        await present(inner.entries).set(namespace, entries, CALL);
      }
      const backend: Backend = {
        ...inner,
        close: async () => {
          this.closes.set(backend, (this.closes.get(backend) ?? 0) + 1);
          await inner.close();
        },
      };
      this.origins.set(backend, name);
      this.closes.set(backend, 0);
      return backend;
    };
    return { name, open };
  }
}

/** The results of calls so far. */
interface Tally {
  answered: number;
  refused: number;
}

/**
 * Makes calls one after the other until `isDone`. Throws at the first call that is lost, refused
 * without reason, or answered by another store.
 */
async function callAtRandom(
  registry: NamespaceRegistry,
  ledger: Ledger,
  random: () => number,
  tally: Tally,
  isDone: () => boolean,
): Promise<void> {
  for (; !isDone(); await turn()) {
    const name = NAMES[Math.floor(random() * NAMES.length)] ?? "";
    const at = registry.namespaces.find((namespace) => namespace.name === name);
    const call = new CallScope(0);
    try {
      const { store: entries } = registry.route("entries", name, call);
      const { store: scans } = registry.route("scans", name, call);
      const origin = ledger.origins.get(present(at).backend);
      await (random() < 0.5 ? turn() : undefined);
      expect(texts(await entries.get(name, ["store"], call))).toEqual([origin]);
      let after: string | undefined;
      const found: (string | undefined)[] = [];
      do {
        const query = { prefix: "p", after, maxEntries: 2, maxBytes: 1e6, keysOnly: false };
        const page = await scans.scanPage(name, query, call);
        found.push(...texts(page.values));
        after = page.next;
        await turn();
      } while (after !== undefined);
      expect(found).toEqual(PAGE_KEYS.map(() => origin));
      tally.answered++;
    } catch (error) {
      // Refused by the registry, or failed.
      if (
        !(error instanceof PrismError) ||
        !["no namespace", "is drained"].some((it) => error.message.includes(it))
      ) {
        throw error;
      }
      expect(error.reason).toBe(at === undefined ? "namespace_not_found" : "store_unavailable");
      tally.refused++;
    } finally {
      call.close();
    }
  }
}

/**
 * Changes namespaces at random, sometimes two or three at once, and compares them with the model
 * after each step.
 */
async function changeAtRandom(
  registry: NamespaceRegistry,
  ledger: Ledger,
  sources: readonly StoreSource[],
  tally: Tally,
  random: () => number,
): Promise<void> {
  /** From name to source. */
  const model = new Map<string, string>();
  const ends: Promise<unknown>[] = [];
  const pick = <T>(items: readonly T[]): T => present(items[Math.floor(random() * items.length)]);

  async function change(): Promise<void> {
    const settings: NamespaceSettings = { name: pick(NAMES), source: pick(sources) };
    const { name, source } = settings;
    const kind = random();
    try {
      if (kind < 0.4) {
        await registry.add([settings]);
        expect(model.has(name)).toBe(false);
        model.set(name, source.name);
      } else if (kind < 0.7) {
        ends.push((await registry.change(settings)).ended);
        expect(model.has(name)).toBe(true);
        model.set(name, source.name);
      } else if (kind < 0.75) {
        // What is there or not may change before it is this one's turn, so the model follows after.
        const settings = NAMES.flatMap((each) =>
          random() < 0.5 ? [{ name: each, source: pick(sources) }] : [],
        );
        ends.push((await registry.replace(NAMES, settings)).ended);
        model.clear();
        for (const each of settings) {
          model.set(each.name, each.source.name);
        }
      } else if (kind < 0.8) {
        // A later change may be done before its wait is over.
        await registry.drain(name, 0);
      } else {
        ends.push((await registry.drop(name)).ended);
        expect(model.delete(name)).toBe(true);
      }
    } catch (error) {
      expect(error).toBeInstanceOf(PrismError);
      const { reason } = error as PrismError;
      if (reason !== "store_unavailable") {
        expect([name, reason]).toEqual([name, model.has(name) ? "invalid_field" : "namespace_not_found"]);
      }
    }
  }

  for (let step = 0; step < STEPS; step++) {
    await Promise.all(Array.from({ length: 1 + Math.floor(random() * 3) }, change));
    const now = registry.namespaces.map(({ name, backend }) => [name, ledger.origins.get(backend)] as const);
    expect(new Map(now)).toEqual(model);
    // Lets this many calls happen between two changes.
    for (
      const { answered, refused } = { ...tally };
      tally.answered + tally.refused < answered + refused + 3;
    ) {
      await turn();
    }
  }
  await Promise.all(ends);
  // No store is closing: the open ones are those in use.
  await expect.poll(() => ledger.open).toBe(new Set(model.values()).size);
}

async function run(configs: readonly BackendConfig[]): Promise<void> {
  const { random, seed } = seeded();
  const registry = new NamespaceRegistry((_, error) => {
    throw error;
  });
  const ledger = new Ledger();
  const sources = configs.map((config, i) => ledger.source(`store-${i}`, config, () => random() < 0.2));
  try {
    let isDone = false;
    const tally: Tally = { answered: 0, refused: 0 };
    const lanes = Array.from({ length: LANES }, () =>
      callAtRandom(registry, ledger, random, tally, () => isDone),
    );
    const changes = changeAtRandom(registry, ledger, sources, tally, random).finally(() => {
      isDone = true;
    });
    // All calls have to end before the stores close.
    await Promise.allSettled([changes, ...lanes]);
    await Promise.all([changes, ...lanes]);
    expect(Math.min(tally.answered, tally.refused)).toBeGreaterThan(STEPS / 10);
    await registry.close();
    expect(ledger.closes.size).toBeGreaterThan(configs.length);
    expect([...ledger.closes.values()].every((count) => count === 1)).toBe(true);
  } catch (error) {
    throw new Error(`PRISM_TEST_SEED=${seed}`, { cause: error });
  }
}

describe("namespaces change under load: no call is lost, each is answered by its store, none is left open", () => {
  test("memory", () => run([{ type: "memory" }, { type: "memory" }, { type: "memory" }]), 60_000);

  test("SQLite", async () => {
    await using folder = await temporaryFolder();
    await run([0, 1, 2].map((i) => ({ type: "sqlite", path: join(folder.path, `${i}.db`) })));
  }, 120_000);

  test.runIf(hasTestRedis())(
    "Redis and memory",
    async () => {
      await using redis = await createTestRedis();
      const configOf = (key_prefix: string) =>
        backendSchema.parse({ type: "redis", url: redis.url, key_prefix });
      const prefix = `registry-${process.pid}`;
      await run([configOf(`${prefix}-1`), { type: "memory" }, configOf(`${prefix}-2`)]);
    },
    120_000,
  );
});
