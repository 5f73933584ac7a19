import { join } from "node:path";
import { expect, test } from "vitest";
import {
  type Answered,
  LANES,
  openCommitStore,
  readLane,
  textOf,
  valuesAfter,
} from "./helpers/commit-load.ts";
import { answersUntilKilled } from "./helpers/killed.ts";
import { temporaryFolder } from "./helpers/process.ts";

/** kill -9 during commits of several keys to one SQLite file, round after round. */
const ROUNDS = Number(process.env.PRISM_CRASH_ROUNDS ?? 10);
/**
 * The kill comes after this many answers and a few more, so that it hits every phase of a commit.
 */
const ANSWERS_BEFORE_KILL = 80;

const PROGRAM = new URL("./helpers/commit-program.ts", import.meta.url);

test(
  `${ROUNDS} times kill -9 under ${LANES} committers: no half commit, none lost, and versions grow`,
  async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, "prism.db");
    /** The last commit of each lane that was answered or found. */
    const last: Answered[] = Array.from({ length: LANES }, (_, lane) => ({ lane, count: 0, version: 0 }));

    /** Expects every lane to be as its last answered commit left it, or the one under way. */
    async function verify(): Promise<void> {
      await using store = await openCommitStore(path);
      for (const { lane, count, version } of last) {
        const held = await readLane(store, lane);
        const found = Number(textOf(held[3]) ?? 0);
        expect([count, count + 1]).toContain(found);
        if (found === 0) {
          expect(held.every((entry) => entry === undefined)).toBe(true);
          continue;
        }
        expect(held.map(textOf)).toEqual(valuesAfter(found));
        const versions = new Set(held.flatMap((entry) => entry?.version ?? []));
        expect(versions.size).toBe(1);
        const [foundVersion = 0] = versions;
        if (found === count) {
          expect(foundVersion).toBe(version);
        } else {
          expect(foundVersion).toBeGreaterThan(version);
        }
        last[lane] = { lane, count: found, version: foundVersion };
      }
    }

    for (let round = 0; round < ROUNDS; round++) {
      const killAt = ANSWERS_BEFORE_KILL + ((round * 37) % 100);
      for (const answer of await answersUntilKilled<Answered>(PROGRAM, path, killAt)) {
        const before = last[answer.lane];
        expect(answer.count).toBe((before?.count ?? 0) + 1);
        expect(answer.version).toBeGreaterThan(before?.version ?? 0);
        last[answer.lane] = answer;
      }
      await verify();
    }
    expect(last.reduce((sum, { count }) => sum + count, 0)).toBeGreaterThan(ROUNDS * ANSWERS_BEFORE_KILL);
  },
  60_000 + ROUNDS * 20_000,
);
