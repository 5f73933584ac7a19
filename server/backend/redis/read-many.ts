import { PrismError } from "../../errors.ts";
import type { Connection } from "./connection.ts";
import { isRefused, type Repetition } from "./errors.ts";
import { asNumbers } from "./replies.ts";
import { SCRIPTS } from "./scripts.ts";

/**
 * Reads all keys at once. If their slot is moving and some keys are on the other node already,
 * reads each alone. An item is a key's name, or has one.
 */
export async function readMany<Item, T>(
  items: readonly Item[],
  read: (items: readonly Item[]) => Promise<readonly T[]>,
): Promise<readonly T[]> {
  if (items.length === 0) {
    return [];
  }
  try {
    return await read(items);
  } catch (error) {
    if (items.length === 1 || !isOnItsWay(error)) {
      throw error;
    }
    const parts = await Promise.all(items.map((item) => read([item])));
    return parts.flat();
  }
}

/**
 * Reads items whose keys must be read at one moment each. If their slot is moving, reads each item
 * alone, and waits until its keys are together.
 */
export async function readTogether<Item, T>(
  items: readonly Item[],
  read: (kind: Repetition, items: readonly Item[]) => Promise<readonly T[]>,
): Promise<readonly T[]> {
  if (items.length === 0) {
    return [];
  }
  try {
    return await read("repeatable", items);
  } catch (error) {
    if (!isOnItsWay(error)) {
      throw error;
    }
    const parts = await Promise.all(items.map((item) => read("together", [item])));
    return parts.flat();
  }
}

/** Whether each entry exists. */
export async function readExistence(connection: Connection, names: readonly string[]): Promise<boolean[]> {
  const found = await readMany(names, async (some) =>
    asNumbers(await connection.runScript("repeatable", SCRIPTS.exists, some, [])),
  );
  return found.map((each) => each === 1);
}

/** Whether a command was refused because its keys are moving to another node. */
export function isOnItsWay(error: unknown): boolean {
  return error instanceof PrismError && isRefused(error.cause);
}
