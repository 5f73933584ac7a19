import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestServer, type TestServer } from "../../../tests/helpers/server.ts";
import { PrismError } from "../../errors.ts";
import { PrismClient } from "../../web.ts";
import { bytesOf } from "./bytes.ts";
import { deleteEntry, leftMs, readEntry, type SeenEntry, saveEntry, ttlToKeep } from "./key-write.ts";

let server: TestServer;
let client: PrismClient;
beforeAll(async () => {
  server = await startTestServer({ logLevel: "info" });
  client = new PrismClient(server.baseUrl);
});
afterAll(async () => {
  await client.close();
  await server[Symbol.asyncDispose]();
});

/** Stores an entry, and reads it as the page does. */
async function stored(key: string, value: string): Promise<SeenEntry> {
  await client.keyvalue.set(key, value);
  const entry = await readEntry(client.keyvalue, key);
  if (entry === undefined) {
    throw new Error("it is not there");
  }
  return entry;
}

const lost = () => Promise.reject(new PrismError("lost", { reason: "unspecified", code: Code.Unavailable }));

test("a save tells what another wrote meanwhile, and overwrites that only when told to", async () => {
  const { keyvalue } = client;
  const base = await stored("conflict", "first");
  await keyvalue.set("conflict", "theirs");
  const outcome = await saveEntry(keyvalue, "conflict", base, bytesOf("mine"), undefined);
  expect(outcome).toMatchObject({ kind: "conflict", theirs: { value: bytesOf("theirs") } });
  const theirs = outcome.kind === "conflict" ? outcome.theirs : undefined;
  expect(await saveEntry(keyvalue, "conflict", theirs, bytesOf("mine"), 60)).toMatchObject({ kind: "done" });
  expect(await readEntry(keyvalue, "conflict")).toMatchObject({ value: bytesOf("mine") });

  await keyvalue.delete("conflict");
  expect(await saveEntry(keyvalue, "conflict", theirs, bytesOf("mine"), undefined)).toEqual({
    kind: "conflict",
    theirs: undefined,
  });
  expect(await saveEntry(keyvalue, "conflict", undefined, bytesOf("mine"), undefined)).toMatchObject({
    kind: "done",
  });
});

test("a new entry is none if one with the same value is there already", async () => {
  const there = await stored("there", "same");
  const outcome = await saveEntry(client.keyvalue, "there", undefined, bytesOf("same"), 60);
  expect(outcome).toMatchObject({ kind: "conflict", theirs: { version: there.version, ttlMs: undefined } });
});

test("a save whose answer is lost is looked for", async () => {
  const base = await stored("lost", "first");
  const { getEntries, compareAndSwap } = client.keyvalue;
  const losesAnswer = {
    getEntries,
    async compareAndSwap(...call: Parameters<typeof compareAndSwap>) {
      await compareAndSwap(...call);
      return lost();
    },
  };
  expect(await saveEntry(losesAnswer, "lost", base, bytesOf("mine"), undefined)).toMatchObject({
    kind: "done",
    entry: { value: bytesOf("mine") },
  });
  const losesCall = { getEntries, compareAndSwap: lost };
  await expect(
    saveEntry(losesCall, "lost", await stored("lost", "x"), bytesOf("y"), undefined),
  ).rejects.toThrow("lost");
  await expect(
    saveEntry({ getEntries: lost, compareAndSwap: lost }, "lost", base, bytesOf("y"), undefined),
  ).rejects.toThrow("lost");
});

test("a delete spares what another wrote meanwhile", async () => {
  const base = await stored("deleted", "first");
  const changed = await stored("deleted", "theirs");
  expect(await deleteEntry(client.keyvalue, "deleted", base)).toMatchObject({
    kind: "conflict",
    theirs: { value: bytesOf("theirs") },
  });
  const done = { kind: "done", entry: undefined };
  expect(await deleteEntry(client.keyvalue, "deleted", changed)).toEqual(done);
  expect(await deleteEntry(client.keyvalue, "deleted", changed)).toEqual(done);
});

test("what is left of an entry is told by the page's clock", () => {
  const entry = { value: bytesOf(""), version: 1, ttlMs: 1500, seenAtMs: 1000 };
  expect([leftMs(entry, 1000), leftMs(entry, 2400), leftMs(entry, 9000)]).toEqual([1500, 100, 0]);
  expect([ttlToKeep(entry, 1000), ttlToKeep(entry, 9000)]).toEqual([2, undefined]);
  expect(ttlToKeep({ ...entry, ttlMs: undefined }, 9000)).toBeUndefined();
});
