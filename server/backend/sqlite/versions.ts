import type { DatabaseSync } from "node:sqlite";
import { storeError } from "../store-errors.ts";
import type { Operation } from "./operation.ts";
import { prepare } from "./query.ts";

/**
 * The database notes so many versions at a time, so that a group rarely writes a page for them.
 * What a process leaves of a block is lost; 2^53 versions are nine billion blocks.
 */
export const VERSION_BLOCK = 1_000_000;

/**
 * Hands out versions in ascending order. No version is handed out again after a crash, because the
 * database has noted it before the entry that bears it is on the disk.
 */
export interface Versions {
  /** Notes what these operations may need. Belongs at the start of their transaction. */
  reserve(operations: readonly Operation[]): void;
  /** A version for an item of those operations. */
  next(): number;
  /** Says that the transaction was undone, and the note with it. */
  undone(): void;
}

/**
 * Goes on after the last noted version. Writes nothing before the first transaction, so that a
 * database opens on a full disk. Throws {@link PrismError} `corrupt_data`.
 */
export function createVersions(db: DatabaseSync): Versions {
  const note = prepare(db, "UPDATE entry_version SET noted = ?");
  const noted = prepare<[number]>(db, "SELECT noted FROM entry_version").get()?.[0];
  if (noted === undefined) {
    throw storeError("corrupt_data", new Error("entry_version has no row"));
  }
  let last = noted;
  /** The last one that may be handed out. */
  let end = last;
  return {
    reserve(operations) {
      const needed = versionsFor(operations);
      if (last + needed > end) {
        const next = last + needed + VERSION_BLOCK;
        note.get(next);
        end = next;
      }
    },
    next: () => ++last,
    undone() {
      end = last;
    },
  };
}

function versionsFor(operations: readonly Operation[]): number {
  let items = 0;
  for (const operation of operations) {
    if (operation.type === "set" || operation.type === "commit") {
      items += operation.items.length;
    }
  }
  return items;
}
