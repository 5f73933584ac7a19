import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { any, CLIENTS } from "../tests/helpers/clients.ts";
import { startTestServer, type TestServer } from "../tests/helpers/server.ts";
import type { PrismClient } from "./client.ts";
import { type Codec, json } from "./codec.ts";

interface User {
  readonly name: string;
  readonly age?: number;
}

describe.each(CLIENTS)("the $kind client", ({ connect }) => {
  let server: TestServer;
  let client: PrismClient;

  beforeAll(async () => {
    server = await startTestServer();
    client = connect(server);
  });

  afterAll(async () => {
    await client.close();
    await server.stop();
  });

  test("stores values of a type as JSON, in every call that has values", async () => {
    const users = client.keyvalue.as(json<User>());
    await users.set("user:1", { name: "älice" }, { ttlSeconds: 60 });
    expect(new TextDecoder().decode(await client.keyvalue.get("user:1"))).toBe('{"name":"älice"}');
    expect(await client.keyvalue.ttl("user:1")).toBeGreaterThan(0);
    await users.setMany([["user:2", { name: "bob", age: 5 }]]);
    const user: User = await users.get("user:1");
    expect(user).toEqual({ name: "älice" });
    expect(await users.find("user:2")).toEqual({ name: "bob", age: 5 });
    expect(await users.find("none")).toBeUndefined();
    expect(await users.getMany(["user:2", "none"])).toEqual([{ name: "bob", age: 5 }, undefined]);
    expect(await Array.fromAsync(users.scan("user:", { limit: 1 }))).toEqual([["user:1", { name: "älice" }]]);
    await expect(users.get("none")).rejects.toMatchObject({ reason: "key_not_found" });
  });

  test("checks what it reads with a schema, which may change it", async () => {
    const schema = z.object({ name: z.string(), at: z.string().transform(Number) });
    const typed = client.keyvalue.as(json(schema));
    await client.keyvalue.set("checked", '{"name":"alice","at":"5"}');
    const value: { name: string; at: number } = await typed.get("checked");
    expect(value).toEqual({ name: "alice", at: 5 });
    await client.keyvalue.set("checked", '{"name":"alice","at":{}}');
    await expect(typed.get("checked")).rejects.toMatchObject({
      name: "PrismError",
      reason: "corrupt_data",
      message: expect.stringMatching(/^the stored value does not fit: at: .*string/),
    });
    const later = json(z.string().refine(async (text) => text === "good"));
    await client.keyvalue.set("checked", '"good"');
    expect(await client.keyvalue.as(later).find("checked")).toBe("good");
    await client.keyvalue.set("checked", '"bad"');
    await expect(client.keyvalue.as(later).find("checked")).rejects.toMatchObject({
      reason: "corrupt_data",
    });
  });

  test("has codecs of one's own", async () => {
    const date: Codec<Date> = {
      encode: (value) => value.toISOString(),
      decode: (bytes) => new Date(new TextDecoder().decode(bytes)),
    };
    const dates = client.keyvalue.as(date);
    await dates.set("date", new Date(0));
    expect(await dates.get("date")).toEqual(new Date(0));
  });
});

test.each([undefined, () => {}, 5n])("%s has no JSON form", (value) => {
  expect(() => json().encode(any(value))).toThrow(/^value has no JSON form/);
});

test.each(["", "{", "\xff"])("%j is no JSON", (text) => {
  const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
  expect(() => json().decode(bytes)).toThrow(/^the stored value does not fit: it is no JSON/);
});
