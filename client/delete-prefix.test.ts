import { describe, expect, test } from "vitest";
import { any, CLIENTS } from "../tests/helpers/clients.ts";
import { startTestServer } from "../tests/helpers/server.ts";

describe.each(CLIENTS)("the $kind client deletes by prefix", ({ connect }) => {
  const COUNT = 2500;

  test("what begins so and nothing else, tells how far it is, and goes on after a failure", async () => {
    await using server = await startTestServer({ logLevel: "info" });
    await using client = connect(server);
    const entries = Array.from({ length: COUNT }, (_, i): [string, string] => [`a:${i}`, "value"]);
    await client.keyvalue.setMany([...entries, ["b", ""], ["a", ""]]);

    const leave = new AbortController();
    const stopped = client.keyvalue.deletePrefix("a:", {
      signal: leave.signal,
      onProgress: () => leave.abort(),
    });
    await expect(stopped).rejects.toMatchObject({ reason: "canceled" });
    expect(await client.keyvalue.count("a:")).toBe(COUNT - 1000);

    const steps: number[] = [];
    const deleted = await client.keyvalue.deletePrefix("a:", {
      timeoutMs: 60_000,
      onProgress: (sofar) => steps.push(sofar),
    });
    expect([deleted, steps]).toEqual([1500, [1000, 1500]]);
    expect(await Array.fromAsync(client.keyvalue.scanKeys())).toEqual(["a", "b"]);
    expect(await client.keyvalue.deletePrefix("a:")).toBe(0);
  });

  test("but not everything by an oversight", async () => {
    await using server = await startTestServer();
    await using client = connect(server);
    await client.keyvalue.set("key", "value");
    for (const prefix of ["", undefined, 5]) {
      await expect(client.keyvalue.deletePrefix(any(prefix))).rejects.toMatchObject({
        reason: "invalid_field",
        message: expect.stringMatching(/^prefix must/),
      });
    }
    await expect(client.keyvalue.deletePrefix("k", any({ onProgress: 5 }))).rejects.toThrow(/^onProgress /);
    await expect(client.keyvalue.deletePrefix("k", any({ limit: 5 }))).rejects.toThrow(/no option limit/);
    await expect(client.keyvalue.deletePrefix("k", { namespace: "nowhere" })).rejects.toMatchObject({
      reason: "namespace_not_found",
    });
    expect(await client.keyvalue.exists("key")).toBe(true);
  });
});
