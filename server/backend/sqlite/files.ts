import { closeSync, mkdirSync, openSync, realpathSync, type Stats, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { PrismError } from "../../errors.ts";
import { isBusy, openError } from "./errors.ts";

/** Of this process's user alone: what is stored is nobody else's to read. */
const DIRECTORY_MODE = 0o700;
const FILE_MODE = 0o600;

/** What the names of the files beside a database end in. */
const BESIDE = ["-wal", "-shm", "-lock", "-reserve"] as const;

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
export function besideDatabase(path: string, suffix: (typeof BESIDE)[number]): string {
  let real: string;
  try {
    real = realpathSync(path);
  } catch {
    real = join(realpathSync(dirname(path)), basename(path));
  }
  return real + suffix;
}

/** What users other than this process's may do that they should not. */
export interface OpenToOthers {
  /** Of a file of the database, or its folder. */
  readonly path: string;
  /** In octal digits, as `chmod` takes it. */
  readonly mode: string;
  /** The command that keeps them out. */
  readonly run: string;
}

/**
 * Finds files of the database that others may read or write, and its folder where they may write: they could put another file in
 * place of one. What is there is the operator's, and keeps its mode. Windows has no such modes.
 */
export function findOpenToOthers(path: string): OpenToOthers[] {
  if (process.platform === "win32") {
    return [];
  }
  const files = [path, ...BESIDE.map((suffix) => besideDatabase(path, suffix))];
  return [
    ...files.flatMap((file) => openBy(file, 0o077, "go-rwx")),
    // In a folder with the sticky bit, as /tmp, everybody's files are his own.
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
