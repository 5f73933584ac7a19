import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestServer, type TestServer } from "../../../tests/helpers/server.ts";
import { PrismError } from "../../errors.ts";
import { PrismClient, type RecordItem } from "../../web.ts";
import { bytesOf } from "./bytes.ts";
import { formatTime } from "./format.ts";
import {
  deleteItem,
  expiryOfItem,
  hexOf,
  ITEMS_PAGE,
  itemPages,
  keyInAddress,
  keyText,
  preparationOf,
  putItemBack,
  readItem,
  saveItem,
} from "./record-items.ts";

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

const KEY = bytesOf("k");
const NEVER = new AbortController().signal;

/** Stores an item, and reads it as the page does. */
async function stored(id: string, value: string): Promise<RecordItem> {
  await client.records.put(id, [{ key: KEY, value, ttlSeconds: 60, compression: "gzip" }]);
  const item = await readItem(client.records, id, KEY);
  if (item === undefined) {
    throw new Error("it is not there");
  }
  return item;
}

test.each([
  [0, [0]],
  [ITEMS_PAGE, [ITEMS_PAGE]],
  [ITEMS_PAGE + 1, [ITEMS_PAGE, 1]],
])("%i items come in pages of %j", async (count, sizes) => {
  const id = `pages-${count}`;
  if (count > 0) {
    await client.records.put(
      id,
      Array.from({ length: count }, (_, i) => ({ key: `k${i}`, value: "v" })),
    );
  }
  const pages = await Array.fromAsync(itemPages(client.records, id, NEVER));
  expect(pages.map(({ length }) => length)).toEqual(sizes);
});

test("a save tells what another wrote meanwhile, and overwrites that only when told to", async () => {
  const { records } = client;
  const base = await stored("conflict", "first");
  await stored("conflict", "theirs");
  const theirs = { value: bytesOf("theirs") };
  const save = (over: typeof theirs | undefined) => saveItem(records, "conflict", KEY, over, bytesOf("mine"));
  expect(await save(base)).toEqual({ kind: "conflict", theirs });
  expect(await save(theirs)).toEqual({ kind: "done", entry: { value: bytesOf("mine") } });
  expect(await save(base)).toMatchObject({ kind: "done" });
  expect(await save(undefined)).toMatchObject({ kind: "conflict" });
  expect(await readItem(records, "conflict", KEY)).toMatchObject({ ttlSeconds: 60, compression: "gzip" });
  await records.delete("conflict");
  expect(await save(theirs)).toEqual({ kind: "conflict", theirs: undefined });
  expect(await save(undefined)).toMatchObject({ kind: "done" });
});

test("a save whose answer is lost is looked for", async () => {
  const { records } = client;
  const base = await stored("lost", "first");
  const lost = () =>
    Promise.reject(new PrismError("lost", { reason: "unspecified", code: Code.Unavailable }));
  const losesCall = { get: records.get, compareAndSwap: lost };
  await expect(saveItem(losesCall, "lost", KEY, base, bytesOf("mine"))).rejects.toThrow("lost");
  const losesAnswer = {
    get: records.get,
    async compareAndSwap(...call: Parameters<typeof records.compareAndSwap>) {
      await records.compareAndSwap(...call);
      return lost();
    },
  };
  expect(await saveItem(losesAnswer, "lost", KEY, base, bytesOf("mine"))).toMatchObject({ kind: "done" });
});

test("a delete spares what was not seen, and is taken back with all that was kept", async () => {
  const { records } = client;
  const base = await stored("deleted", "first");
  const changed = await stored("deleted", "theirs");
  expect(await deleteItem(records, "deleted", base)).toMatchObject({ kind: "conflict", theirs: changed });
  expect(await deleteItem(records, "deleted", changed)).toEqual({ kind: "done", entry: undefined });
  expect(await deleteItem(records, "deleted", changed)).toEqual({ kind: "done", entry: undefined });
  expect(await putItemBack(records, "deleted", changed)).toMatchObject({ kind: "done" });
  expect(await readItem(records, "deleted", KEY)).toMatchObject({ ttlSeconds: 60, compression: "gzip" });
  expect(await putItemBack(records, "deleted", changed)).toMatchObject({ kind: "conflict" });
});

test("a key is one line, and an address has it as digits", () => {
  expect(keyText(bytesOf("a\u202Eb"))).toBe("a\\u202eb");
  const binary = Uint8Array.from({ length: 20 }, (_, i) => 255 - i);
  expect(keyText(binary)).toBe(`0x${hexOf(binary)}`);
  expect(keyInAddress(hexOf(binary))).toEqual(binary);
  expect([undefined, "", "0", "zz"].map(keyInAddress)).toEqual([undefined, undefined, undefined, undefined]);
});

test("what is kept with an item is told in words", () => {
  expect(expiryOfItem({ ttlSeconds: undefined, updatedAtMs: 5 })).toBe("never expires");
  expect(expiryOfItem({ ttlSeconds: 60, updatedAtMs: 5000 })).toBe(
    `expires ${formatTime(65_000)}, 1 min after its last write`,
  );
  expect(preparationOf({})).toEqual([]);
  expect(
    preparationOf({
      compression: "zstd",
      encryption: { algorithm: "AES-256", keyId: "k1" },
      chunking: { totalChunks: 3 },
    }),
  ).toEqual(["compressed with zstd", "encrypted with AES-256, key k1", "one of 3 chunks"]);
});
