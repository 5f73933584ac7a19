import { closeSync, mkdirSync, openSync, realpathSync, type Stats, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { PrismError } from "../../errors.ts";
import { isBusy, openError } from "./errors.ts";

/** Only for this process's user: the data is private. */
const DIRECTORY_MODE = 0o700;
const FILE_MODE = 0o600;

/** The suffixes of the files beside a database. */
const BESIDE = ["-wal", "-shm", "-lock", "-reserve"] as const;

/** The state of a database when it was claimed. */
export type Origin = "missing" | "empty" | "filled";

/** A database that belongs to this process until `release`. */
export interface Claim {
  readonly origin: Origin;
  release(): void;
}

/**
 * Claims the database for one store. Makes a missing directory, and an empty file for a missing
 * one. The claim is a lock on a file beside the database; the operating system drops it when the
 * process ends in any way. Other programs can still read and write the database. Throws {@link
 * PrismError} with a message for the operator that names the file.
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

/** SQLite makes no directory, and its "unable to open database file" does not tell why. */
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

/**
 * An empty SQLite database serves as the lock: SQLite's locks work wherever its databases do, and
 * also between two stores of one process.
 */
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

/**
 * Makes an empty file if there is none. SQLite gives its `-wal` and `-shm` the mode of the
 * database.
 */
function makeFile(path: string): void {
  try {
    closeSync(openSync(path, "wx", FILE_MODE));
  } catch {
    // The file exists, or SQLite will tell why it cannot.
  }
}

function originOf(path: string): Origin {
  const bytes = statOf(path)?.size;
  return bytes === undefined ? "missing" : bytes === 0 ? "empty" : "filled";
}

/**
 * The path of a file that belongs to the database. SQLite follows a symbolic link and puts its
 * files beside the target.
 */
export function besideDatabase(path: string, suffix: (typeof BESIDE)[number]): string {
  let real: string;
  try {
    real = realpathSync(path);
  } catch {
    real = join(realpathSync(dirname(path)), basename(path));
  }
  return real + suffix;
}

/** Access that other users have and should not. */
export interface OpenToOthers {
  /** A file of the database, or its folder. */
  readonly path: string;
  /** In octal digits, as `chmod` takes it. */
  readonly mode: string;
  /** The command that takes the access away. */
  readonly run: string;
}

/**
 * Finds files of the database that other users may read or write. Also its folder if they may write
 * to it, because they could replace a file. Existing files belong to the operator and keep their
 * mode. Windows has no such modes.
 */
export function findOpenToOthers(path: string): OpenToOthers[] {
  if (process.platform === "win32") {
    return [];
  }
  const files = [path, ...BESIDE.map((suffix) => besideDatabase(path, suffix))];
  return [
    ...files.flatMap((file) => openBy(file, 0o077, "go-rwx")),
    // In a folder with the sticky bit, like /tmp, users cannot replace each other's files.
    ...openBy(dirname(files[1] ?? path), 0o022, "go-w", 0o1000),
  ];
}

function openBy(path: string, bits: number, change: string, unless = 0): OpenToOthers[] {
  const mode = statOf(path)?.mode ?? 0;
  const isOpen = (mode & bits) !== 0 && (mode & unless) === 0;
  const quoted = `'${path.replaceAll("'", "'\\''")}'`;
  return isOpen ? [{ path, mode: (mode & 0o7777).toString(8), run: `chmod ${change} ${quoted}` }] : [];
}

/**
 * Makes a check that the paths of an open database still lead to the opened files. SQLite keeps
 * using a deleted file, whose data is lost at the end. One check costs as much as a small write, so
 * it is not made for each group.
 */
export function createPresence(path: string): () => boolean {
  const beside = (["-wal", "-shm", "-lock"] as const).map((suffix) => besideDatabase(path, suffix));
  const files = [path, ...beside].map((each) => ({ path: each, opened: statOf(each) }));
  return () =>
    files.every(({ path: each, opened }) => {
      try {
        return isSame(opened, statOf(each));
      } catch {
        // The folder is closed to this user or the disk fails. Reads and writes report that.
        return true;
      }
    });
}

/** A file that was missing at first may appear later. */
function isSame(opened: Stats | undefined, found: Stats | undefined): boolean {
  return opened === undefined || (opened.ino === found?.ino && opened.dev === found.dev);
}

function statOf(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false });
}
