/**
 * For tests that need a program that not every machine has: true = go on. Without it this says loudly how to get it, and in CI, or
 * where REQUIRE_BACKENDS asks for every store, it throws.
 */
export function isThere(program: string, there: boolean, install: string): boolean {
  if (!there && (process.env.CI !== undefined || process.env.REQUIRE_BACKENDS === "1")) {
    throw new Error(`${program} is missing: ${install}`);
  }
  if (!there) {
    console.warn(`\n*** NOT TESTED: ${program} is missing. ${install}\n`);
  }
  return there;
}
