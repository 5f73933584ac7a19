import { describe, expect, test } from "vitest";
import { NotEditable, putNamespace, removeNamespace } from "./edit-namespaces.ts";

const NEW = { name: "new", backend: "m", limits: { max_rps: 5 }, made: { version: 1 } };

const FILE = `# The gateway of the shop.
server:   {listen_address: ":8980"}   # as everywhere

namespaces:
  # Orders stay for ten years.
  - name: orders # not "order"
    backend: main

  - {name: carts,   backend: fast}
  # - name: later
logging: {level: info}
`;

describe("putNamespace", () => {
  test("adds an item behind the last one and changes nothing else", () => {
    expect(putNamespace(FILE, NEW)).toBe(
      FILE.replace(
        "fast}\n",
        `fast}
  - name: new
    backend: m
    limits:
      max_rps: 5
    made:
      version: 1
`,
      ),
    );
  });

  test("changes an item in its place: comments and what is the same stay", () => {
    const block = putNamespace(FILE, { name: "orders", backend: "main", limits: { max_rps: 1 } });
    expect(block).toBe(
      FILE.replace("    backend: main\n", "    backend: main\n    limits:\n      max_rps: 1\n"),
    );
    expect(putNamespace(block, { name: "orders", backend: "other" })).toBe(
      FILE.replace("backend: main", "backend: other"),
    );
    expect(putNamespace(FILE, { name: "carts", limits: { max_rps: 1 } })).toBe(
      FILE.replace("{name: carts,   backend: fast}", "{name: carts, limits: {max_rps: 1}}"),
    );
  });

  test.each([
    ["namespaces:\n- name: a", "namespaces:\n- name: a\n- name: new\n"],
    ["namespaces:\n-   name: a\n# end\n", "namespaces:\n-   name: a\n-   name: new\n# end\n"],
    ["namespaces: [{name: a}] # one\n", "namespaces: [{name: a}, {name: new}] # one\n"],
    ["namespaces: [\n  {name: a},\n]\n", "namespaces: [\n  {name: a}, {name: new},\n]\n"],
    ['{"namespaces": [{"name": "a"}]}', '{"namespaces": [{"name": "a"}, {name: new}]}'],
    ["", "namespaces:\n  - name: default\n  - name: new\n"],
    ["# nothing", "# nothing\nnamespaces:\n  - name: default\n  - name: new\n"],
    ["admin: {}\n", "admin: {}\nnamespaces:\n  - name: default\n  - name: new\n"],
    ["{admin: {}}\n", "{admin: {}, namespaces: [{name: default}, {name: new}]}\n"],
  ])("in %j", (text, expected) => {
    expect(putNamespace(text, { name: "new" })).toBe(expected);
  });

  test.each(["namespaces: {}", "namespaces: [", "{}", "text", "namespaces:\n  -\n    name: a\n"])(
    "refuses %j",
    (text) => {
      expect(() => putNamespace(text, NEW)).toThrow(NotEditable);
    },
  );

  test("quotes what would be read as something else", () => {
    const keys = ["yes: no", "12", "null", " a", "*", 'k: "ü"\n#', "é\u2028"];
    const text = putNamespace("", { name: "a", keys });
    expect(putNamespace(text, { name: "a", keys })).toBe(text);
  });
});

describe("removeNamespace", () => {
  test("undoes what putNamespace added", () => {
    for (const text of [FILE, "namespaces: [{name: a}] # one\n", "namespaces:\n- name: a\n"]) {
      expect(removeNamespace(putNamespace(text, NEW), "new")).toBe(text);
    }
  });

  test("takes out the lines of an item, and of a list in brackets the item", () => {
    expect(removeNamespace(FILE, "orders")).toBe(
      FILE.replace('  - name: orders # not "order"\n    backend: main\n', ""),
    );
    expect(removeNamespace(FILE, "carts")).toBe(FILE.replace("  - {name: carts,   backend: fast}\n", ""));
    expect(removeNamespace("namespaces: [{name: a}, {name: b}]", "a")).toBe("namespaces: [{name: b}]");
  });

  test("refuses one that is not there, and the only one", () => {
    expect(() => removeNamespace(FILE, "none")).toThrow('it has no namespace "none"');
    expect(() => removeNamespace("namespaces: [{name: a}]", "a")).toThrow("its only namespace");
    expect(() => removeNamespace("", "a")).toThrow(NotEditable);
  });
});
