import { PrismError } from "../../errors.ts";
import type { Connection } from "./connection.ts";
import { isRefused } from "./errors.ts";
import { asNumbers } from "./replies.ts";
import { SCRIPTS } from "./scripts.ts";

/** Reads all at once; or, where their slot is on its way to another node and some of them are there already, each for itself. */
export async function readMany<T>(
  names: readonly string[],
  read: (names: readonly string[]) => Promise<readonly T[]>,
): Promise<readonly T[]> {
  if (names.length === 0) {
    return [];
  }
  try {
    return await read(names);
  } catch (error) {
    if (names.length === 1 || !isOnItsWay(error)) {
      throw error;
    }
    const parts = await Promise.all(names.map((name) => read([name])));
    return parts.flat();
  }
}

/** Whether each of the entries is there. */
export async function readExistence(connection: Connection, names: readonly string[]): Promise<boolean[]> {
  const found = await readMany(names, async (some) =>
    asNumbers(await connection.runScript("repeatable", SCRIPTS.exists, some, [])),
  );
  return found.map((each) => each === 1);
}

/** Whether a command was refused because its keys are moving. */
export function isOnItsWay(error: unknown): boolean {
  return error instanceof PrismError && isRefused(error.cause);
}
