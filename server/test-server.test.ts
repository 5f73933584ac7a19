import { setTimeout as pause } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { PrismClient } from "../client/node.ts";
import { PrismClient as WebClient } from "../client/web.ts";
import { startTestServer } from "./test-server.ts";

describe("a gateway for tests", () => {
  test("serves both clients; another one beside it has its own data", async () => {
    await using first = await startTestServer();
    await using second = await startTestServer();
    await using client = new PrismClient(first.address);
    await using web = new WebClient(first.baseUrl);
    await using other = new PrismClient(second.address);
    await client.keyvalue.set("key", "value");
    expect(Buffer.from(await web.keyvalue.get("key")).toString()).toBe("value");
    expect(await other.keyvalue.find("key")).toBeUndefined();
  });

  test("is configured as by a file, and writes its log where it is told", async () => {
    const lines: string[] = [];
    const config = {
      namespaces: [{ name: "orders", ttl: { forbidden: true } }],
      logging: { level: "debug" },
    };
    await using server = await startTestServer({ config, log: (line) => lines.push(line) });
    await using client = new PrismClient(server.address, { namespace: "orders" });
    await expect(client.keyvalue.set("1", "paid", { ttlSeconds: 1 })).rejects.toThrow("time to live");
    await client.keyvalue.set("1", "paid");
    expect(lines.map((line) => JSON.parse(line))).toContainEqual(expect.objectContaining({ level: "debug" }));
  });

  test("names what is wrong in its configuration", async () => {
    const config = { namespaces: [{ nam: "orders" }] };
    await expect(startTestServer({ config })).rejects.toThrow(/^config:1:\d+: namespaces\[0\]\.nam/);
  });

  test("ends at once when it is closed, whatever waits for something", async () => {
    const server = await startTestServer();
    await using client = new PrismClient(server.address, { retries: 0, timeoutMs: 0 });
    const waits = client.list.blockingPopLeft("queue", { waitMs: 0 }).catch((error: unknown) => error);
    // Until the gateway has the call.
    await client.keyvalue.count();
    await Promise.all([server.close(), server.close()]);
    expect(await Promise.race([waits, pause(30_000, "still waits", { ref: false })])).not.toBe("still waits");
    await expect(client.keyvalue.count()).rejects.toThrow(server.address);
  });
});
