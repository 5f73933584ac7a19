import { expect, test } from "vitest";
import { numberIn, numberInBytes } from "./event-number.ts";

const LONGEST = `0.${"1".repeat(62)}`;

test.each([
  ["0", 0],
  ["-0", 0],
  ["7", 7],
  ["-12.5e3", -12_500],
  ["1E+2", 100],
  ["1e-2", 0.01],
  ["0.10", 0.1],
  ["1.7976931348623157e308", Number.MAX_VALUE],
  ["5e-324", Number.MIN_VALUE],
  ["1e-400", 0],
  [LONGEST, Number(LONGEST)],
])("%j is a number", (text, number) => {
  expect(numberIn(text)).toBe(number);
  expect(numberInBytes(Buffer.from(text))).toBe(number);
});

test.each([
  "",
  " 1",
  "1 ",
  "1\n",
  "+1",
  "01",
  "-01",
  ".5",
  "5.",
  "1e",
  "1e+",
  "-",
  "0x10",
  "1_000",
  "1n",
  "NaN",
  "Infinity",
  "-Infinity",
  "1e309",
  "-1e309",
  "true",
  "null",
  '"1"',
  "1,5",
  "١",
  "１",
  "1\0",
  `${LONGEST}1`,
])("%j is no number", (text) => {
  expect(numberIn(text)).toBeUndefined();
  expect(numberInBytes(Buffer.from(text))).toBeUndefined();
});

test("bytes that are no UTF-8 are no number", () => {
  expect(numberInBytes(Buffer.of(0x31, 0xff))).toBeUndefined();
  expect(numberInBytes(Buffer.of(0x31, 0xb9))).toBeUndefined();
});

test("a payload is a part of its buffer", () => {
  expect(numberInBytes(Buffer.from("1234").subarray(1, 3))).toBe(23);
});
