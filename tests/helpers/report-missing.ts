import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * Runs around all tests. At their end it lists the missing programs, so that nobody takes a part
 * for the whole.
 */
export default function setup(): () => void {
  const folder = mkdtempSync(join(tmpdir(), "prism-missing-"));
  const file = join(folder, "programs");
  writeFileSync(file, "");
  // Every test process inherits it.
  process.env.PRISM_TEST_MISSING = file;
  return () => {
    const missing = new Set(readFileSync(file, "utf8").split("\n").filter(Boolean));
    rmSync(folder, { recursive: true });
    if (missing.size > 0) {
      console.warn(["", "*** NOT TESTED ***", ...missing, ""].join("\n"));
    }
  };
}
