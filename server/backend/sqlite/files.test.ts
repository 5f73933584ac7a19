import { chmodSync, mkdirSync, readdirSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { temporaryFolder } from "../../../tests/helpers/process.ts";
import { createSystemClock } from "../clock.ts";
import { present, setTexts } from "../conformance/harness.ts";
import { SILENT, type StoreLog } from "../contract.ts";
import { createSqliteBackend } from "./backend.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let umask = 0;

beforeEach(async () => {
  umask = process.umask(0o022);
  folder = await temporaryFolder();
});
afterEach(async () => {
  process.umask(umask);
  await folder[Symbol.asyncDispose]();
});

function modeOf(path: string): string {
  return (statSync(path).mode & 0o777).toString(8);
}

/** The modes of all files beside the database, while a store is open and was written to. */
async function modesOf(path: string, log: StoreLog = SILENT): Promise<Record<string, string>> {
  const backend = createSqliteBackend({ type: "sqlite", path }, { clock: createSystemClock(), log });
  await backend.open();
  await setTexts(present(backend.entries), { a: "1" });
  const directory = join(path, "..");
  const modes = Object.fromEntries(
    readdirSync(directory).map((name) => [name, modeOf(join(directory, name))]),
  );
  await backend.close();
  return modes;
}

describe("what is stored is nobody else's to read", () => {
  test("folders and files that are made are the user's alone", async () => {
    const directory = join(folder.path, "a", "b");
    expect(await modesOf(join(directory, "prism.db"))).toEqual({
      "prism.db": "600",
      "prism.db-lock": "600",
      "prism.db-reserve": "600",
      "prism.db-shm": "600",
      "prism.db-wal": "600",
    });
    expect([modeOf(directory), modeOf(join(directory, ".."))]).toEqual(["700", "700"]);
  });

  test("an existing folder keeps its mode", async () => {
    const directory = join(folder.path, "shared");
    mkdirSync(directory);
    chmodSync(directory, 0o755);
    await modesOf(join(directory, "prism.db"));
    expect(modeOf(directory)).toBe("755");
  });
});

describe("files and folders that are there already", () => {
  const warnings: object[] = [];
  const log: StoreLog = { ...SILENT, warn: (fields, message) => warnings.push({ ...fields, message }) };
  const message = "other users may read or change what is stored";
  beforeEach(() => {
    warnings.length = 0;
  });

  test("keep their modes; the log says which others may read or change, and how to keep them out", async () => {
    const directory = join(folder.path, "it's shared");
    const path = join(directory, "prism.db");
    await modesOf(path, log);
    expect(warnings).toEqual([]);
    chmodSync(directory, 0o770);
    chmodSync(path, 0o644);
    const modes = await modesOf(path, log);
    expect([modes["prism.db"], modeOf(directory)]).toEqual(["644", "770"]);
    const quoted = directory.replace("'", "'\\''");
    expect(warnings).toContainEqual({ path, mode: "644", run: `chmod go-rwx '${quoted}/prism.db'`, message });
    expect(warnings).toContainEqual({
      path: directory,
      mode: "770",
      run: `chmod go-w '${quoted}'`,
      message,
    });
  });

  test("are nobody else's where others may only see the names, or write into a folder that keeps each one's files his own", async () => {
    for (const mode of [0o755, 0o1777]) {
      const directory = join(folder.path, mode.toString(8));
      mkdirSync(directory);
      chmodSync(directory, mode);
      await modesOf(join(directory, "prism.db"), log);
    }
    expect(warnings).toEqual([]);
  });
});

test("the files of a database behind a symbolic link are where it leads to", async () => {
  const target = join(folder.path, "target");
  mkdirSync(target);
  await modesOf(join(target, "prism.db"));
  symlinkSync(join(target, "prism.db"), join(folder.path, "link.db"));
  await modesOf(join(folder.path, "link.db"));
  expect(readdirSync(folder.path).sort()).toEqual(["link.db", "target"]);
});
