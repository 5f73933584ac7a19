import { describe, expect, test } from "vitest";
import { isPrinted, readCommands, readProgram } from "./expected.ts";
import { readBlocks } from "./markdown.ts";

const page = (...lines: string[]) => lines.join("\n");

describe("the blocks of a page", () => {
  test("have a language, a line, a file's name, and a reason not to be run", () => {
    const text = page(
      "```yaml",
      "# prism.yaml",
      "a: 1",
      "```",
      "<!-- not run: needs Docker -->",
      "```sh",
      "docker ps",
      "```",
    );
    expect(readBlocks(text)).toEqual([
      { language: "yaml", text: "# prism.yaml\na: 1", line: 1, notRun: undefined, file: "prism.yaml" },
      { language: "sh", text: "docker ps", line: 6, notRun: "needs Docker", file: undefined },
    ]);
  });

  test.each([
    ["an indented block", page("text", "", "    make run"), "line 3: an indented block"],
    ["a block without a language", page("```", "x", "```"), "line 1: a block"],
    ["an unknown language", page("```python", "x", "```"), "line 1: a block"],
    ["a block without an end", page("", "```sh", "x"), "line 2: a block"],
  ])("are refused: %s", (_what, text, message) => {
    expect(() => readBlocks(text)).toThrow(message);
  });
});

describe("the commands of a block", () => {
  test("have what they print behind them or below, and their exit code", () => {
    const text = page(
      "# A remark.",
      "one # => 1",
      "curl \\",
      "  -d 'a",
      "b'",
      "# => first",
      "# => second",
      "",
      "two 'x'   # exit code 4",
      "cat <<END",
      "# => no output",
      "END",
    );
    expect(readCommands(text)).toEqual([
      { text: "one # => 1", output: "1", code: 0 },
      { text: "curl \\\n  -d 'a\nb'", output: "first\nsecond", code: 0 },
      { text: "two 'x'   # exit code 4", output: undefined, code: 4 },
      { text: "cat <<END\n# => no output\nEND", output: undefined, code: 0 },
    ]);
  });

  test("are refused where one does not end", () => {
    expect(() => readCommands("echo 'a")).toThrow("a command that does not end");
  });

  test("are one for a program", () => {
    expect(readProgram("log(1); // => 1\nlog(2);\n// => 2", "node a.ts").output).toBe("1\n2");
  });
});

test.each([
  ["hello", "hello\n", true],
  ["hello", "hello there", false],
  ["hel...", "hello\n", true],
  ["a.c", "abc", false],
  ['{"a":"x y",...}', '{ "a": "x y",\n "b": 1 }', true],
  ['{"a":"x y"}', '{"a":"xy"}', false],
])("%s stands for %s: %s", (expected, printed, is) => {
  expect(isPrinted(expected, printed)).toBe(is);
});
