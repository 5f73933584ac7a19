import { expect, test } from "vitest";
import { KnownCredentials } from "./known-credentials.ts";

test("what is known is known until its time is over", () => {
  const known = new KnownCredentials<string>();
  known.set("a", "first", 10);
  expect([known.get("a", 9), known.get("a", 10), known.get("b", 0)]).toEqual(["first", undefined, undefined]);
  known.set("a", "second", 20);
  expect([known.get("a", 10), known.size]).toEqual(["second", 1]);
  known.clear();
  expect([known.get("a", 10), known.size]).toEqual([undefined, 0]);
});

test("the oldest goes where there are too many", () => {
  const known = new KnownCredentials<number>();
  for (let i = 0; i <= 10_000; i++) {
    known.set(`${i}`, i, 1);
  }
  expect([known.size, known.get("0", 0), known.get("1", 0)]).toEqual([10_000, undefined, 1]);
  known.set("1", -1, 1);
  known.set("new", 0, 1);
  expect([known.get("1", 0), known.get("2", 0)]).toEqual([-1, undefined]);
});

test("or where they are too large", () => {
  const known = new KnownCredentials<number>();
  for (let i = 0; i < 2000; i++) {
    known.set(`${i}`.padEnd(8192), i, 1);
  }
  expect([known.size, known.get("1999".padEnd(8192), 0)]).toEqual([1024, 1999]);
});
