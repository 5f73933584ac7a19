// biome-ignore-all lint/suspicious/noTemplateCurlyInString: "${NAME}" is what operators write, not a template.
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Ajv } from "ajv";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { prism } from "../../tests/helpers/process.ts";
import { check } from "./check.ts";
import { readDocument } from "./document.ts";
import { configJsonSchema } from "./json-schema.ts";
import { configSchema } from "./schema.ts";
import { settingsOf } from "./setting.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

// The schema has the pattern of a time beside its format.
const ajv = new Ajv({ allErrors: true, formats: { "date-time": true } });
const validate = ajv.compile(configJsonSchema());

/** Where the schema refuses a file, each place once. */
function refusalsOf(yaml: string): string[] {
  validate(parse(yaml));
  return [...new Set(validate.errors?.map(({ instancePath }) => instancePath))];
}

/** The configurations in a file: all of it, its blocks in Markdown, or strings of a test. */
function yamlIn(file: string): string[] {
  const text = readFileSync(join(ROOT, file), "utf8");
  switch (/\.\w+$/.exec(file)?.[0]) {
    case ".yaml":
      return [text];
    case ".md":
      return [
        ...[...text.matchAll(/```yaml\n(.*?)```/gs)].map(([, block = ""]) => block),
        ...text.split(/^(?! {4}|$)/m).filter((block) => block.startsWith("    ")),
      ].map((block) => block.replace(/^ {4}/gm, ""));
    default:
      return [...text.matchAll(/`([^`]*)`|"(?:[^"\n\\]|\\[n"\\])*"/g)].map(([whole, template]) =>
        template === undefined ? String(JSON.parse(whole)) : template.replaceAll("\\${", "${"),
      );
  }
}

/** Whether a text is a configuration, with any values for its variables. */
function isUsable(yaml: string): boolean {
  const env = Object.fromEntries([...yaml.matchAll(/\$\{(\w+)\}/g)].map(([, name]) => [name, "1"]));
  const value = readDocument(yaml, "", env, [])?.value;
  return Object.keys(Object(value)).length > 0 && check(configSchema, value).ok;
}

describe("the JSON Schema of the configuration", () => {
  const written = globSync(["examples/*.yaml", "*.md", "docs/*.md", "{server,tests}/**/*.test.ts"], {
    cwd: ROOT,
  }).flatMap((file) => yamlIn(file).map((yaml) => ({ file, yaml })));
  const usable = written.filter(({ yaml }) => isUsable(yaml));

  test.each(["examples/", "docs/", "server/config/", "tests/"])(
    "accepts every usable configuration of %s",
    (folder) => {
      const here = usable.filter(({ file }) => file.startsWith(folder));
      expect(here.length).toBeGreaterThan(0);
      for (const { file, yaml } of here) {
        expect({ file, yaml, refusals: refusalsOf(yaml) }).toEqual({ file, yaml, refusals: [] });
      }
    },
  );

  test("accepts variables in place of values of any type", () => {
    expect(
      refusalsOf(`
server: {workers: "\${N}", shutdown_grace_ms: "\${MS:-1}", reload: "\${RELOAD}"}
namespaces: [{name: "\${NAME}", pattern: "\${PATTERN}"}]
metrics: {enabled: "\${ON}"}
tracing: {ratio: "0\${FRACTION}"}
`),
    ).toEqual([]);
  });

  test.each([
    ["serve: {}", ""],
    ["server: {listen_adress: ':1'}", "/server"],
    ["server: {listen_address: 8980}", "/server/listen_address"],
    ["server: {workers: 0}", "/server/workers"],
    ["limits: {max_value_bytes: 4MiB}", "/limits/max_value_bytes"],
    ["metrics: {enabled: 'yes'}", "/metrics/enabled"],
    ["logging: {level: loud}", "/logging/level"],
    ["namespaces: []", "/namespaces"],
    ["namespaces: [{nam: a}]", "/namespaces/0"],
    ["database: {type: mongodb}", "/database/type"],
    ["database: {type: sqlite, path: x, max_byte: 1}", "/database"],
    ["backends: {a: {type: postgres, url: 'postgres://h/d', pool: {max: many}}}", "/backends/a/pool/max"],
    ["backends: {A: {type: memory}}", "/backends"],
    ["auth: {api_keys: [{name: a, hash: secret}]}", "/auth/api_keys/0/hash"],
  ])("refuses %j at %j, as the gateway does", (yaml, place) => {
    expect(check(configSchema, parse(yaml)).ok).toBe(false);
    expect(refusalsOf(yaml)).toContain(place);
  });

  test("is printed by prism config schema", { timeout: 120_000 }, async () => {
    const { code, stdout, stderr } = await prism(["config", "schema"]);
    expect({ code, stderr, schema: JSON.parse(stdout) }).toEqual({
      code: 0,
      stderr: "",
      schema: configJsonSchema(),
    });
  });

  test("has the text of every setting", () => {
    const text = JSON.stringify(configJsonSchema());
    const missing = settingsOf(configSchema).filter(({ help }) => !text.includes(JSON.stringify(help)));
    expect(missing).toEqual([]);
    expect(text).toContain("The most bytes of the database file");
  });
});
