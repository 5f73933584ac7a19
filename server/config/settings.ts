import { z } from "zod";
import { check } from "./check.ts";
import { type Problem, renderPath } from "./problem.ts";
import { configSchema } from "./schema.ts";
import { defaultOf, type Setting, type Source, settingsOf, unwrap } from "./setting.ts";

/** Where the file is, which no file can say. */
const CONFIG_FILE = {
  flag: "--config",
  env: "PRISM_CONFIG",
  argument: "FILE",
  help: "configuration file (YAML); without one everything has its default",
} as const satisfies Source;

/** Every setting of a configuration file that has a text, in the file's order. */
export const SETTINGS: readonly Setting[] = settingsOf(configSchema);

/** Everything that can be given by a flag or a variable, with its whole help text. */
export const SOURCES: readonly (Source & { readonly help: string })[] = [
  CONFIG_FILE,
  ...SETTINGS.flatMap((setting) =>
    setting.sources.map((source) => ({ ...source, help: helpOf(setting, source) })),
  ),
];

function helpOf({ path, schema, help }: Setting, source: Source): string {
  const key = renderPath(path);
  if (source.help !== undefined) {
    return `${key}: ${source.help}`;
  }
  const inner = unwrap(schema);
  const facts = [
    ...(inner instanceof z.ZodEnum ? [`one of ${inner.options.join(", ")}`] : []),
    `default ${defaultOf(schema) ?? "none"}`,
  ];
  return `${key}: ${help} (${facts.join("; ")})`;
}

/** Environment variables, as `process.env` has them. */
export type Env = Readonly<Record<string, string | undefined>>;

/** What the flags of `prism serve` said, by their names without dashes; `--config` apart. True = a flag without a value is there. */
export type Flags = Readonly<Record<string, string | boolean | undefined>>;

/** A value that takes the place of the file's. */
export interface Override {
  readonly path: readonly string[];
  /** What the setting's schema makes. */
  readonly value: unknown;
}

/** The file that PRISM_CONFIG names, or `undefined`. */
export function configFileOf(env: Env): string | undefined {
  return env[CONFIG_FILE.env] || undefined;
}

/**
 * Reads and checks flags and environment variables; every one that is given is checked, also where a stronger one
 * wins. Of the answer the later wins. What is wrong goes to `problems`, by flag or variable and without its value.
 */
export function readOverrides(env: Env, flags: Flags, cwd: string, problems: Problem[]): readonly Override[] {
  const fromEnv = (source: Source) => given(source.env, env[source.env] || undefined);
  const fromFlags = ({ flag }: Source) => flag && given(flag, flags[flag.slice(2)]);
  return [fromEnv, fromFlags].flatMap((find) =>
    SETTINGS.flatMap((setting) => readSetting(setting, find, cwd, problems)),
  );
}

interface Given {
  /** The flag or the variable. */
  readonly label: string;
  readonly text: string;
}

function given(label: string, value: string | boolean | undefined): Given | undefined {
  return value === undefined || value === false ? undefined : { label, text: String(value) };
}

/** What flags alone, or variables alone, say of a setting. */
function readSetting(
  { path, schema, sources }: Setting,
  find: (source: Source) => Given | undefined,
  cwd: string,
  problems: Problem[],
): readonly Override[] {
  const refuse = (label: string, message: string) =>
    problems.push({ file: undefined, line: undefined, column: undefined, path: label, message });
  const overrides: Override[] = [];
  let first: string | undefined;
  for (const source of sources) {
    const found = find(source);
    if (found === undefined) {
      continue;
    }
    const { label, text } = found;
    const checked = check<unknown>(source.schema ?? schema, numberOrText(source.schema ?? schema, text));
    if (!checked.ok) {
      for (const { message } of checked.findings) {
        refuse(label, message);
      }
      continue;
    }
    const value = source.toValue === undefined ? checked.value : source.toValue(text, cwd);
    if (value === undefined) {
      continue;
    }
    if (first === undefined) {
      first = label;
    } else {
      refuse(label, `cannot be combined with ${first}: both set ${renderPath(path)}`);
    }
    overrides.push({ path: source.part === undefined ? path : [...path, source.part], value });
  }
  return overrides;
}

/** A flag's or a variable's text as the file would have it: digits are a number where one is wanted. */
function numberOrText(schema: z.ZodType, text: string): string | number {
  return unwrap(schema) instanceof z.ZodNumber && /^-?\d{1,15}$/.test(text) ? Number(text) : text;
}
