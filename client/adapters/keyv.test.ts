import keyvTestSuite, { keyvIteratorTests } from "@keyv/test-suite";
import Keyv from "keyv";
import Keyv6 from "keyv-6";
import * as vitest from "vitest";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startTestServer, type TestServer } from "../../tests/helpers/server.ts";
import { waitFor } from "../../tests/helpers/until.ts";
import { PrismClient } from "../node.ts";
import { createKeyvStore } from "./keyv.ts";

let server: TestServer;
let client: PrismClient;

beforeAll(async () => {
  server = await startTestServer({ logLevel: "info" });
  client = new PrismClient(server.address);
});

afterAll(async () => {
  await client.close();
  await server.stop();
});

const createStore = () => createKeyvStore(client);

describe("the suite that Keyv publishes", () => {
  keyvTestSuite(vitest, Keyv, createStore);
  keyvIteratorTests(vitest, Keyv, createStore);
});

/** What both versions have. */
interface AnyKeyv {
  set(key: string, value: unknown, ttl?: number): Promise<boolean>;
  setMany(entries: { key: string; value: unknown; ttl?: number }[]): Promise<boolean[]>;
  get(key: string): Promise<unknown>;
  getMany(keys: string[]): Promise<unknown[]>;
  has(key: string): Promise<boolean>;
  hasMany(keys: string[]): Promise<boolean[]>;
  delete(key: string): Promise<boolean>;
  clear(): Promise<void>;
  iterator?(argument: unknown): AsyncGenerator<unknown, void>;
  on(event: string, listener: (error: unknown) => void): unknown;
  disconnect(): Promise<void>;
}

/** A Keyv takes an absent namespace for its default, and no `undefined`. */
const optionsOf = (namespace?: string) => ({
  store: createStore(),
  ...(namespace !== undefined && { namespace }),
});

describe.each([
  { version: 5, create: (namespace?: string): AnyKeyv => new Keyv(optionsOf(namespace)) },
  { version: 6, create: (namespace?: string): AnyKeyv => new Keyv6(optionsOf(namespace)) },
])("Keyv $version", ({ create }) => {
  test("keeps values of any kind apart by namespace, also without one, and clears its own", async () => {
    const [one, other, unnamed] = [create("one"), create("other"), create()];
    await client.keyvalue.set("bystander", "stays");
    for (const keyv of [one, other, unnamed]) {
      await keyv.clear();
      await keyv.set("key", { bytes: Buffer.from([0, 255]), text: "\ufeffä\0", none: null });
      expect(await keyv.setMany([{ key: "a", value: 1 }])).toEqual([true]);
      expect(
        await keyv.setMany([
          { key: "b", value: 2 },
          { key: "a", value: 3 },
        ]),
      ).toEqual([true, true]);
    }
    await other.clear();
    expect(await other.hasMany(["key", "a"])).toEqual([false, false]);
    for (const keyv of [one, unnamed]) {
      expect(await keyv.get("key")).toEqual({ bytes: Buffer.from([0, 255]), text: "\ufeffä\0", none: null });
      expect(await keyv.getMany(["b", "absent", "a"])).toEqual([2, undefined, 3]);
      expect(await keyv.hasMany(["key", "absent"])).toEqual([true, false]);
      expect(await keyv.has("absent")).toBe(false);
      const entries = await Array.fromAsync(keyv.iterator?.(undefined) ?? []);
      expect(entries).toMatchObject([
        ["a", 3],
        ["b", 2],
        ["key", { text: "\ufeffä\0" }],
      ]);
      expect([await keyv.delete("a"), await keyv.delete("a")]).toEqual([true, false]);
      await keyv.clear();
    }
    expect(await client.keyvalue.exists("bystander")).toBe(true);
  });

  test("goes past an entry in time, and gives the gateway its times to live", async () => {
    const keyv = create("brief");
    await keyv.clear();
    await keyv.set("gone", "value", 1);
    await keyv.set("one", "value", 600_000);
    await keyv.setMany([
      { key: "two", value: "value", ttl: 600_000 },
      { key: "ever", value: "value" },
    ]);
    await waitFor(async () => expect(await keyv.get("gone")).toBeUndefined());
    const lives = new Map<string, boolean>();
    for await (const key of client.keyvalue.scanKeys("brief:")) {
      const ttlMs = (await client.keyvalue.ttl(key)) ?? 0;
      lives.set(key.slice(key.lastIndexOf(":") + 1), ttlMs > 0 && ttlMs <= 600_000);
    }
    expect(Object.fromEntries(lives)).toEqual({ ever: false, one: true, two: true });
  });

  test("tells why a call failed, and leaves the client open", async () => {
    const keyv = create("errors");
    const errors: unknown[] = [];
    keyv.on("error", (error: unknown) => errors.push(error));
    expect(await keyv.set("k".repeat(1100), "value")).toBe(false);
    expect(errors).toEqual([
      expect.objectContaining({ reason: "invalid_field", message: expect.stringContaining("1024") }),
    ]);
    await keyv.disconnect();
    expect(await client.keyvalue.exists("errors")).toBe(false);
  });
});

test("the store refuses what is no text, in both directions", async () => {
  const store = createStore();
  await expect(store.set("key", { value: 1 })).rejects.toMatchObject({
    reason: "invalid_field",
    message: expect.stringContaining("let Keyv serialize"),
  });
  await client.keyvalue.set("keyv:bytes", new Uint8Array([0xff]));
  const misfit = { reason: "corrupt_data", message: expect.stringContaining('"keyv:bytes"') };
  await expect(store.get("bytes")).rejects.toMatchObject(misfit);
  await expect(store.getMany(["bytes"])).rejects.toMatchObject(misfit);
  await expect(Array.fromAsync(store.iterator())).rejects.toMatchObject(misfit);
  await client.keyvalue.delete("keyv:bytes");
});

test("times to live are rounded up to whole seconds, and of two entries with a key the last stays", async () => {
  await using still = await startTestServer({ clock: { now: () => 0 } });
  await using stillClient = new PrismClient(still.address);
  const store = createKeyvStore(stillClient);
  await store.set("gone", "value", -5);
  await store.set("one", "value", 10_001);
  await store.setMany([
    { key: "two", value: "value", ttl: 20_001 },
    { key: "ever", value: "value" },
    { key: "two", value: "last", ttl: 30_000 },
    { key: "ever", value: "last" },
  ]);
  const keys = ["gone", "one", "two", "ever"];
  const left = await Promise.all(keys.map((key) => stillClient.keyvalue.ttl(`keyv:${key}`)));
  expect(left).toEqual([1000, 11_000, 30_000, undefined]);
  expect(await store.getMany(keys)).toEqual(["value", "value", "last", "last"]);
});

test("entries live in the namespace of the gateway that the store is given", async () => {
  const store = createKeyvStore(client.namespace("nowhere"));
  await expect(store.get("key")).rejects.toMatchObject({ reason: "namespace_not_found" });
});
