import fc from "fast-check";
import { expect, test } from "vitest";
import { AWKWARD_KEYS } from "../conformance/harness.ts";
import { MAX_INLINE_VALUE_BYTES } from "./large-value.ts";
import { createReader } from "./reader.ts";
import { createTestDatabase } from "./testing.ts";

const NOW_MS = 1000;

const sizes = [0, 1, 7, 256, MAX_INLINE_VALUE_BYTES, MAX_INLINE_VALUE_BYTES + 1];
const entryArbitrary = fc.record({
  key: fc.constantFrom(...AWKWARD_KEYS),
  value: fc.constantFrom(...sizes).chain((size) => fc.uint8Array({ minLength: size, maxLength: size })),
  /** 0 = never. */
  expiresAtMs: fc.constantFrom(0, NOW_MS, NOW_MS + 1),
});

test("many keys have the values that each alone has, whatever bytes they are", async () => {
  await using database = await createTestDatabase();
  const { writer, apply } = database;
  const reader = createReader(database.reader);
  fc.assert(
    fc.property(
      fc.uniqueArray(entryArbitrary, { selector: ({ key }) => key, maxLength: 20 }),
      fc.array(fc.constantFrom(...AWKWARD_KEYS, "absent"), { maxLength: 20 }),
      (entries, keys) => {
        writer.exec("DELETE FROM entry");
        const writes = entries.map(({ key, value, expiresAtMs }) => ({ key, value, ttlMs: expiresAtMs }));
        apply([{ type: "set", namespace: "n", items: writes }], 0);
        const wanted = keys.map((key) => {
          const entry = entries.find((each) => each.key === key);
          const isLive = entry !== undefined && entry.expiresAtMs !== NOW_MS;
          return isLive ? Buffer.from(entry.value) : undefined;
        });
        const found = reader.getMany("n", keys, NOW_MS);
        expect(found.map((value) => value && Buffer.from(value))).toEqual(wanted);
        expect(
          keys.map((key) => reader.get("n", key, NOW_MS)).map((value) => value && Buffer.from(value)),
        ).toEqual(wanted);
      },
    ),
  );
});
