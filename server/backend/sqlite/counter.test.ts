import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createCall } from "../contract.ts";
import { type Counter, createCounter } from "./counter.ts";
import { openReader, openWriter } from "./database.ts";
import { MIGRATIONS } from "./migrations.ts";

const ENTRIES = 10_000;
const NEVER_ABORTED = createCall();

describe("createCounter", () => {
  let directory = "";
  let writer: DatabaseSync;
  let reader: DatabaseSync;
  let count: Counter;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "prism-counter-"));
    const path = join(directory, "prism.db");
    writer = openWriter({ path, maxBytes: undefined }, MIGRATIONS);
    writer.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ENTRIES})
      INSERT INTO entry SELECT 'a', CAST(format('k%05d', i) AS BLOB), i, X'', NULL FROM n`);
    reader = openReader(path);
    count = createCounter(reader, path);
  });
  afterEach(() => {
    reader.close();
    writer.close();
    rmSync(directory, { recursive: true });
  });

  test("a long count is of the moment when it began, whatever is written meanwhile", async () => {
    const counting = count("a", "", 0, NEVER_ABORTED);
    writer.exec("DELETE FROM entry WHERE expires_at_ms > 5000");
    expect(await counting).toBe(ENTRIES);
    expect(await count("a", "", 0, NEVER_ABORTED)).toBe(5000);
  });

  test("only what is live and has the prefix counts", async () => {
    expect(await count("a", "", 2500, NEVER_ABORTED)).toBe(ENTRIES - 2500);
    expect(await count("a", "k0", 0, NEVER_ABORTED)).toBe(9999);
    expect(await count("a", "k00", 500, NEVER_ABORTED)).toBe(499);
    expect(await count("b", "", 0, NEVER_ABORTED)).toBe(0);
  });

  test("ends when its call is aborted; so many at once and no more", async () => {
    const controller = new AbortController();
    const counts = Array.from({ length: 17 }, () => count("a", "", 0, createCall(controller.signal)));
    controller.abort();
    const results = await Promise.allSettled(counts);
    expect(results.map((result) => result.status === "rejected" && result.reason.reason)).toEqual([
      ...Array.from({ length: 16 }, () => "canceled"),
      "overloaded",
    ]);
    expect(await count("a", "", 0, NEVER_ABORTED)).toBe(ENTRIES);
  });
});
