// biome-ignore-all lint/suspicious/noTemplateCurlyInString: "${NAME}" is what operators write, not a template.
import { expect, test } from "vitest";
import { readDocument } from "./document.ts";
import { type Problem, renderProblem } from "./problem.ts";

function read(yaml: string, env: Record<string, string> = {}) {
  const problems: Problem[] = [];
  const document = readDocument(yaml, "f", env, problems);
  return { document, value: document?.value, problems: problems.map(renderProblem) };
}

test.each([
  ["a: ${N}", { a: 5 }],
  ["a: 8${N}", { a: 85 }],
  ["a: ${T}", { a: true }],
  ["a: ${EMPTY}", { a: null }],
  ["a: ${UNSET:-7}", { a: 7 }],
  ["a: ${UNSET:-}", { a: null }],
  ['a: "${N}"', { a: "5" }],
  ["a: '${N}'", { a: "5" }],
  ["a: |\n  ${N}\n", { a: "5\n" }],
  ["a: !!str ${N}", { a: "5" }],
  ["a: ${YAML}", { a: "{b: [1]}\nc: 2" }],
  ["a: localhost:${N}", { a: "localhost:5" }],
  ["a: $${N}", { a: "${N}" }],
  ['- ${N}\n- ["${N}"]', [5, ["5"]]],
  ["${N}: 1", { "${N}": 1 }],
  ["a: # ${UNSET}\n  1", { a: 1 }],
])("%j is read as %j", (yaml, expected) => {
  const { value, problems } = read(yaml, { N: "5", T: "true", EMPTY: "", YAML: "{b: [1]}\nc: 2" });
  expect(problems).toEqual([]);
  expect(value).toEqual(expected);
});

test.each([
  [
    "a:\n  - ${X}\n  - b: ${Y}",
    'f:2:5: a[0]: environment variable X is not set; "${X:-...}" gives a default',
    'f:3:5: a[1].b: environment variable Y is not set; "${Y:-...}" gives a default',
  ],
  ["a: ${X", 'f:1:1: a: expected "${NAME}" or "${NAME:-default}"; write "$${" for a literal "${"'],
  ["a: &x 1\nb: *x", "f:2:1: b: aliases (*x) are not supported; write the value out"],
  ["a: &x [*x]", "f:1:8: a[0]: aliases (*x) are not supported; write the value out"],
  ["a: 1\nb: 2\na: 3", "f:3:1: a: the key is there twice"],
  [
    'a: {b: ~, "b": 2, c: 3, b: 4}',
    "f:1:11: a.b: the key is there twice",
    "f:1:25: a.b: the key is there twice",
  ],
  ["a: *x", "f:1:1: a: aliases (*x) are not supported; write the value out"],
])("%j has a value that cannot be read", (yaml, ...expected) => {
  const { document, problems } = read(yaml);
  expect(problems).toEqual(expected);
  expect(document).toBeDefined();
});

test.each([
  [
    "a: 1\nb: [1,\n",
    "f:3:1: Flow sequence in block collection must be sufficiently indented and end with a ]",
  ],
  ["a: 1\n---\nb: 2", "f:2:1: expected one YAML document, found several"],
  ["a: b: c", "f:1:4: Nested mappings are not allowed in compact mappings"],
  ["a:\n\t- b", "f:2:1: Tabs are not allowed as indentation"],
  ["a: !env X", "f:1:4: Unresolved tag: !env"],
  ["a: !!binary aGk=", "f:1:4: Unresolved tag: tag:yaml.org,2002:binary"],
  ["? [a]\n: 1", "f:1:3: With stringKeys, all keys must be strings"],
  ["a: [*]", 'f:1:5: Alias cannot be an empty string; a value that starts with "*" must be in quotes'],
  ["a: {b: ${X}}", "f:1:9: Unexpected flow-map-start at node end"],
])("%j is no YAML that Prism takes", (yaml, expected) => {
  const { document, problems } = read(yaml);
  expect(problems).toEqual([expected]);
  expect(document).toBeUndefined();
});

test("a bomb of aliases goes no further than its first alias", () => {
  const bomb = `a: &a [x, x]\nb: &b [*a, *a]\n${"c: &c [*b, *b]\n".replaceAll("c", "d")}`;
  const { problems } = read(bomb);
  expect(problems[0]).toBe("f:2:8: b[0]: aliases (*a) are not supported; write the value out");
  expect(problems).toHaveLength(4);
});

test.each(["[", "{", "- "])("%j, 10,000 times, is a problem and no crash", (nested) => {
  const { document, problems } = read(nested.repeat(10_000));
  expect(problems).toHaveLength(1);
  expect(problems[0]).toMatch(/^f:1:\d+: nested too deeply$/);
  expect(document).toBeUndefined();
});

test("many keys take no time that grows with their square", () => {
  const { value } = read(Array.from({ length: 40_000 }, (_, index) => `k${index}: v\n`).join(""));
  expect(Object.keys(value as object)).toHaveLength(40_000);
});

test("a place is that of the key or item; of a missing setting it is that of the enclosing one", () => {
  const { document } = read('a:\n  b: "x"\n  c:\n    - ${V}\n', { V: "v" });
  const at = (...path: (string | number)[]) => document?.placeOf(path);
  expect(at("a", "b")).toEqual({ line: 2, column: 3, source: "x" });
  expect(at("a", "c", 0)).toEqual({ line: 4, column: 7, source: "${V}" });
  expect(at("a", "c", 1, "z")).toMatchObject({ line: 3, column: 3 });
  expect(at("z")).toMatchObject({ line: 1, column: 1 });
  expect(document?.sourceOf(["a", "c", 0])).toBe("${V}");
  expect(document?.sourceOf(["a", "z"])).toBe("");
});

test("a key of any name is a key and nothing more", () => {
  const { value } = read("__proto__: {x: 1}\nconstructor: 2\n1: 3\nnull: 4");
  expect(Object.keys(value as object).toSorted()).toEqual(["1", "__proto__", "constructor", "null"]);
  expect((value as { x?: unknown }).x).toBeUndefined();
});
