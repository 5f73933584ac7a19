import { expect, test } from "vitest";
import {
  formatTraceparent,
  isSurelyNotSampled,
  parseTraceparent,
  randomSpanId,
  randomTraceId,
} from "./trace-context.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";

test.each([
  [`00-${TRACE}-${SPAN}-01`, true],
  [`00-${TRACE}-${SPAN}-00`, false],
  [`00-${TRACE}-${SPAN}-ff`, true],
  [`cc-${TRACE}-${SPAN}-01`, true],
  [`cc-${TRACE}-${SPAN}-01-what-comes-later`, true],
])("%s", (header, sampled) => {
  expect(parseTraceparent(header)).toEqual({ traceId: TRACE, spanId: SPAN, sampled });
});

test.each([
  undefined,
  "",
  `00-${TRACE}-${SPAN}`,
  `00-${TRACE}-${SPAN}-1`,
  `00-${TRACE}-${SPAN}-01-more`,
  `00-${TRACE}-${SPAN}-01 `,
  `cc-${TRACE}-${SPAN}-01.more`,
  `ff-${TRACE}-${SPAN}-01`,
  `00-${TRACE.toUpperCase()}-${SPAN}-01`,
  `00-${"0".repeat(32)}-${SPAN}-01`,
  `00-${TRACE}-${"0".repeat(16)}-01`,
  // Two headers.
  `00-${TRACE}-${SPAN}-01, 00-${TRACE}-${SPAN}-01`,
])("no traceparent: %s", (header) => {
  expect(parseTraceparent(header)).toBeUndefined();
});

test.each([..."0123456789abcdef"])("the last digit %s says whether it is sampled", (digit) => {
  const header = `00-${TRACE}-${SPAN}-0${digit}`;
  expect(isSurelyNotSampled(header)).toBe(!parseTraceparent(header)?.sampled);
  expect(isSurelyNotSampled(`${header}-more`)).toBe(false);
});

test("what is written is read", () => {
  const parent = { traceId: randomTraceId(), spanId: randomSpanId(), sampled: true };
  expect(parseTraceparent(formatTraceparent(parent))).toEqual(parent);
});
