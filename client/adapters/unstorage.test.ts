import {
  createStorage,
  type Driver,
  restoreSnapshot,
  type Storage,
  type StorageValue,
  snapshot,
} from "unstorage";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { any } from "../../tests/helpers/clients.ts";
import { startTestServer, type TestServer } from "../../tests/helpers/server.ts";
import { PrismClient } from "../node.ts";
import { createStorageDriver } from "./unstorage.ts";

// What unstorage's documentation says of drivers, by its own storage. Its suite for drivers is in
// no package.
describe("unstorage", () => {
  let server: TestServer;
  let client: PrismClient;
  let driver: Driver;
  let storage: Storage;

  beforeAll(async () => {
    // Its time stands still, so that what is left of a time to live is exact.
    server = await startTestServer({ logLevel: "info", clock: { now: () => 0 } });
    client = new PrismClient(server.address);
    driver = createStorageDriver(client, { base: "app" });
    storage = createStorage({ driver });
    await client.keyvalue.set("application", "of another program");
  });

  afterEach(() => storage.clear());

  afterAll(async () => {
    await storage.dispose();
    // The driver leaves the client open.
    expect(await Array.fromAsync(client.keyvalue.scanKeys())).toEqual(["application"]);
    await client.close();
    await server.stop();
  });

  test("is empty at first", async () => {
    expect(await storage.hasItem("group:item")).toBe(false);
    expect(await storage.getItem("group:item")).toBeNull();
    expect(await storage.getItemRaw("group:item")).toBeNull();
    expect(await storage.getKeys()).toEqual([]);
    await storage.removeItem("group:item");
    await storage.clear();
  });

  test.each([
    ["text", "some text"],
    ["text that begins with a byte order mark", "\ufeffä\u{1f600}"],
    ["zero", 0],
    ["false", false],
    ["null", null],
    ["an object", { deep: { list: [1, "two", null] } }],
  ])("keeps %s", async (_, value) => {
    await storage.setItem("group/item.json?query=1", value);
    expect(await storage.hasItem("group:item.json")).toBe(true);
    expect(await storage.getItem("group:item.json?query=2")).toEqual(value);
  });

  test("keeps what an object makes of itself, and refuses what has no text", async () => {
    await storage.setItem("date", { toJSON: () => "its text" });
    expect(await storage.getItem("date")).toBe("its text");
    class Thing {}
    await expect(storage.setItem("thing", new Thing())).rejects.toThrow("Cannot stringify");
  });

  test("keeps bytes as they are, also beside text", async () => {
    const bytes = new Uint8Array([0, 1, 0xfe, 0xff]);
    await storage.setItemRaw("picture.bin", bytes);
    await storage.setItem("text", "ä");
    expect(await storage.getItemRaw("picture.bin")).toEqual(bytes);
    expect(await storage.getItem("picture.bin")).toEqual(bytes);
    expect(await storage.getItemRaw("text")).toEqual(new Uint8Array([0xc3, 0xa4]));
    expect(await client.keyvalue.get("app:picture.bin")).toEqual(bytes);
    await expect(storage.setItemRaw("object", { no: "bytes" })).rejects.toMatchObject({
      reason: "invalid_field",
    });
  });

  test("sets and gets many items at once", async () => {
    await storage.setItems<StorageValue>([
      { key: "many:1", value: "one" },
      { key: "many/2", value: { two: 2 } },
      { key: "many:3", value: "three", options: { ttl: 7 } },
    ]);
    expect(await storage.getItems(["many:1", { key: "many:2?query" }, "many:absent", "many:3"])).toEqual([
      { key: "many:1", value: "one" },
      { key: "many:2", value: { two: 2 } },
      { key: "many:absent", value: null },
      { key: "many:3", value: "three" },
    ]);
    expect(await storage.getMeta("many:3")).toEqual({ ttl: 7 });
    expect(await storage.getMeta("many:1")).toEqual({});
  });

  test("names keys below a base, to a depth, and clears below a base", async () => {
    await restoreSnapshot(storage, { top: 1, "a:b": 2, "a:c:d": 3, "ab:c": 4 });
    expect(await storage.getKeys()).toEqual(["a:b", "a:c:d", "ab:c", "top"]);
    expect(await storage.getKeys("a")).toEqual(["a:b", "a:c:d"]);
    expect(await storage.getKeys(undefined, { maxDepth: 0 })).toEqual(["top"]);
    expect(await storage.getKeys(undefined, { maxDepth: 1 })).toEqual(["a:b", "ab:c", "top"]);
    // unstorage itself clears whole mounts only.
    await driver.clear?.("a:", {});
    expect(await snapshot(storage, "")).toEqual({ top: 1, "ab:c": 4 });
  });

  test("removes an item, with what was noted of it", async () => {
    await storage.setItem("item", "value");
    await storage.setMeta("item", { owner: "alice" });
    expect(await storage.getMeta("item")).toEqual({ owner: "alice" });
    await storage.removeItem("item", { removeMeta: true });
    expect(await storage.getKeys()).toEqual([]);
    expect(await driver.getMeta?.("item", {})).toBeNull();
  });

  test("forgets an item after its time to live, or that of the driver", async () => {
    const brief = createStorage({ driver: createStorageDriver(client, { base: "app:brief:", ttl: 30 }) });
    await brief.setItem("default", "value");
    await brief.setItem("own", "value", { ttl: 60 });
    await brief.setItemRaw("ever", "value", { ttl: 0 });
    const left = await Promise.all(["default", "own", "ever"].map((key) => brief.getMeta(key)));
    expect(left).toEqual([{ ttl: 30 }, { ttl: 60 }, {}]);
    await expect(brief.setItem("wrong", "value", { ttl: 0.5 })).rejects.toThrow(/^ttlSeconds must be/);
    expect(await storage.getKeys()).toEqual(["brief:default", "brief:ever", "brief:own"]);
  });

  test("is mounted beside others, and unmounted", async () => {
    const whole = createStorage();
    whole.mount("remote", createStorageDriver(client, { base: "app:mounted" }));
    await whole.setItem("remote:a", 1);
    await whole.setItem("local", 2);
    expect((await whole.getKeys()).sort()).toEqual(["local", "remote:a"]);
    expect(await whole.getKeys("remote")).toEqual(["remote:a"]);
    await whole.unmount("remote");
    expect(await whole.getKeys()).toEqual(["local"]);
    expect(await storage.getItem("mounted:a")).toBe(1);
  });

  test("tells why a call failed", async () => {
    await expect(storage.setItem("k".repeat(1100), "value")).rejects.toMatchObject({
      reason: "invalid_field",
      message: expect.stringContaining("1024"),
    });
    const nowhere = createStorage({ driver: createStorageDriver(client.namespace("nowhere")) });
    await expect(nowhere.getMeta("item")).rejects.toMatchObject({ reason: "namespace_not_found" });
  });

  test.each([
    [{ base: "" }, /^base must not be empty/],
    [{ base: 5 }, /^base must be a string/],
    [{ prefix: "app" }, /^there is no option prefix/],
  ])("refuses the options %j", (options, message) => {
    expect(() => createStorageDriver(client, any(options))).toThrow(message);
  });
});
