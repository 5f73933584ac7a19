/**
 * The demo of RFC-026: entries with a time to live, scans, and lists as queue and stack, against
 * the gateway at PRISM_ADDRESS (default localhost:8980). It restores the namespace `default`.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { KeyNotFoundError, PrismClient, PrismError } from "../client/node.ts";

const ADDRESS = process.env.PRISM_ADDRESS ?? "localhost:8980";
const EXPIRY_DEADLINE_MS = 10_000;
const POLL_INTERVAL_MS = 50;

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

async function demoKeyValue(): Promise<void> {
  console.log("=== KeyValue Pattern Demo ===\n");
  await using client = new PrismClient(ADDRESS);
  const { keyvalue } = client;
  await using _kept = await keep(client, ["user:alice", "user:bob", "session:123"]);

  console.log("1. Setting key-value pairs...");
  await keyvalue.set("user:alice", '{"name": "Alice", "age": 30}');
  await keyvalue.set("user:bob", '{"name": "Bob", "age": 25}');
  console.log("   ✓ Set user:alice and user:bob");

  console.log("\n2. Getting value...");
  console.log(`   ✓ user:alice = ${text(await keyvalue.get("user:alice"))}`);

  console.log("\n3. Scanning keys with prefix 'user:'...");
  for await (const [key, value] of keyvalue.scan("user:")) {
    console.log(`   ✓ ${key} = ${text(value)}`);
  }

  console.log("\n4. Setting key with TTL (expires in 1 second)...");
  await keyvalue.set("session:123", "temporary-data", { ttlSeconds: 1 });
  console.log(`   ✓ session:123 exists: ${await keyvalue.exists("session:123")}`);
  console.log("   Waiting for expiration...");
  const deadline = AbortSignal.timeout(EXPIRY_DEADLINE_MS);
  while (await keyvalue.exists("session:123", { signal: deadline })) {
    await sleep(POLL_INTERVAL_MS);
  }
  console.log("   ✓ session:123 exists: false");

  console.log("\n5. Deleting key...");
  const found = await keyvalue.delete("user:bob");
  console.log(`   ✓ Deleted user:bob (found: ${found})`);
}

async function demoList(): Promise<void> {
  console.log("\n\n=== List Pattern Demo ===\n");
  await using client = new PrismClient(ADDRESS);
  const { list } = client;
  // Lists of this run alone, because the loops below empty them.
  const queue = `queue:${randomUUID()}`;
  const stack = `stack:${randomUUID()}`;

  console.log("1. FIFO Queue (push right, pop left)...");
  for (const task of ["task-1", "task-2", "task-3"]) {
    await list.pushRight(queue, task);
  }
  console.log(`   ✓ Queue length: ${await list.length(queue)}`);
  console.log("   Processing queue:");
  for (let task = await list.popLeft(queue); task !== undefined; task = await list.popLeft(queue)) {
    console.log(`   ✓ Processed: ${text(task)}`);
  }

  console.log("\n2. LIFO Stack (push right, pop right)...");
  for (const page of ["page-1", "page-2", "page-3"]) {
    await list.pushRight(stack, page);
  }
  console.log(`   ✓ Stack length: ${await list.length(stack)}`);
  console.log("   Popping stack (most recent first):");
  for (let page = await list.popRight(stack); page !== undefined; page = await list.popRight(stack)) {
    console.log(`   ✓ Popped: ${text(page)}`);
  }
}

/**
 * Remembers the values of some keys. Disposing restores them (without their time to live) and
 * deletes the other keys.
 */
async function keep({ keyvalue }: PrismClient, keys: readonly string[]): Promise<AsyncDisposable> {
  const before = new Map<string, Uint8Array | undefined>();
  for (const key of keys) {
    before.set(key, await keyvalue.get(key).catch(undefinedIfAbsent));
  }
  return {
    async [Symbol.asyncDispose]() {
      for (const [key, value] of before) {
        await (value === undefined ? keyvalue.delete(key) : keyvalue.set(key, value));
      }
    },
  };
}

function undefinedIfAbsent(error: unknown): undefined {
  if (!(error instanceof KeyNotFoundError)) {
    throw error;
  }
}

try {
  await demoKeyValue();
  await demoList();
  console.log("\n✅ POC 1 Demo Complete!");
} catch (error) {
  if (!(error instanceof PrismError)) {
    throw error;
  }
  console.error(
    `\nThe demo failed at ${ADDRESS}: ${error.message}. Is a gateway running? \`make run\` starts one.`,
  );
  process.exitCode = 1;
}
