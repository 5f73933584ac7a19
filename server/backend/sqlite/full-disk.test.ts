import { execFileSync } from "node:child_process";
import { copyFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { canMountSmallDisk, mountSmallDisk, unmountSmallDisk } from "../../../tests/helpers/small-disk.ts";
import { until } from "../../../tests/helpers/until.ts";
import { ReadOnlyError } from "../../errors.ts";
import { createSystemClock } from "../clock.ts";
import type { Check, Mutation } from "../commit.ts";
import { answersOf, bytes, CALL, present, setTexts, texts } from "../conformance/harness.ts";
import { isRefusal } from "../contract.ts";
import { eraseAll } from "../erase-all.ts";
import { createSqliteBackend, type SqliteBackend } from "./backend.ts";

describe.runIf(canMountSmallDisk("backend.test.ts tests max_bytes only."))("a full disk", () => {
  let mountPoint = "";
  let path = "";
  let ballast = "";
  let rest = "";
  const value = new Uint8Array(20_000).fill(7);
  let backend: SqliteBackend;

  beforeEach(async () => {
    mountPoint = mountSmallDisk();
    path = join(mountPoint, "prism.db");
    ballast = join(mountPoint, "ballast");
    rest = join(mountPoint, "rest");
    writeFileSync(ballast, new Uint8Array(1024 * 1024));
    backend = createBackend(path);
    await backend.open();
  });
  afterEach(async () => {
    await backend.close();
    unmountSmallDisk(mountPoint);
  });

  function createBackend(file: string): SqliteBackend {
    return createSqliteBackend({ type: "sqlite", path: file }, { clock: createSystemClock() });
  }

  /** Writes until the store refuses. Answers the acknowledged keys. */
  async function fill(prefix: string): Promise<string[]> {
    const written: string[] = [];
    for (;;) {
      const key = `${prefix}${written.length}`;
      try {
        await answersOf(present(backend.entries).set("default", [{ key, value, ttlMs: 0 }], CALL));
      } catch (error) {
        expect(error).toMatchObject({ reason: "store_full", message: "the store has no room left" });
        return written;
      }
      written.push(key);
    }
  }

  /** Takes all room, as another program might. */
  function fillUp(): void {
    try {
      writeFileSync(rest, new Uint8Array(4 * 1024 * 1024));
    } catch {
      // It is full now.
    }
  }

  async function expectReadOnly(): Promise<void> {
    await expect(backend.check()).rejects.toBeInstanceOf(ReadOnlyError);
  }

  async function expectAll(written: readonly string[]): Promise<void> {
    expect(await present(backend.entries).get("default", written, CALL)).toEqual(written.map(() => value));
    expect(await backend.scans?.count("default", "", CALL)).toBe(written.length);
  }

  test("refuses writes, answers reads, and writes again when there is room; nothing acknowledged is lost", async () => {
    const written = await fill("a");
    expect(written.length).toBeGreaterThan(10);
    await expectReadOnly();
    await expectAll(written);
    rmSync(ballast);
    // Nobody writes meanwhile.
    await until("it takes writes again", () => backend.check().then(() => true));
    const more = await fill("b");
    expect(more.length).toBeGreaterThan(10);
    await expectAll([...written, ...more]);
  });

  test("takes the removal of all data of a namespace", async () => {
    await fill("a");
    await expectReadOnly();
    await eraseAll(present(backend.erase), "default", CALL);
    await expectAll([]);
    expect((await fill("b")).length).toBeGreaterThan(10);
  });

  test("takes deletes, each of which makes room for as much, again and again", async () => {
    const entries = present(backend.entries);
    const written = await fill("a");
    for (let round = 0; round < 20; round++) {
      const key = written[round % written.length] ?? "";
      expect(await entries.delete("default", [key], CALL)).toEqual([true]);
      await answersOf(entries.set("default", [{ key, value, ttlMs: 0 }], CALL));
    }
    await backend.check();
    expect(await fill("more")).toHaveLength(0);
    await expectReadOnly();
    expect(await entries.delete("default", written, CALL)).toEqual(written.map(() => true));
    const others = await fill("b");
    expect(others.length).toBeGreaterThan(10);
    await expectAll(others);
  });

  test("takes commits that need no room; one that writes nothing does not say that there is some", async () => {
    const entries = present(backend.entries);
    const commits = present(backend.commits);
    const commit = (checks: readonly Check[], mutations: readonly Mutation[]) =>
      answersOf(commits.commit("default", [{ checks, mutations, tells: false }], CALL));
    const [first = "", second = "", ...rest] = await fill("a");
    await expectReadOnly();
    const set = (key: string): Mutation => ({ key, do: "set", value, ttlMs: 0 });
    await expect(commit([], [set("new")])).rejects.toMatchObject({ reason: "store_full" });
    expect(await commit([{ key: first, is: "absent" }], [set(first)])).toMatchObject([{ committed: false }]);
    expect(await commit([], [{ key: first, do: "delete" }])).toMatchObject([{ committed: true }]);
    await expectReadOnly();
    expect(await commit([{ key: second, is: "value", value }], [set("new")])).toMatchObject([
      { committed: true },
    ]);
    await backend.check();
    expect(await entries.get("default", [first, "new", ...rest], CALL)).toEqual([
      undefined,
      value,
      ...rest.map(() => value),
    ]);
  });

  test("that other programs filled takes the deletion of a stream, which makes room by itself", async () => {
    const streams = present(backend.streams);
    const event = { timestampMs: 0, payload: new Uint8Array(3000), tags: {} };
    const append = (stream: string) => {
      const one = { stream, events: [event], retentionMs: 0, refusesExpired: false };
      return streams.appendEvents("default", [one], CALL);
    };
    let refused = false;
    for (let events = 0; !refused; events++) {
      const [answer] = await append("a");
      refused = isRefusal(answer);
      expect(events).toBeLessThan(2000);
    }
    rmSync(ballast);
    fillUp();
    await expectReadOnly();
    expect(await streams.deleteStream("default", ["a"], CALL)).toEqual([true]);
    expect(await streams.describeStream("default", ["a"], CALL)).toEqual([undefined]);
    await until("there is room", async () => {
      await backend.sweep();
      return !isRefusal((await append("b"))[0]);
    });
    expect(await backend.sweep()).toBe(0);
  });

  test("that other programs filled takes deletes too, also after a restart", async () => {
    const entries = present(backend.entries);
    const written = await fill("a");
    rmSync(ballast);
    fillUp();
    expect(await entries.delete("default", written.splice(0, 1), CALL)).toEqual([true]);
    await backend.close();
    await backend.open();
    fillUp();
    await expectReadOnly();
    expect(await entries.delete("default", written.splice(0, 1), CALL)).toEqual([true]);
    await expectAll(written);
  });

  test("does not keep a store from being opened: it is read, and takes deletes", async () => {
    const entries = present(backend.entries);
    await setTexts(entries, { a: "1", b: "2" });
    await backend.close();
    fillUp();
    await backend.open();
    await expectReadOnly();
    expect(texts(await entries.get("default", ["a", "b"], CALL))).toEqual(["1", "2"]);
    expect(await entries.delete("default", ["a"], CALL)).toEqual([true]);
    await expect(
      answersOf(entries.set("default", [{ key: "new", value: new Uint8Array(1_000_000), ttlMs: 0 }], CALL)),
    ).rejects.toMatchObject({ reason: "store_full" });
  });

  test.each([
    ["after it was closed", () => backend.close()],
    [
      "after the power failed",
      async () => {
        // The content of the disk at this moment.
        for (const file of [path, `${path}-wal`]) {
          copyFileSync(file, `${file}.copy`);
        }
        await backend.close();
        for (const file of [path, `${path}-wal`]) {
          renameSync(`${file}.copy`, file);
        }
      },
    ],
  ])(
    "nor where nothing is kept back, %s: it is read, and writes again when there is room",
    async (_, end) => {
      const entries = present(backend.entries);
      await setTexts(entries, { a: "1", b: "2" });
      await end();
      rmSync(`${path}-reserve`);
      fillUp();
      await backend.open();
      await expectReadOnly();
      expect(texts(await entries.get("default", ["a", "b"], CALL))).toEqual(["1", "2"]);
      expect(await backend.scans?.count("default", "", CALL)).toBe(2);
      const read = { keys: ["a", "c"], values: true, maxBytes: 10 };
      const found = { value: bytes("1"), version: expect.any(Number), ttlMs: 0 };
      expect(await backend.commits?.read("default", [read], CALL)).toEqual([[found, undefined]]);
      await expect(setTexts(entries, { c: "3" })).rejects.toMatchObject({
        reason: "store_full",
        message: "the store has no room left",
      });
      await backend.close();
      await backend.open();
      rmSync(rest);
      await until("it takes writes again", () => backend.check().then(() => true));
      await setTexts(entries, { c: "3" });
      expect(texts(await entries.get("default", ["a", "b", "c"], CALL))).toEqual(["1", "2", "3"]);
    },
  );

  test("a new store on it reports what is wrong", async () => {
    fillUp();
    const other = join(mountPoint, "other.db");
    await expect(createBackend(other).open()).rejects.toMatchObject({
      reason: "store_full",
      message: `${other} cannot be opened, because the disk is full: free some space`,
    });
  });

  test("a disk that cannot be written at all", async () => {
    await backend.close();
    execFileSync("mount", ["-o", "remount,ro", mountPoint]);
    for (const file of [path, join(mountPoint, "new.db")]) {
      await expect(createBackend(file).open()).rejects.toMatchObject({
        reason: "store_unavailable",
        message: `${file} cannot be opened: check that its directory is one that this process may write to`,
      });
    }
    execFileSync("mount", ["-o", "remount,rw", mountPoint]);
    await backend.open();
  });
});
