import { execFileSync } from "node:child_process";
import {
  closeSync,
  constants,
  existsSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { temporaryFolder } from "../tests/helpers/process.ts";
import { canMountSmallDisk, mountSmallDisk, unmountSmallDisk } from "../tests/helpers/small-disk.ts";
import { waitFor } from "../tests/helpers/until.ts";
import { AuditFile } from "./audit-file.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let path = "";

beforeEach(async () => {
  folder = await temporaryFolder();
  path = join(folder.path, "audit.log");
});
afterEach(() => folder[Symbol.asyncDispose]());

/** An open file, and what it tells of failures. */
async function openFile(at = path) {
  const failures: unknown[] = [];
  const lost: number[] = [];
  const file = new AuditFile(at, {
    failed: (error) => failures.push(Reflect.get(Object(error), "code")),
    lost: (lines) => lost.push(lines),
  });
  await file.open();
  return { file, failures, lost };
}

const read = (at = path) => readFileSync(at, "utf8");

test("lines are appended in order, and only their owner reads them", async () => {
  writeFileSync(path, "old\n", { mode: 0o600 });
  const { file } = await openFile();
  for (let i = 0; i < 1000; i++) {
    file.write(`${i}\n`);
  }
  await file.close();
  expect(read()).toBe(`old\n${Array.from({ length: 1000 }, (_, i) => `${i}\n`).join("")}`);

  const other = join(folder.path, "new.log");
  const made = await openFile(other);
  await made.file.close();
  expect(statSync(other).mode & 0o777).toBe(0o600);
});

test("a folder that is not there is an error at once", async () => {
  await expect(openFile(join(folder.path, "none", "audit.log"))).rejects.toMatchObject({ code: "ENOENT" });
});

test.each(["moved away", "deleted"])("a file that was %s: the next line begins a new one", async (what) => {
  const { file, failures } = await openFile();
  file.write("one\n");
  await waitFor(() => expect(read()).toBe("one\n"));
  if (what === "deleted") {
    rmSync(path);
  } else {
    renameSync(path, `${path}.1`);
  }
  file.write("two\n");
  await file.close();
  expect(read()).toBe("two\n");
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(failures).toEqual([]);
});

test("reopening makes the new file without a line, and follows what is at the path now", async () => {
  const { file } = await openFile();
  file.write("one\n");
  await waitFor(() => expect(read()).toBe("one\n"));
  renameSync(path, `${path}.1`);
  file.reopen();
  await waitFor(() => expect(read()).toBe(""));
  file.write("two\n");
  await file.close();
  expect(read()).toBe("two\n");
  expect(read(`${path}.1`)).toBe("one\n");
});

test("what comes while it writes is not forgotten: lines, and that it was moved", async () => {
  const { file } = await openFile();
  for (let round = 0; round < 200; round++) {
    const moved = `${path}.${round}`;
    file.write(`${round}\n`);
    // Spread over the turns in which it writes and ends.
    for (let turn = 0; turn < round % 20; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    renameSync(path, moved);
    file.reopen();
    await waitFor(() => expect(existsSync(path)).toBe(true), 1);
  }
  await file.close();
  const written = Array.from({ length: 200 }, (_, round) => read(`${path}.${round}`)).join("") + read();
  expect(written.split("\n").slice(0, -1)).toEqual(Array.from({ length: 200 }, (_, round) => String(round)));
});

test.runIf(existsSync("/dev/full"))(
  "what cannot be written is counted, and writing goes on when it can",
  async () => {
    const full = join(folder.path, "full");
    symlinkSync("/dev/full", full);
    const { file, failures, lost } = await openFile(full);
    for (const line of ["a\n", "b\n", "c\n"]) {
      file.write(line);
      await waitFor(() => expect(failures.splice(0)).toEqual(["ENOSPC"]));
    }
    expect(lost).toEqual([]);
    rmSync(full);
    file.write("d\n");
    await waitFor(() => expect(lost).toEqual([3]));
    file.write("e\n");
    await file.close();
    expect(read(full)).toBe("d\ne\n");
    expect(lost).toEqual([3]);
  },
);

test("what waits is bounded, and what is more is counted", async () => {
  const { file, lost } = await openFile();
  const line = `${"x".repeat(9_999)}\n`;
  // All in one turn, so nothing can be written meanwhile.
  for (let i = 0; i < 300; i++) {
    file.write(line);
  }
  await waitFor(() => expect(lost).toHaveLength(1));
  await file.close();
  const written = read().length / line.length;
  expect(written).toBeLessThan(150);
  expect(written + (lost[0] ?? 0)).toBe(300);
});

test("the end does not wait for a disk that hangs, and tells what is lost", async () => {
  // Whoever writes to a full pipe waits until somebody reads it.
  execFileSync("mkfifo", [path]);
  const reader = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  const { file, failures, lost } = await openFile();
  const line = `${"x".repeat(500_000)}\n`;
  file.write(line);
  const buffer = Buffer.alloc(64 * 1024);
  // Fails while there is nothing to read.
  let bytes = await waitFor(() => readSync(reader, buffer));
  file.write("waits\n");
  await file.close(1);
  expect([failures, lost]).toEqual([["ETIMEDOUT"], [2]]);
  // Else the process would wait at its end.
  await waitFor(() => {
    bytes += readSync(reader, buffer);
    expect(bytes).toBe(line.length + "waits\n".length);
  }, 1);
  closeSync(reader);
});

test("what is lost at the end is told", async () => {
  const { file, failures, lost } = await openFile();
  rmSync(folder.path, { recursive: true });
  file.write("a\n");
  await file.close();
  expect([failures, lost]).toEqual([["ENOENT"], [1]]);
});

describe.runIf(canMountSmallDisk("/dev/full stands for it."))("a full disk", () => {
  let disk = "";
  beforeEach(() => {
    disk = mountSmallDisk("64k");
  });
  afterEach(() => unmountSmallDisk(disk));

  test("a line that was written in part has an end before the next one", async () => {
    const at = join(disk, "audit.log");
    const ballast = join(disk, "ballast");
    writeFileSync(ballast, Buffer.alloc(32 * 1024));
    const { file, failures, lost } = await openFile(at);
    let lines = 0;
    while (failures.length === 0) {
      lines++;
      file.write(`${"x".repeat(2_999)}\n`);
      const wanted = lines * 3_000;
      await waitFor(() => expect(failures.length > 0 || read(at).length >= wanted).toBe(true));
    }
    expect(failures).toEqual(["ENOSPC"]);
    rmSync(ballast);
    file.write("again\n");
    await waitFor(() => expect(lost).toEqual([1]));
    await file.close();
    const written = read(at).split("\n");
    expect(written.slice(-2)).toEqual(["again", ""]);
    const whole = written.filter((line) => line.length === 2_999);
    expect(whole).toHaveLength(lines - 1);
  });
});
