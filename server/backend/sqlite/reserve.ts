import { rmSync, statfsSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { besideDatabase } from "./files.ts";
import { prepare } from "./query.ts";
import { type ApplyGroup, isFailure, type Operation, type Outcome } from "./write-batch.ts";

/** Room that is kept back: more than what the log holds that is not in the database yet, or else a part of a small disk. */
const MAX_RESERVE_BYTES = 8 * 1024 * 1024;
const RESERVE_PART = 1 / 16;

/** A disk with less room than this is full: a commit writes some pages. */
const LEAST_FREE_BYTES = 64 * 1024;

/** Room of the log of a full disk, in pages: some deletes. */
const LOG_PAGES = 64;

/** A file beside the database, for nothing but its room. */
export interface Reserve {
  readonly bytes: number;
  /** Makes it, where the disk has room for it and as much again; answers whether it is there. */
  make(): boolean;
  /** Gives its room back. */
  release(): void;
  /** Room on the disk now, in bytes. */
  freeBytes(): number;
}

/** The reserve of the database at `path`, whose directory has to be there. */
export function createReserve(path: string): Reserve {
  const file = besideDatabase(path, "-reserve");
  const disk = () => statfsSync(dirname(file));
  const { blocks, bsize } = disk();
  const bytes = Math.floor(Math.min(MAX_RESERVE_BYTES, blocks * bsize * RESERVE_PART));
  const freeBytes = () => {
    const { bavail, bsize } = disk();
    return bavail * bsize;
  };
  return {
    bytes,
    freeBytes,
    make() {
      if (statSync(file, { throwIfNoEntry: false })?.size === bytes) {
        return true;
      }
      if (freeBytes() < 2 * bytes) {
        return false;
      }
      try {
        writeFileSync(file, Buffer.alloc(bytes), { mode: 0o600 });
        return true;
      } catch {
        // Somebody else was faster: the disk is full.
        rmSync(file, { force: true });
        return false;
      }
    },
    release: () => rmSync(file, { force: true }),
  };
}

/** A writer that goes on where the disk is full, with what needs no more room. */
export interface FrugalWriter {
  readonly apply: ApplyGroup;
  /** True: the disk is full, the reserve is in use and the database does not grow. */
  readonly isTight: boolean;
}

/**
 * Wraps `apply`. Where the disk is full, SQLite can write nothing, not even a delete: it writes to its log first, and what is in the
 * log cannot be moved to a database that cannot grow. So the reserve is given back then, with which the log is moved, and from
 * there on the database does not grow and the log begins anew after each group: what is deleted makes room in the file,
 * which others fill. When the disk has room again the reserve is made again, and all is as before.
 */
export function createFrugalWriter(db: DatabaseSync, reserve: Reserve, apply: ApplyGroup): FrugalWriter {
  const number = (pragma: string) => prepare<[number]>(db, `PRAGMA ${pragma}`).get()?.[0] ?? 0;
  const maxPages = number("max_page_count");
  const pageBytes = number("page_size");
  let isTight = false;
  // What the log holds at most fits into half of the reserve.
  const logPages = Math.floor(reserve.bytes / 2 / pageBytes);
  db.exec(`PRAGMA wal_autocheckpoint = ${Math.max(1, Math.min(number("wal_autocheckpoint"), logPages))}`);
  if (!reserve.make() || reserve.freeBytes() < LEAST_FREE_BYTES) {
    tighten();
  }

  function tighten(): void {
    isTight = true;
    reserve.release();
    moveLog();
    db.exec(`PRAGMA max_page_count = ${number("page_count")}`);
    takeRoomForLog();
    moveLog();
  }

  /** The log keeps its room when it begins anew. So it takes some while there is some: other programs may be faster later. */
  function takeRoomForLog(): void {
    const version = number("user_version");
    try {
      // Each writes one page.
      for (let pages = 0; pages < LOG_PAGES && pages < logPages; pages++) {
        db.exec(`PRAGMA user_version = ${version}`);
      }
    } catch {
      // There was not so much.
    }
  }

  function loosen(): void {
    if (reserve.make()) {
      isTight = false;
      db.exec(`PRAGMA max_page_count = ${maxPages}`);
    }
  }

  /** Waits for the reads of the moment, so that the next group finds the log empty. */
  function moveLog(): void {
    try {
      db.exec("PRAGMA wal_checkpoint(RESTART)");
    } catch {
      // There is no room even for that: the next group tries again, and says so.
    }
  }

  /** It may be `max_bytes` that refuses a write. Whichever has less room is it. */
  function isDiskFull(): boolean {
    return reserve.freeBytes() < (maxPages - number("page_count")) * pageBytes;
  }

  return {
    get isTight() {
      return isTight;
    },
    apply(operations, nowMs) {
      if (isTight) {
        loosen();
      }
      const outcomes = apply(operations, nowMs);
      if (!isTight && outcomes.some(isRefusedForRoom) && isDiskFull()) {
        tighten();
        applyRefused(apply, operations, outcomes, nowMs);
      }
      if (isTight) {
        moveLog();
      }
      return outcomes;
    },
  };
}

/** Applies those again that found no room, and puts in what becomes of them. */
function applyRefused(
  apply: ApplyGroup,
  operations: readonly Operation[],
  outcomes: Outcome[],
  nowMs: number,
): void {
  const places = outcomes.flatMap((outcome, place) => (isRefusedForRoom(outcome) ? [place] : []));
  const again = operations.filter((_, place) => isRefusedForRoom(outcomes[place]));
  apply(again, nowMs).forEach((outcome, i) => {
    const place = places[i];
    if (place !== undefined) {
      outcomes[place] = outcome;
    }
  });
}

function isRefusedForRoom(outcome: Outcome): boolean {
  return isFailure(outcome) && outcome.reason === "store_full";
}
