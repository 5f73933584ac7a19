import {
  accessSync,
  closeSync,
  constants,
  openSync,
  readSync,
  type Stats,
  statfsSync,
  statSync,
} from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type Diagnosis, fine, problem, warning } from "../diagnosis.ts";
import type { Migration } from "../migration-files.ts";
import type { SqliteConfig } from "./config.ts";
import { isBusy } from "./errors.ts";
import { besideDatabase, findOpenToOthers } from "./files.ts";
import { APPLICATION_ID, MIGRATIONS } from "./migrations.ts";
import { LEAST_FREE_BYTES, MAX_RESERVE_BYTES } from "./reserve.ts";

/** The head of a database (sqlite.org/fileformat2.html, "The Database Header"). */
const HEADER_BYTES = 100;
const MAGIC = "SQLite format 3\0";
const USER_VERSION_AT = 60;
const APPLICATION_ID_AT = 68;

/** What a database is for, and what makes its tables. */
interface Purpose {
  readonly applicationId: number;
  readonly migrations: readonly Migration[];
}

const STORE: Purpose = { applicationId: APPLICATION_ID, migrations: MIGRATIONS };

/**
 * Looks at the files of a database. It is not opened, because SQLite would make files beside it;
 * only its head is read.
 */
export async function* diagnose(
  { path }: Pick<SqliteConfig, "path">,
  purpose = STORE,
): AsyncGenerator<Diagnosis, void> {
  const folder = dirname(path);
  const there = nearestFolder(folder);
  if (!mayWrite(there)) {
    yield problem(
      "folder",
      `${there} cannot be written: give this user the permission, or choose another path`,
    );
    return;
  }
  yield fine("folder", there === folder ? `${folder} can be written` : `${folder} is made at the start`);
  yield diagnoseRoom(there);
  if (there !== folder) {
    return;
  }
  const found = statOf(path);
  if (found?.isDirectory() === true) {
    yield problem("file", `${path} is a directory: the path has to name a file`);
    return;
  }
  if (found === undefined || found.size === 0) {
    const isLost = (statOf(besideDatabase(path, "-wal"))?.size ?? 0) > 0;
    yield isLost
      ? problem(
          "file",
          `${path} is missing or empty, but its log ${path}-wal is there: put the database back, or remove the log too`,
        )
      : fine("file", `${path} is made at the start`);
    return;
  }
  if (!mayWrite(path)) {
    yield problem("file", `${path} cannot be written: give this user the permission`);
    return;
  }
  yield diagnoseContent(path, purpose);
  for (const { path: open, mode, run } of findOpenToOthers(path)) {
    yield warning("rights", `others may use ${open} (mode ${mode}): ${run}`);
  }
  yield diagnoseUse(path);
}

/** Room on the disk. */
function diagnoseRoom(folder: string): Diagnosis {
  const { bavail, bsize } = statfsSync(folder);
  const bytes = bavail * bsize;
  const free = `${Math.floor(bytes / (1024 * 1024))} MiB are free`;
  if (bytes < LEAST_FREE_BYTES) {
    return problem("disk", "the disk is full: free some space");
  }
  // With less Prism has no reserve for deletes on a full disk.
  return bytes < 2 * MAX_RESERVE_BYTES ? warning("disk", `${free}: free some space`) : fine("disk", free);
}

/** Whether the file is a database of Prism for this purpose, which this version knows. */
function diagnoseContent(path: string, { applicationId, migrations }: Purpose): Diagnosis {
  const header = Buffer.alloc(HEADER_BYTES);
  const file = openSync(path, "r");
  try {
    readSync(file, header, 0, HEADER_BYTES, 0);
  } finally {
    closeSync(file);
  }
  if (header.toString("latin1", 0, MAGIC.length) !== MAGIC) {
    return problem("file", `${path} is not a SQLite database: move it away or choose another path`);
  }
  const version = header.readUInt32BE(USER_VERSION_AT);
  const id = header.readUInt32BE(APPLICATION_ID_AT);
  if (id !== applicationId && (id !== 0 || version !== 0)) {
    return problem(
      "file",
      `${path} is a SQLite database of another program or for another purpose: choose another path`,
    );
  }
  if (version > migrations.length) {
    return problem(
      "version",
      `written by a newer Prism (schema ${version}, this one knows ${migrations.length}): run that version or a later one`,
    );
  }
  return fine(
    "version",
    version === migrations.length
      ? `schema ${version}`
      : `schema ${version}, which the start brings to ${migrations.length}`,
  );
}

/**
 * Whether a gateway has it open. Reading the file that serves as the lock takes a shared lock for a
 * moment.
 */
function diagnoseUse(path: string): Diagnosis {
  const lockPath = besideDatabase(path, "-lock");
  if (statOf(lockPath) === undefined) {
    return fine("use", "no gateway has it open");
  }
  const lock = new DatabaseSync(lockPath, { readOnly: true, timeout: 0 });
  try {
    lock.prepare("SELECT count(*) FROM sqlite_schema").get();
    return fine("use", "no gateway has it open");
  } catch (error) {
    if (isBusy(error)) {
      return fine("use", "a gateway has it open; a second one would be refused");
    }
    throw error;
  } finally {
    lock.close();
  }
}

function nearestFolder(folder: string): string {
  return statOf(folder) === undefined && dirname(folder) !== folder ? nearestFolder(dirname(folder)) : folder;
}

function mayWrite(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    // A part of the path is a file, or closed to this user.
    return undefined;
  }
}
