import { join } from "node:path";
import { expect, test } from "vitest";
import {
  type Appended,
  LANES,
  openStreamStore,
  payloadsOf,
  readStream,
  SHARED,
  textOf,
} from "./helpers/append-load.ts";
import { answersUntilKilled } from "./helpers/killed.ts";
import { temporaryFolder } from "./helpers/process.ts";

/** kill -9 during appends to several streams of one SQLite file, round after round. */
const ROUNDS = Number(process.env.PRISM_CRASH_ROUNDS ?? 10);
/**
 * The kill comes after this many answers and a few more, so that it hits every phase of a commit.
 */
const ANSWERS_BEFORE_KILL = 80;

const PROGRAM = new URL("./helpers/append-program.ts", import.meta.url);

test(
  `${ROUNDS} times kill -9 under ${LANES} appenders: no half append, none lost, and offsets without gaps`,
  async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, "prism.db");
    /** How many calls of each lane were answered or found. */
    const counts = Array.from({ length: LANES }, () => 0);
    const answered: Appended[] = [];

    /** Expects every lane to be as its last answered call left it, or the one under way. */
    async function verify(): Promise<void> {
      await using store = await openStreamStore(path);
      const shared = await readStream(store.streams, SHARED);
      expect(shared.map(({ offset }) => offset)).toEqual([...shared.keys()]);
      const sharedTexts = shared.map(textOf);
      for (const [lane, count] of counts.entries()) {
        const events = await readStream(store.streams, String(lane));
        expect(events.map(({ offset }) => offset)).toEqual([...events.keys()]);
        const found = Math.max(0, ...events.map((event) => Number(textOf(event).split("/")[1])));
        expect([count, count + 1]).toContain(found);
        const expected = Array.from({ length: found }, (_, i) => payloadsOf(lane, i + 1)).flat();
        expect(events.map(textOf)).toEqual(expected);
        expect(sharedTexts.filter((text) => text.startsWith(`${lane}/`))).toEqual(expected);
        counts[lane] = found;
      }
      for (const { lane, count, sharedOffset } of answered) {
        const payloads = payloadsOf(lane, count);
        expect(sharedTexts.slice(sharedOffset, sharedOffset + payloads.length)).toEqual(payloads);
      }
    }

    for (let round = 0; round < ROUNDS; round++) {
      const killAt = ANSWERS_BEFORE_KILL + ((round * 37) % 100);
      for (const answer of await answersUntilKilled<Appended>(PROGRAM, path, killAt)) {
        expect(answer.count).toBe((counts[answer.lane] ?? 0) + 1);
        counts[answer.lane] = answer.count;
        answered.push(answer);
      }
      await verify();
    }
    expect(answered.length).toBeGreaterThan(ROUNDS * ANSWERS_BEFORE_KILL);
  },
  60_000 + ROUNDS * 20_000,
);
