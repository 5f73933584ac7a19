import { execFileSync } from "node:child_process";
import { mkdtempSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createSystemClock } from "../clock.ts";
import { CALL, present, setTexts, texts } from "../conformance/harness.ts";
import { createSqliteBackend, type SqliteBackend } from "./backend.ts";

/** A file system of its own, 4 MiB large. */
function mount(): string {
  const mountPoint = mkdtempSync(join(tmpdir(), "prism-full-disk-"));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", mountPoint], { stdio: "ignore" });
  } catch (error) {
    rmdirSync(mountPoint);
    throw error;
  }
  return mountPoint;
}

function unmount(mountPoint: string): void {
  execFileSync("umount", [mountPoint]);
  rmdirSync(mountPoint);
}

function canMount(): boolean {
  try {
    unmount(mount());
    return true;
  } catch {
    console.warn(
      "A REAL FULL DISK IS NOT TESTED HERE: mounting a tmpfs takes root on Linux. backend.test.ts tests max_bytes only.",
    );
    return false;
  }
}

describe.runIf(canMount())("a full disk", () => {
  let mountPoint = "";
  let path = "";
  let ballast = "";
  const value = new Uint8Array(20_000).fill(7);
  let backend: SqliteBackend;

  beforeAll(async () => {
    mountPoint = mount();
    path = join(mountPoint, "prism.db");
    ballast = join(mountPoint, "ballast");
    writeFileSync(ballast, new Uint8Array(1024 * 1024));
    backend = createSqliteBackend({ type: "sqlite", path }, { clock: createSystemClock() });
    await backend.open();
  });
  afterAll(async () => {
    await backend.close();
    unmount(mountPoint);
  });

  /** Writes until the store refuses; answers the keys that it acknowledged. */
  async function fill(prefix: string): Promise<string[]> {
    const written: string[] = [];
    for (;;) {
      const key = `${prefix}${written.length}`;
      try {
        await backend.entries?.set("default", [{ key, value, ttlMs: 0 }], CALL);
      } catch (error) {
        expect(error).toMatchObject({ reason: "store_full", message: "the store has no room left" });
        return written;
      }
      written.push(key);
    }
  }

  test("refuses writes, answers reads, and writes again when there is room; nothing acknowledged is lost", async () => {
    const entries = present(backend.entries);
    const written = await fill("a");
    expect(written.length).toBeGreaterThan(10);
    await backend.check();
    expect(await entries.get("default", written, CALL)).toEqual(written.map(() => value));
    expect(await backend.scans?.count("default", "", CALL)).toBe(written.length);

    rmSync(ballast);
    await setTexts(entries, { again: "1" });
    written.push(...(await fill("b")));
    expect(await entries.get("default", written, CALL)).toEqual(written.map(() => value));
  });

  test("does not keep a store from being closed, nor what it holds from being read afterwards", async () => {
    const entries = present(backend.entries);
    const before = await backend.scans?.count("default", "", CALL);
    await backend.close();
    await backend.open();
    expect(await backend.scans?.count("default", "", CALL)).toBe(before);
    expect(texts(await entries.get("default", ["again"], CALL))).toEqual(["1"]);
  });

  test("a new store on it says what is wrong", async () => {
    writeFileSync(join(mountPoint, "rest"), new Uint8Array(0));
    try {
      writeFileSync(join(mountPoint, "rest"), new Uint8Array(4 * 1024 * 1024));
    } catch {
      // It is full now.
    }
    const other = createSqliteBackend(
      { type: "sqlite", path: join(mountPoint, "other.db") },
      { clock: createSystemClock() },
    );
    await expect(other.open()).rejects.toMatchObject({
      reason: "store_full",
      message: `${join(mountPoint, "other.db")} cannot be opened, because the disk is full: free some space`,
    });
    rmSync(join(mountPoint, "rest"));
  });

  test("a disk that cannot be written at all", async () => {
    await backend.close();
    execFileSync("mount", ["-o", "remount,ro", mountPoint]);
    const newFile = createSqliteBackend(
      { type: "sqlite", path: join(mountPoint, "new.db") },
      { clock: createSystemClock() },
    );
    await expect(newFile.open()).rejects.toMatchObject({
      reason: "store_unavailable",
      message: `${join(mountPoint, "new.db")} cannot be opened: check that its directory is one that this process may write to`,
    });
    await expect(backend.open()).rejects.toMatchObject({
      reason: "store_unavailable",
      message: `${path} cannot be written: give this process the permission to write the file and its directory`,
    });
    execFileSync("mount", ["-o", "remount,rw", mountPoint]);
    await backend.open();
  });
});
