import { expect, test } from "vitest";
import { load, store } from "./stored-value.ts";

test.each([0, 1, 512, 513, 100_000])(
  "a value of %i bytes, all of them different from their neighbours",
  (length) => {
    const request = Buffer.alloc(
      length + 2,
      Uint8Array.from({ length: 256 }, (_, i) => i),
    );
    const value = request.subarray(1, length + 1);
    const wanted = Buffer.from(value);
    const stored = store(value);
    request.fill(0);
    expect(wanted.equals(load(stored))).toBe(true);
  },
);
