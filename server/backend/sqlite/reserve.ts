import { rmSync, statfsSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { besideDatabase } from "./files.ts";
import { isFailure, type Operation, type Outcome } from "./operation.ts";
import { prepare } from "./query.ts";
import type { ApplyGroup } from "./write-batch.ts";

/**
 * The most room in reserve. It exceeds the part of the log that is not in the database yet. On a
 * small disk the reserve is smaller.
 */
export const MAX_RESERVE_BYTES = 8 * 1024 * 1024;
const RESERVE_PART = 1 / 16;

/** A disk with less room than this is full, because a commit writes some pages. */
export const LEAST_FREE_BYTES = 64 * 1024;

/** The log's room on a full disk, in pages: enough for some deletes. */
const LOG_PAGES = 64;

/** A file beside the database that only holds room. */
export interface Reserve {
  readonly bytes: number;
  /** Makes the file if the disk has room for it twice. Answers whether it exists. */
  make(): boolean;
  /** Frees its room. */
  release(): void;
  /** The room on the disk now, in bytes. */
  freeBytes(): number;
}

/** The reserve of the database at `path`, whose directory must exist. */
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
        // Another program was faster: the disk is full.
        rmSync(file, { force: true });
        return false;
      }
    },
    release: () => rmSync(file, { force: true }),
  };
}

/** A writer that keeps working on a full disk, for writes that need no more room. */
export interface FrugalWriter {
  readonly apply: ApplyGroup;
  /** True: the disk is full, the reserve is in use, and the database does not grow. */
  readonly isTight: boolean;
}

/**
 * Wraps `apply`. On a full disk SQLite can write nothing, not even a delete: it writes to its log
 * first, and the log cannot move into a database that cannot grow. So this frees the reserve, and
 * the log moves. From then on the database does not grow, and the log restarts after each group:
 * deletes make room in the file for other writes. When the disk has room again, the reserve is made
 * again and writing goes on as usual.
 */
export function createFrugalWriter(db: DatabaseSync, reserve: Reserve, apply: ApplyGroup): FrugalWriter {
  const number = (pragma: string) => prepare<[number]>(db, `PRAGMA ${pragma}`).get()?.[0] ?? 0;
  const maxPages = number("max_page_count");
  const pageBytes = number("page_size");
  let isTight = false;
  // The log must fit into half of the reserve.
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

  /**
   * Takes room for the log early, because other programs may be faster later. The log keeps its
   * room when it restarts.
   */
  function takeRoomForLog(): void {
    const version = number("user_version");
    try {
      // Each write adds one page.
      for (let pages = 0; pages < LOG_PAGES && pages < logPages; pages++) {
        db.exec(`PRAGMA user_version = ${version}`);
      }
    } catch {
      // The disk had less room.
    }
  }

  function loosen(): void {
    if (reserve.make()) {
      isTight = false;
      db.exec(`PRAGMA max_page_count = ${maxPages}`);
    }
  }

  /** Waits for current reads, so that the next group finds the log empty. */
  function moveLog(): void {
    try {
      db.exec("PRAGMA wal_checkpoint(RESTART)");
    } catch {
      // Even this had no room. The next group tries again and reports it.
    }
  }

  /** The refusal may come from `max_bytes`: the cause is whichever leaves less room. */
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

/** Applies the operations again that found no room, and replaces their results. */
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
