import { realpathSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Clash, ConfiguredStore, Room } from "../room.ts";
import { type SqliteConfig, sqliteSchema } from "./config.ts";

/** A store in one file on a local disk. */
export const sqliteRoom = {
  type: "sqlite",
  schema: sqliteSchema,
  ofOneProcess: true,
  layers: ["watched"],
  async create(config, { clock, log }) {
    const { createSqliteBackend } = await import("./backend.ts");
    return [createSqliteBackend(config, { clock, log })];
  },
  async *diagnose(config) {
    const { diagnose } = await import("./diagnose.ts");
    yield* diagnose(config);
  },
  locate: (config, absolute) => ({ ...config, path: absolute(config.path) }),
  place: ({ path }) => path,
  findClashes: findSharedFiles,
} as const satisfies Room<SqliteConfig>;

/** Two stores in one file would each miss the other's writes. */
function findSharedFiles(stores: readonly ConfiguredStore<SqliteConfig>[]): readonly Clash<SqliteConfig>[] {
  const clashes: Clash<SqliteConfig>[] = [];
  const firstUse = new Map<string, string>();
  for (const store of stores) {
    const identity = identityOf(store.config.path);
    const first = firstUse.get(identity);
    if (first === undefined) {
      firstUse.set(identity, store.name);
    } else {
      const message = `the file of ${first} already; each store needs a file of its own`;
      clashes.push({ store, option: "path", message });
    }
  }
  return clashes;
}

/** Equal for all names of one file, whatever links lead to it. */
function identityOf(path: string): string {
  try {
    const { dev, ino } = statSync(path);
    return `${dev}:${ino}`;
  } catch {
    // The file does not exist yet.
  }
  try {
    return join(realpathSync(dirname(path)), basename(path));
  } catch {
    return path;
  }
}
