import { closeSync, mkdirSync, openSync, realpathSync, type Stats, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { PrismError } from "../../errors.ts";
import { isBusy, openError } from "./errors.ts";

/** Of this process's user alone: what is stored is nobody else's to read. */
const DIRECTORY_MODE = 0o700;
const FILE_MODE = 0o600;

/** What a database was when it was claimed. */
export type Origin = "missing" | "empty" | "filled";

/** A database that is this process's alone, until `release`. */
export interface Claim {
  readonly origin: Origin;
  release(): void;
}

/**
 * Claims the database for one store, and makes its directory and an empty file where they are missing. The claim is a lock on a
 * file beside the database, which the operating system lets go when the process ends, however it does. Other programs may
 * read the database, and write to it, all the same. Throws {@link PrismError} with a message for the operator that names the file.
 */
export function claimDatabase(path: string): Claim {
  makeDirectory(path);
  const lock = lockFile(path);
  try {
    const origin = originOf(path);
    if (origin !== "filled" && (statOf(besideDatabase(path, "-wal"))?.size ?? 0) > 0) {
      throw new PrismError(
        "store_unavailable",
        `${path} is ${origin}, but its log ${path}-wal is there: the database was deleted or moved. ` +
          "Put it back, or remove the log too, to begin with an empty one",
      );
    }
    if (origin === "missing") {
      makeFile(path);
    }
    return { origin, release: () => lock.close() };
  } catch (error) {
    lock.close();
    throw error;
  }
}

/** Does what SQLite does not, and says what SQLite's "unable to open database file" leaves open. */
function makeDirectory(path: string): void {
  const directory = dirname(path);
  try {
    mkdirSync(directory, { recursive: true, mode: DIRECTORY_MODE });
  } catch (error) {
    throw new PrismError(
      "store_unavailable",
      `${directory}, the directory of ${path}, cannot be created: check the path and the permissions along it`,
      { cause: error },
    );
  }
  if (statOf(path)?.isDirectory() === true) {
    throw new PrismError("store_unavailable", `${path} is a directory: the path has to name a file`);
  }
}

/** A SQLite database with nothing in it: SQLite's locks work wherever its databases do, and between two stores of one process. */
function lockFile(path: string): DatabaseSync {
  const lockPath = besideDatabase(path, "-lock");
  makeFile(lockPath);
  let lock: DatabaseSync | undefined;
  try {
    lock = new DatabaseSync(lockPath, { timeout: 0 });
    lock.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
    return lock;
  } catch (error) {
    lock?.close();
    if (isBusy(error)) {
      throw new PrismError(
        "store_unavailable",
        `${path} is in use by another Prism: stop that one or choose another path`,
        { cause: error },
      );
    }
    throw openError(error, path);
  }
}

/** Makes an empty file where there is none. SQLite gives its `-wal` and `-shm` the mode of the database. */
function makeFile(path: string): void {
  try {
    closeSync(openSync(path, "wx", FILE_MODE));
  } catch {
    // It is there, or SQLite says why it cannot be.
  }
}

function originOf(path: string): Origin {
  const bytes = statOf(path)?.size;
  return bytes === undefined ? "missing" : bytes === 0 ? "empty" : "filled";
}

/** The path of a file that belongs to the database. SQLite has its own beside the file that a symbolic link leads to. */
export function besideDatabase(path: string, suffix: "-wal" | "-shm" | "-lock" | "-reserve"): string {
  let real: string;
  try {
    real = realpathSync(path);
  } catch {
    real = join(realpathSync(dirname(path)), basename(path));
  }
  return real + suffix;
}

/**
 * Makes a look at the files of an open database: whether their paths still lead to those that were opened. SQLite goes on with a
 * file that was deleted, and so without a trace. A look costs as much as a small write, so it is not for each group.
 */
export function createPresence(path: string): () => boolean {
  const beside = (["-wal", "-shm", "-lock"] as const).map((suffix) => besideDatabase(path, suffix));
  const files = [path, ...beside].map((each) => ({ path: each, opened: statOf(each) }));
  return () =>
    files.every(({ path: each, opened }) => {
      try {
        return isSame(opened, statOf(each));
      } catch {
        // A folder that may not be looked into, or a disk that fails: reads and writes tell of that themselves.
        return true;
      }
    });
}

/** A file that was not there at first may be made later. */
function isSame(opened: Stats | undefined, found: Stats | undefined): boolean {
  return opened === undefined || (opened.ino === found?.ino && opened.dev === found.dev);
}

function statOf(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false });
}
