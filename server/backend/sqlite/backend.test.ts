import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Worker } from "node:worker_threads";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { MAX_TTL_SECONDS } from "../../limits.ts";
import { describeBlocking } from "../conformance/blocking.ts";
import {
  ALL_CAPABILITIES,
  answersOf,
  bytes,
  CALL,
  present,
  setTexts,
  texts,
} from "../conformance/harness.ts";
import { createManualClock } from "../conformance/manual-clock.ts";
import { describeBackend } from "../conformance/suite.ts";
import { createBackend } from "../factory.ts";
import { createGuardedBackend } from "../layers/guarded.ts";
import { createSqliteBackend, type SqliteBackend } from "./backend.ts";
import { openReader } from "./database.ts";
import { prepare } from "./query.ts";

function createDirectory(): string {
  return mkdtempSync(join(tmpdir(), "prism-sqlite-"));
}

/** Empties the tables without the store, like another process. */
function clear(path: string): void {
  const db = new DatabaseSync(path, { timeout: 5000 });
  db.exec(
    "PRAGMA synchronous = OFF; BEGIN; DELETE FROM entry; DELETE FROM list; DELETE FROM list_item; DELETE FROM record_item; DELETE FROM stream; DELETE FROM event_chunk; COMMIT",
  );
  db.close();
}

describeBackend({
  name: "sqlite",
  capabilities: ALL_CAPABILITIES,
  durable: true,
  atomic: "namespace",
  movesClock: true,
  maxTtlMs: MAX_TTL_SECONDS * 1000,
  async create() {
    const directory = createDirectory();
    const clock = createManualClock();
    const path = join(directory, "missing", "prism.db");
    return {
      backend: createGuardedBackend(createSqliteBackend({ type: "sqlite", path }, { clock })),
      advance: clock.advance,
      clear: () => clear(path),
      dispose: async () => rmSync(directory, { recursive: true }),
    };
  },
});

describeBlocking("sqlite", async () => {
  const directory = createDirectory();
  const backend = await createBackend({ type: "sqlite", path: join(directory, "prism.db") });
  await backend.open();
  return {
    backends: [backend],
    async [Symbol.asyncDispose]() {
      await backend.close();
      rmSync(directory, { recursive: true });
    },
  };
});

describe("sqlite", () => {
  const clock = createManualClock();
  let directory = "";
  let path = "";
  let opened: SqliteBackend[] = [];

  beforeEach(() => {
    directory = createDirectory();
    path = join(directory, "prism.db");
  });
  afterEach(async () => {
    await Promise.all(opened.map((backend) => backend.close()));
    opened = [];
    rmSync(directory, { recursive: true });
  });

  async function open(maxBytes?: number): Promise<SqliteBackend> {
    const limit = maxBytes === undefined ? {} : { max_bytes: maxBytes };
    const backend = createSqliteBackend({ type: "sqlite", path, ...limit }, { clock });
    await backend.open();
    opened.push(backend);
    return backend;
  }

  /** Reads one number from the file without the store. */
  function readNumber(sql: string): number {
    const db = openReader(path);
    try {
      return prepare<[number]>(db, sql).get()?.[0] ?? Number.NaN;
    } finally {
      db.close();
    }
  }

  test("a sweep deletes expired items of records, with their large values", async () => {
    const backend = await open();
    const item = { value: new Uint8Array(10_000), metadata: new Uint8Array(0) };
    const items = ["a", "b", "c"].map((key) => ({ ...item, key: bytes(key), ttlMs: key === "c" ? 0 : 10 }));
    await present(backend.records).putItems("default", [{ id: "r", items }], CALL);
    clock.advance(10);
    // The store's own timer may have swept some of them already.
    expect(await backend.sweep()).toBeLessThanOrEqual(2);
    expect(readNumber("SELECT count(*) FROM record_item")).toBe(1);
    expect(readNumber("SELECT count(*) FROM large_value")).toBe(1);
  });

  test("a sweep deletes expired entries, and nothing else", async () => {
    const backend = await open();
    const entries = present(backend.entries);
    const expiring = Array.from({ length: 1300 }, (_, i) => [`k${i}`, "1"]);
    await setTexts(entries, Object.fromEntries(expiring), { ttlMs: 1000 });
    await setTexts(entries, { later: "1" }, { ttlMs: 1001 });
    await setTexts(entries, { never: "1", k0: "again" });
    expect(await backend.sweep()).toBe(0);
    clock.advance(1000);
    expect(await backend.sweep()).toBeLessThanOrEqual(1299);
    expect(readNumber("SELECT count(*) FROM entry")).toBe(3);
    expect(texts(await entries.get("default", ["k0", "k1", "later", "never"], CALL))).toEqual([
      "again",
      undefined,
      "1",
      "1",
    ]);
  });

  test("emptied lists leave nothing in the file", async () => {
    const { lists } = await open();
    const pushes = Array.from({ length: 50 }, (_, i) => ({
      key: `list ${i % 7}`,
      end: "left" as const,
      value: bytes("1"),
    }));
    await lists?.push("default", pushes, CALL);
    await lists?.pop("default", pushes, CALL);
    expect(readNumber("SELECT (SELECT count(*) FROM list) + (SELECT count(*) FROM list_item)")).toBe(0);
  });

  test("a second store on one file is refused, by whatever path it comes, until the first is closed", async () => {
    const first = await open();
    const link = join(directory, "link.db");
    symlinkSync(path, link);
    for (const other of [path, link]) {
      const second = createSqliteBackend({ type: "sqlite", path: other }, { clock });
      await expect(second.open()).rejects.toMatchObject({
        reason: "store_unavailable",
        message: `${other} is in use by another Prism: stop that one or choose another path`,
      });
    }
    await setTexts(present(first.entries), { a: "1" });
    await first.close();
    opened = [];
    expect(texts(await present((await open()).entries).get("default", ["a"], CALL))).toEqual(["1"]);
  });

  test("close copies the log into the database and removes it", async () => {
    const backend = await open();
    await setTexts(present(backend.entries), { a: "1" });
    await backend.close();
    opened = [];
    expect(rmSync(path) ?? "removed").toBe("removed");
    expect(() => rmSync(`${path}-wal`)).toThrow("ENOENT");
  });

  test("a call of which some commits were answered and others failed is in doubt", async () => {
    const commits = present((await open()).commits);
    const key = "a";
    const set = { key, do: "set" as const, value: bytes("1"), ttlMs: 0 };
    const large = { key, is: "value" as const, value: new Uint8Array(4 * 1024 * 1024) };
    // More bytes than may wait for the writer.
    const call = Array.from({ length: 20 }, () => ({ checks: [large], mutations: [set], tells: false }));
    const first = { checks: [], mutations: [set], tells: false };
    await expect(commits.commit("default", [first, ...call], CALL)).rejects.toMatchObject({
      reason: "outcome_unknown",
      cause: { reason: "overloaded" },
    });
    const read = { keys: [key], values: false, maxBytes: 0 };
    expect(await commits.read("default", [read], CALL)).toMatchObject([[{ ttlMs: 0 }]]);
  });

  describe("when the writer's thread dies", () => {
    test("waiting calls learn what became of them, later ones are refused, and it can be opened again", async () => {
      const started = new Promise<Worker>((resolve) => process.once("worker", resolve));
      const backend = await open();
      const entries = present(backend.entries);
      await setTexts(entries, { a: "1" });
      // So much that the thread is still busy when it ends.
      const many = Array.from({ length: 50_000 }, (_, i) => [`k${i}`, ""]);
      const sent = setTexts(entries, { ...Object.fromEntries(many), a: "2" });
      await new Promise((resolve) => setImmediate(resolve));
      const notSent = setTexts(entries, { a: "3" });
      const results = Promise.allSettled([sent, notSent]);
      await (await started).terminate();
      expect((await results).map((result) => result.status === "rejected" && result.reason.reason)).toEqual([
        "outcome_unknown",
        "store_unavailable",
      ]);
      await expect(setTexts(entries, { a: "4" })).rejects.toMatchObject({ reason: "store_unavailable" });
      await expect(backend.check()).rejects.toMatchObject({ reason: "store_unavailable" });
      expect(["1", "2"]).toContain(texts(await entries.get("default", ["a"], CALL))[0]);
      await backend.close();
      await backend.open();
      await setTexts(entries, { a: "5" });
      expect(texts(await entries.get("default", ["a"], CALL))).toEqual(["5"]);
    });
  });

  describe("with max_bytes", () => {
    const MAX_BYTES = 512 * 1024;
    const value = new Uint8Array(10_000).fill(7);

    /** Writes until the store refuses. Answers the acknowledged keys. */
    async function fill(backend: SqliteBackend): Promise<string[]> {
      const written: string[] = [];
      for (;;) {
        const key = `k${written.length}`;
        try {
          await answersOf(present(backend.entries).set("default", [{ key, value, ttlMs: 0 }], CALL));
        } catch (error) {
          expect(error).toMatchObject({ reason: "store_full", message: "the store has no room left" });
          return written;
        }
        written.push(key);
      }
    }

    test("a full store reads, deletes, and writes again; nothing that was acknowledged is lost", async () => {
      const backend = await open(MAX_BYTES);
      const entries = present(backend.entries);
      const written = await fill(backend);
      expect(written.length).toBeGreaterThan(30);
      expect(readNumber("PRAGMA page_count") * readNumber("PRAGMA page_size")).toBeLessThanOrEqual(MAX_BYTES);
      expect(await entries.get("default", written, CALL)).toEqual(written.map(() => value));
      expect(await backend.scans?.count("default", "", CALL)).toBe(written.length);
      await backend.check();

      const removed = written.slice(0, 10);
      expect(await entries.delete("default", removed, CALL)).toEqual(removed.map(() => true));
      for (const key of removed) {
        await answersOf(entries.set("default", [{ key, value, ttlMs: 0 }], CALL));
      }
      expect(await entries.get("default", written, CALL)).toEqual(written.map(() => value));
    });

    test("a batch that does not fit has no effect, and fails alone among the calls of its group", async () => {
      const backend = await open(MAX_BYTES);
      const entries = present(backend.entries);
      const tooMuch = Array.from({ length: 100 }, (_, i) => ({ key: `big ${i}`, value, ttlMs: 0 }));
      const [first, big, last] = await Promise.allSettled([
        setTexts(entries, { first: "1" }),
        entries.set("default", tooMuch, CALL),
        setTexts(entries, { last: "1" }),
      ]);
      expect([first.status, last.status]).toEqual(["fulfilled", "fulfilled"]);
      const refused = { reason: "store_full", message: "the store has no room left" };
      expect(big).toMatchObject({ status: "fulfilled", value: tooMuch.map(() => refused) });
      expect(await backend.scans?.count("default", "", CALL)).toBe(2);
    });

    test("an append that does not fit has no effect, and fails alone among the calls of its group", async () => {
      const backend = await open(MAX_BYTES);
      const streams = present(backend.streams);
      const event = { timestampMs: 1, payload: value, tags: {} };
      const append = (stream: string, count: number) => {
        const events = Array.from({ length: count }, () => event);
        return streams.appendEvents(
          "default",
          [{ stream, events, retentionMs: 0, refusesExpired: false }],
          CALL,
        );
      };
      const refused = { reason: "store_full", message: "the store has no room left" };
      const small = { offset: 0, expired: 0 };
      expect(
        await Promise.all([append("a", 1), append("big", 100), append("b", 1), append("b", 1)]),
      ).toMatchObject([[small], [refused], [small], [{ ...small, offset: 1 }]]);
      const described = await streams.describeStream("default", ["a", "big", "b"], CALL);
      expect(described).toMatchObject([{ nextOffset: 1 }, undefined, { nextOffset: 2 }]);
      expect(readNumber("SELECT count(*) FROM event_chunk")).toBe(3);
    });

    test("events that expire, and streams that are deleted, make room by themselves", async () => {
      const backend = await open(MAX_BYTES);
      const streams = present(backend.streams);
      for (let round = 0; round < 6; round++) {
        const stream = `${round}`;
        const events = Array.from({ length: 15 }, () => ({ timestampMs: 0, payload: value, tags: {} }));
        const retentionMs = round % 2 === 0 ? 1000 : 0;
        await answersOf(
          streams.appendEvents("default", [{ stream, events, retentionMs, refusesExpired: false }], CALL),
        );
        if (round % 2 === 0) {
          clock.advance(1000);
        } else {
          await streams.deleteStream("default", [stream], CALL);
        }
        await backend.sweep();
      }
      expect(readNumber("SELECT count(*) FROM event_chunk")).toBe(0);
      expect(readNumber("SELECT count(*) FROM stream")).toBe(3);
    });

    test("what expires makes room by itself", async () => {
      const backend = await open(MAX_BYTES);
      const entries = present(backend.entries);
      for (let round = 0; round < 5; round++) {
        for (let i = 0; i < 30; i++) {
          await answersOf(entries.set("default", [{ key: `${round} ${i}`, value, ttlMs: 1000 }], CALL));
        }
        clock.advance(1000);
        await backend.sweep();
      }
      expect(readNumber("PRAGMA page_count") * readNumber("PRAGMA page_size")).toBeLessThanOrEqual(MAX_BYTES);
    });
  });
});
