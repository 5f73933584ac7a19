import { appendFileSync } from "node:fs";

/**
 * Guards tests that need a program which not every machine has: true = go on. Without it the run
 * says at its end what was not tested and how to get it (`report-missing.ts`). In CI, or if
 * REQUIRE_BACKENDS asks for every store, it throws.
 */
export function isThere(program: string, there: boolean, install: string): boolean {
  if (!there && (process.env.CI !== undefined || process.env.REQUIRE_BACKENDS === "1")) {
    throw new Error(`${program} is missing: ${install}`);
  }
  const { PRISM_TEST_MISSING: file } = process.env;
  if (!there && file !== undefined) {
    appendFileSync(file, `${program} is missing. ${install}\n`);
  }
  return there;
}
