import { expect, test } from "vitest";
import { ConfigError, type Problem, renderPath, renderProblem } from "./problem.ts";

const problem: Problem = {
  file: "prism.yaml",
  line: 7,
  column: 5,
  path: "namespaces[1].backend",
  message: 'no backend "pg"',
};

test("a problem is one line, less what it does not have", () => {
  expect(renderProblem(problem)).toBe('prism.yaml:7:5: namespaces[1].backend: no backend "pg"');
  expect(renderProblem({ ...problem, path: "" })).toBe('prism.yaml:7:5: no backend "pg"');
  expect(renderProblem({ ...problem, line: undefined, column: undefined, path: "" })).toBe(
    'prism.yaml: no backend "pg"',
  );
  expect(
    renderProblem({ ...problem, file: undefined, line: undefined, column: undefined, path: "PRISM_LISTEN" }),
  ).toBe('PRISM_LISTEN: no backend "pg"');
});

test.each([
  [[], ""],
  [["server", "tls"], "server.tls"],
  [["namespaces", 1, "name"], "namespaces[1].name"],
  [["backends", "a.b", "type"], 'backends["a.b"].type'],
  [["a\nb"], '["a\\nb"]'],
])("the path %j", (path, text) => {
  expect(renderPath(path)).toBe(text);
});

test("an error tells its problems in the order of the file and counts those past the fiftieth", () => {
  const lines = Array.from({ length: 53 }, (_, index) => ({ ...problem, line: 53 - index }));
  const error = new ConfigError(lines);
  expect(error.problems.map(({ line }) => line)).toEqual(Array.from({ length: 53 }, (_, index) => index + 1));
  expect(error.message.split("\n")).toHaveLength(51);
  expect(error.message).toMatch(/\n\.\.\. and 3 more$/);
});
