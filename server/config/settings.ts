import { z } from "zod";
import { check } from "./check.ts";
import { type Problem, renderPath } from "./problem.ts";
import { configSchema } from "./schema.ts";
import { defaultOf, type Setting, type Source, settingsOf, unwrap } from "./setting.ts";

/** The name of the file itself, which no file can set. */
const CONFIG_FILE = {
  flag: "--config",
  env: "PRISM_CONFIG",
  argument: "FILE",
  help: "configuration file (YAML); without one everything has its default",
} as const satisfies Source;

/** Every setting of the file that has a text, in the file's order. */
export const SETTINGS: readonly Setting[] = settingsOf(configSchema);

/** Every flag and variable, with its whole help text. */
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

/**
 * The flags of `prism serve` by name without dashes, except `--config`. True = a flag without a
 * value is given.
 */
export type Flags = Readonly<Record<string, string | boolean | undefined>>;

/** A value that replaces the file's. */
export interface Override {
  readonly path: readonly string[];
  /** The result of the setting's schema. */
  readonly value: unknown;
}

/** The file in PRISM_CONFIG, or `undefined`. */
export function configFileOf(env: Env): string | undefined {
  return env[CONFIG_FILE.env] || undefined;
}

/**
 * Reads and checks flags and environment variables, including those that a stronger one overrides.
 * In the result a later entry wins. Faults go to `problems` with the flag or variable, without its
 * value.
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

/** Reads a setting from the flags alone, or from the variables alone. */
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

/** A flag's or variable's text in the file's form: digits become a number where one is wanted. */
function numberOrText(schema: z.ZodType, text: string): string | number {
  return unwrap(schema) instanceof z.ZodNumber && /^-?\d{1,15}$/.test(text) ? Number(text) : text;
}
