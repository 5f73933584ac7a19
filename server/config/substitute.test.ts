// biome-ignore-all lint/suspicious/noTemplateCurlyInString: "${NAME}" is what operators write, not a template.
import { expect, test } from "vitest";
import { substitute } from "./substitute.ts";

const env = { A: "one", B: "", NESTED: "${A}", _x9: "y" };

test.each([
  ["", ""],
  ["plain $A $ {A}", "plain $A $ {A}"],
  ["${A}", "one"],
  ["<${A}-${A}>", "<one-one>"],
  ["${B}", ""],
  ["${_x9}", "y"],
  ["${A:-two}", "one"],
  ["${B:-two}", "two"],
  ["${C:-two}", "two"],
  ["${C:-}", ""],
  ["${C:-:-x y}", ":-x y"],
  ["${C:-a$b$}", "a$b$"],
  ["${NESTED}", "${A}"],
  ["$${A}", "${A}"],
  ["$$${A}", "$${A}"],
  ["$${A} is ${A}", "${A} is one"],
])("%j becomes %j", (text, expected) => {
  expect(substitute(text, env)).toEqual({ text: expected });
});

test.each([
  ["${C}", /^environment variable C is not set/],
  ["${A} ${C} ${D}", /variable C is not set/],
  ["${constructor}", /variable constructor is not set/],
  ["${}", /^expected "\$\{NAME\}"/],
  ["${A", /^expected/],
  ["${1}", /^expected/],
  ["${A-two}", /^expected/],
  ["${A B}", /^expected/],
  ["${A:-${B}", /^expected/],
])("%j is refused", (text, message) => {
  expect(substitute(text, env)).toEqual({ error: expect.stringMatching(message) });
});

// Searching to the end of the text from each of them would take minutes.
test("a hundred thousand references that are not closed", () => {
  expect(substitute("${a:-".repeat(100_000), env)).toEqual({ error: expect.stringMatching(/^expected/) });
});
