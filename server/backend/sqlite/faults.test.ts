import { execFileSync } from "node:child_process";
import { renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { isThere } from "../../../tests/helpers/is-there.ts";
import { spawnServer, temporaryFolder } from "../../../tests/helpers/process.ts";
import { startTestServer } from "../../../tests/helpers/server.ts";
import { until } from "../../../tests/helpers/until.ts";
import { ReadOnlyError } from "../../errors.ts";
import { createSystemClock } from "../clock.ts";
import { CALL, present, setTexts, texts } from "../conformance/harness.ts";
import type { StoreLog } from "../contract.ts";
import { createSqliteBackend, type SqliteBackend } from "./backend.ts";
import { FILES_GONE } from "./errors.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let path = "";
let opened: SqliteBackend[] = [];
let lines: { readonly level: string; readonly fields: object; readonly message: string }[] = [];

beforeEach(async () => {
  folder = await temporaryFolder();
  path = join(folder.path, "prism.db");
});
afterEach(async () => {
  await Promise.all(opened.map((backend) => backend.close()));
  opened = [];
  lines = [];
  await folder[Symbol.asyncDispose]();
});

const tell = (level: string) => (fields: object, message: string) => lines.push({ level, fields, message });
const log: StoreLog = { info: tell("info"), warn: tell("warn"), error: tell("error") };

async function open(): Promise<SqliteBackend> {
  const backend = createSqliteBackend({ type: "sqlite", path }, { clock: createSystemClock(), log });
  await backend.open();
  opened.push(backend);
  return backend;
}

describe("a file that goes while it is open", () => {
  test.each([
    ["deleted", () => rmSync(path)],
    ["moved", () => renameSync(path, `${path}.moved`)],
    [
      "replaced",
      () => {
        writeFileSync(`${path}.new`, "");
        renameSync(`${path}.new`, path);
      },
    ],
    ["without its log", () => rmSync(`${path}-wal`)],
    ["without its index of the log", () => rmSync(`${path}-shm`)],
  ])("%s: all calls fail, and health says so", async (_, harm) => {
    const backend = await open();
    const entries = present(backend.entries);
    await setTexts(entries, { a: "1" });
    harm();
    const gone = { reason: "store_unavailable", message: FILES_GONE };
    await until("it is noticed", () =>
      backend.check().then(
        () => false,
        (error) => error.message === FILES_GONE && !(error instanceof ReadOnlyError),
      ),
    );
    await expect(setTexts(entries, { b: "1" })).rejects.toMatchObject(gone);
    await expect(entries.get("default", ["a"], CALL)).rejects.toMatchObject(gone);
    await expect(backend.scans?.count("default", "", CALL)).rejects.toMatchObject(gone);
    await expect(backend.lists?.length("default", ["a"], CALL)).rejects.toMatchObject(gone);
    expect(lines.filter(({ level }) => level === "error")).toEqual([
      { level: "error", fields: { path }, message: FILES_GONE },
    ]);
  });

  test("is not replaced by an empty one at the next start without a word", async () => {
    const backend = await open();
    await setTexts(present(backend.entries), { a: "1" });
    renameSync(path, `${path}.moved`);
    await backend.close();
    opened = [];
    await expect(open()).rejects.toMatchObject({
      reason: "store_unavailable",
      message:
        `${path} is missing, but its log ${path}-wal is there: the database was deleted or moved. ` +
        "Put it back, or remove the log too, to begin with an empty one",
    });
    renameSync(`${path}.moved`, path);
    const again = await open();
    expect(texts(await present(again.entries).get("default", ["a"], CALL))).toEqual(["1"]);
  });

  test("is reported by GET /health", async () => {
    await using server = await startTestServer({
      adjust: (config) => ({ ...config, backends: { database: { type: "sqlite", path } } }),
    });
    const health = async () => {
      const response = await fetch(`${server.adminUrl}/health`);
      return [response.status, await response.json()];
    };
    const answer = (status: string) => ({
      status,
      namespaces: { default: { backend: "sqlite", status } },
    });
    expect(await health()).toEqual([200, answer("serving")]);
    rmSync(path);
    await until("health says so", async () => (await health())[0] === 503);
    expect(await health()).toEqual([503, answer("not_serving")]);
  });
});

describe("a new database", () => {
  test.each([
    ["there was none", () => {}],
    ["an empty file was there", () => writeFileSync(path, "", { mode: 0o600 })],
  ])("is told: %s", async (was, prepare) => {
    prepare();
    const backend = await open();
    const made = { level: "info", fields: { path }, message: `made a new database: ${was}` };
    expect(lines).toEqual([made]);
    await backend.close();
    await backend.open();
    expect(lines).toEqual([made]);
  });
});

/**
 * Limits how large a file this process may write, in bytes. Beyond that each write fails, as on a
 * broken disk.
 */
function limitFiles(bytes: number | "unlimited"): void {
  execFileSync("prlimit", ["--pid", String(process.pid), `--fsize=${bytes}:`]);
}

function canLimitFiles(): boolean {
  try {
    limitFiles("unlimited");
    return true;
  } catch {
    return false;
  }
}

test.runIf(isThere("prlimit", canLimitFiles(), "It is in util-linux."))(
  "a disk that fails each write is told by calls and health; reads are answered; it is noticed when it works again",
  async () => {
    const backend = await open();
    const entries = present(backend.entries);
    await setTexts(entries, { a: "1" });
    limitFiles(4096);
    try {
      const write = await setTexts(entries, { b: "1" }).then(
        () => "done",
        ({ reason }) => reason,
      );
      expect(["store_unavailable", "outcome_unknown"]).toContain(write);
      await expect(backend.check()).rejects.toBeInstanceOf(ReadOnlyError);
      expect(texts(await entries.get("default", ["a"], CALL))).toEqual(["1"]);
    } finally {
      limitFiles("unlimited");
    }
    await until("it takes writes again", () => backend.check().then(() => true));
    await setTexts(entries, { b: "2" });
    expect(texts(await entries.get("default", ["a", "b"], CALL))).toEqual(["1", "2"]);
  },
);

describe("another process", () => {
  test("that holds a lock is named to calls, to the log, and by health, until it lets go", async () => {
    const backend = await open();
    const entries = present(backend.entries);
    await setTexts(entries, { a: "1" });
    lines = [];
    using other = new DatabaseSync(path);
    other.exec("BEGIN EXCLUSIVE");
    await expect(setTexts(entries, { b: "1" })).rejects.toMatchObject({
      reason: "store_unavailable",
      message: "the store's file is locked by another process",
    });
    await expect(backend.check()).rejects.toBeInstanceOf(ReadOnlyError);
    expect(texts(await entries.get("default", ["a"], CALL))).toEqual(["1"]);
    await until("the log says so", () => lines.length > 0);
    expect(lines).toEqual([
      {
        level: "warn",
        fields: {
          path,
          err: expect.objectContaining({ message: "the store's file is locked by another process" }),
        },
        message: "store takes no writes",
      },
    ]);
    other.exec("ROLLBACK");
    await until("it takes writes again", () => backend.check().then(() => true));
    await setTexts(entries, { b: "1" });
    await until("the log says so", () => lines.at(-1)?.message === "store takes writes again");
  });

  test("that is a Prism keeps a second one out until it ends, however it does", async () => {
    {
      await using first = await spawnServer(["--data-dir", folder.path]);
      await expect(spawnServer(["--data-dir", folder.path])).rejects.toThrow(
        `${path} is in use by another Prism: stop that one or choose another path`,
      );
      using reader = new DatabaseSync(path, { readOnly: true });
      expect(reader.prepare("SELECT count(*) AS entries FROM entry").get()).toEqual({ entries: 0 });
      first.child.kill("SIGKILL");
      await first.exited;
    }
    await using second = await spawnServer(["--data-dir", folder.path]);
    expect(second.address).not.toBe("");
  }, 60_000);
});
