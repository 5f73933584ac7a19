/** RFC-026's integration tests (task 5.1), written once for every client. */
import { expect, test } from "vitest";

/** Any client, in the RFC's terms. */
export interface IntegrationClient {
  set(key: string, value: Buffer, ttlSeconds?: number): Promise<void>;
  /** `undefined` = the call failed with NOT_FOUND. */
  get(key: string): Promise<Buffer | undefined>;
  /** Answers whether the key was there. */
  delete(key: string): Promise<boolean>;
  exists(key: string): Promise<boolean>;
  scan(prefix: string): Promise<(readonly [string, Buffer])[]>;
  count(prefix: string): Promise<number>;
  /** Answers the list's new length. */
  push(end: ListEnd, listKey: string, value: Buffer): Promise<number>;
  /** `undefined` = the list was empty. */
  pop(end: ListEnd, listKey: string): Promise<Buffer | undefined>;
  length(listKey: string): Promise<number>;
}

/** The left end is the head. */
export type ListEnd = "Left" | "Right";

/** Registers the tests. `sleep` lets time pass on the server. */
export function testIntegration(client: () => IntegrationClient, sleep: (ms: number) => void): void {
  const bytes = (text: string) => Buffer.from(text);

  test("set_get", async () => {
    await client().set("test-key", bytes("test-value"));
    expect(await client().get("test-key")).toEqual(bytes("test-value"));
    const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    await client().set("schlüssel/\u{1f511}", all);
    expect(await client().get("schlüssel/\u{1f511}")).toEqual(all);
    await client().set("empty", bytes(""));
    expect(await client().get("empty")).toEqual(bytes(""));
  });

  test("delete", async () => {
    await client().set("delete-me", bytes("data"));
    expect(await client().delete("delete-me")).toBe(true);
    expect(await client().get("delete-me")).toBeUndefined();
    expect(await client().delete("delete-me")).toBe(false);
  });

  test("ttl", async () => {
    await client().set("expires", bytes("soon"), 1);
    expect(await client().exists("expires")).toBe(true);
    sleep(1500);
    expect(await client().exists("expires")).toBe(false);
  });

  test("scan", async () => {
    await client().set("user:2", bytes("bob"));
    await client().set("user:1", bytes("alice"));
    await client().set("post:1", bytes("hello"));
    expect(await client().scan("user:")).toEqual([
      ["user:1", bytes("alice")],
      ["user:2", bytes("bob")],
    ]);
    expect(await client().scan("nobody:")).toEqual([]);
    expect(await client().count("user:")).toBe(2);
  });

  test("list_fifo", async () => {
    expect(await client().push("Right", "queue", bytes("first"))).toBe(1);
    await client().push("Right", "queue", bytes("second"));
    await client().push("Right", "queue", bytes("third"));
    expect(await client().length("queue")).toBe(3);
    expect(await client().pop("Left", "queue")).toEqual(bytes("first"));
    expect(await client().pop("Left", "queue")).toEqual(bytes("second"));
    expect(await client().pop("Left", "queue")).toEqual(bytes("third"));
    expect(await client().pop("Left", "queue")).toBeUndefined();
  });

  test("list_stack", async () => {
    await client().push("Right", "stack", bytes("second"));
    await client().push("Right", "stack", bytes("third"));
    expect(await client().push("Left", "stack", bytes("first"))).toBe(3);
    expect(await client().pop("Right", "stack")).toEqual(bytes("third"));
    expect(await client().pop("Right", "stack")).toEqual(bytes("second"));
    expect(await client().pop("Right", "stack")).toEqual(bytes("first"));
    expect(await client().pop("Right", "stack")).toBeUndefined();
  });
}

/** A clock that only `pass` moves. */
export function createTestClock(): { now(): number; pass(ms: number): void } {
  let now = Date.now();
  return {
    now: () => now,
    pass(ms) {
      now += ms;
    },
  };
}
