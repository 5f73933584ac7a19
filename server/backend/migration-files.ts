import { readdirSync, readFileSync } from "node:fs";

const FILE_NAME = /^(\d{3})_\w+\.sql$/;

/** One step of a schema. Steps are only ever appended. */
export interface Migration {
  /** 1, 2, 3 ... without gaps. A database stores the last one that was applied. */
  readonly version: number;
  readonly sql: string;
}

/** Reads `NNN_name.sql` in `directory`, in order. */
export function loadMigrations(directory: URL): Migration[] {
  const files = readdirSync(directory).filter((file) => FILE_NAME.test(file));
  return files.sort().map((file, i) => {
    if (Number.parseInt(file, 10) !== i + 1) {
      throw new Error(`migration ${i + 1} is missing: found ${file} in its place`);
    }
    return { version: i + 1, sql: readFileSync(new URL(file, directory), "utf8") };
  });
}
