import type { Interceptor } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { any } from "../tests/helpers/clients.ts";
import { startTestServer } from "../tests/helpers/server.ts";
import { PrismClient } from "./node.ts";
import { PrismClient as WebClient } from "./web.ts";

test.each([
  { kind: "node", Client: PrismClient },
  { kind: "web", Client: WebClient },
])("a $kind client that gathers gets makes one call of a turn's", async ({ Client }) => {
  await using server = await startTestServer();
  const calls: string[] = [];
  const counting: Interceptor = (next) => (request) => {
    if (/^(Batch)?Get$/.test(request.method.name)) {
      calls.push(request.method.name);
    }
    return next(request);
  };
  await using client = new Client(server.baseUrl, { gatherGets: true, interceptors: [counting] });
  const { keyvalue } = client;
  await keyvalue.setMany([
    ["a", "1"],
    ["b", "2"],
  ]);
  // Two are more than one answer may have.
  const size = 3 * 1024 * 1024;
  await keyvalue.set("large", new Uint8Array(size));
  await keyvalue.set("larger", new Uint8Array(size));
  const text = (bytes: Uint8Array | undefined) => bytes && new TextDecoder().decode(bytes);

  const later = Promise.resolve().then(() => keyvalue.get("b"));
  const gets = [keyvalue.get("a"), keyvalue.find("b"), keyvalue.find("none"), later];
  expect((await Promise.all(gets)).map(text)).toEqual(["1", "2", undefined, "2"]);
  expect(calls).toEqual(["BatchGet"]);

  const missing = Promise.allSettled([keyvalue.get("none"), keyvalue.get("a")]);
  expect(await missing).toMatchObject([
    { status: "rejected", reason: { name: "KeyNotFoundError", key: "none", namespace: "default" } },
    { status: "fulfilled" },
  ]);
  expect(text(await keyvalue.get("a"))).toBe("1");
  expect(text(await keyvalue.get("b", { timeoutMs: 60_000 }))).toBe("2");
  expect(calls).toEqual(["BatchGet", "BatchGet", "Get", "Get"]);

  // What one of them asks does not concern the others.
  const mixed = await Promise.allSettled([keyvalue.get(""), keyvalue.get("a"), keyvalue.get(any(5))]);
  expect(mixed).toMatchObject([
    { status: "rejected", reason: { reason: "invalid_field" } },
    { status: "fulfilled" },
    { status: "rejected", reason: { reason: "invalid_field" } },
  ]);
  const large = await Promise.all([keyvalue.get("large"), keyvalue.get("larger")]);
  expect(large.map(({ length }) => length)).toEqual([size, size]);
});
