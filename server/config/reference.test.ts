import { describe, expect, test } from "vitest";
import { z } from "zod";
import { helpText } from "../command/help.ts";
import { loadConfig } from "./load.ts";
import { type Setting, settingsOf } from "./setting.ts";
import { SETTINGS, SOURCES } from "./settings.ts";

const INTRODUCTION = `# Configuration

Every key of a configuration file, made from the declarations in server/config/schema.ts: do not edit.
After a change there run \`make test ARGS="server/config/reference.test.ts -u"\`.
Times are in milliseconds, sizes in bytes; file names are relative to the folder of the file.
A flag wins over its variable, the variable over the file, and the file over the default.

| key | takes | default | flag, variable | what it does |
| --- | ----- | ------- | -------------- | ------------ |
`;

/** The used parts of a setting's JSON schema. */
interface Facts {
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly default?: unknown;
}

const code = (text: string) => `\`${text}\``;

/** JSON types in the words of the configuration's messages. */
const TYPES: Readonly<Record<string, string>> = {
  string: "text",
  object: "a mapping",
  array: "a list",
};

function takes({ type, enum: values, minimum, maximum }: Facts): string {
  if (values !== undefined) {
    return values.map(code).join(", ");
  }
  return minimum === undefined ? (TYPES[type ?? ""] ?? "") : `${minimum} to ${maximum}`;
}

function row({ path, schema, help, sources }: Setting): string {
  const facts = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as Facts;
  const value = facts.default === undefined ? "" : code(JSON.stringify(facts.default));
  const names = sources.flatMap(({ flag = [], env }) => [flag, env].flat());
  return `| ${[code(path.join(".")), takes(facts), value, names.map(code).join(", "), help].join(" | ")} |\n`;
}

test("docs/configuration.md says what the settings declare", async () => {
  const text = INTRODUCTION + SETTINGS.map(row).join("");
  await expect(text).toMatchFileSnapshot("../../docs/configuration.md");
});

describe("every declaration", () => {
  test("has a key, a flag and a variable of its own", () => {
    const keys = SETTINGS.map(({ path }) => path.join("."));
    const names = SOURCES.flatMap(({ flag = [], env }) => [flag, env].flat());
    expect(new Set(keys).size).toBe(keys.length);
    expect(new Set(names).size).toBe(names.length);
  });

  test("of a limit with a flag is all that it takes: help, bounds, text and number", async () => {
    // A schema without a call of `setting` is no setting.
    const undeclared = z.strictObject({ max_things: z.number().default(3) });
    expect(settingsOf(undeclared)).toEqual([]);
    expect(await helpText("serve")).toContain("PRISM_MAX_VALUE_BYTES");
    const load = (text: string) =>
      loadConfig({ env: { PRISM_MAX_VALUE_BYTES: text }, flags: {}, cwd: "/", checkFiles: false });
    expect(load("1024").limits.maxValueBytes).toBe(1024);
    expect(load("").limits.maxValueBytes).toBe(4 * 1024 * 1024);
    const refused = "PRISM_MAX_VALUE_BYTES: expected";
    expect(() => load("0")).toThrow(`${refused} at least 1, found a number`);
    expect(() => load("67108865")).toThrow(`${refused} at most 67108864, found a number`);
    expect(() => load("1.5")).toThrow(`${refused} a number, found text`);
    expect(() => load("4 MiB")).toThrow(`${refused} a number, found text`);
  });
});
