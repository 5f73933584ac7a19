import { statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../../../tests/helpers/process.ts";
import { createSystemClock } from "../clock.ts";
import { CALL, present } from "../conformance/harness.ts";
import { createSqliteBackend } from "./backend.ts";
import { openWriter } from "./database.ts";
import { MIGRATIONS } from "./migrations.ts";

const ENTRIES = 60_000;
const PREFIXES = ["", "k", "k0", "k01", "k02", "k03"];
const WRITERS = 16;
const VALUE = Buffer.alloc(2000, "v");
/** The least that is written while counts overlap: more than the log may hold. */
const WRITTEN_BYTES = 24 * 1024 * 1024;

test("the log stays small while counts of a large table overlap and others write, and all counts are right", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "prism.db");
  {
    using db = openWriter({ path, maxBytes: undefined }, MIGRATIONS);
    db.exec(`WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ${ENTRIES - 1})
      INSERT INTO entry SELECT 'default', CAST(format('k%06d', i) AS BLOB), NULL, X'', NULL, 1 FROM n`);
  }
  const backend = createSqliteBackend({ type: "sqlite", path }, { clock: createSystemClock() });
  await backend.open();
  const entries = present(backend.entries);
  const scans = present(backend.scans);
  let written = 0;
  let largestLog = 0;
  const isDone = () => written * VALUE.length > WRITTEN_BYTES;

  const write = async (writer: number) => {
    for (let i = 0; !isDone(); i++) {
      await entries.set("default", [{ key: `w${writer}/${i % 100}`, value: VALUE, ttlMs: 0 }], CALL);
      written++;
      largestLog = Math.max(largestLog, statSync(`${path}-wal`).size);
    }
  };
  const count = async (prefix: string) => {
    const inPrefix = prefix === "" ? ENTRIES : Math.min(ENTRIES, 10 ** (7 - prefix.length));
    let rounds = 0;
    for (; !isDone(); rounds++) {
      const total = await scans.count("default", prefix, CALL);
      expect(total).toBeGreaterThanOrEqual(inPrefix);
      expect(total).toBeLessThanOrEqual(inPrefix + (prefix === "" ? WRITERS * 100 : 0));
    }
    expect(rounds).toBeGreaterThan(0);
  };
  await Promise.all([...Array.from({ length: WRITERS }, (_, i) => write(i)), ...PREFIXES.map(count)]);
  // Usually 16 MiB. A busy machine lets more groups come before a step of a count ends. Without
  // beginning anew the log would hold more than 50 MiB.
  expect(largestLog).toBeLessThan(32 * 1024 * 1024);
  await backend.close();
}, 120_000);
