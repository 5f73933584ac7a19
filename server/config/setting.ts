import { z } from "zod";

/** A way to give a setting outside the file. It wins over the file, and a flag wins over a variable. */
export interface Source {
  /** The command-line flag with its dashes. Absent = there is none. */
  readonly flag?: `--${string}`;
  /** The environment variable. Empty counts as not set. */
  readonly env: `PRISM_${string}`;
  /** What stands for the flag's value in the help text. Absent = the flag takes none. */
  readonly argument?: string;
  /** For the help text, where it does something else than the setting: what, and its default. Absent = the setting's own text. */
  readonly help?: string;
  /** What the text may be. Absent = what the setting itself may be. */
  readonly schema?: z.ZodType<string | number>;
  /** The part of the setting that it replaces. Absent = all of it. */
  readonly part?: string;
  /** Makes of the checked text what the setting's own schema would. `undefined` = nothing is replaced. Folders start at `cwd`. */
  readonly toValue?: (text: string, cwd: string) => unknown;
}

/** What a setting declares beside its schema, which has its default and its bounds. */
interface Declaration {
  /** What it does, and what its zero means. The reference in docs/configuration.md has this text. */
  readonly help: string;
  readonly sources: readonly Source[];
}

/** A declared setting and where it stands in the file. */
export interface Setting extends Declaration {
  /** `["limits", "max_value_bytes"]`; the items of a list are the step `namespaces[]`. */
  readonly path: readonly string[];
  readonly schema: z.ZodType;
}

const declarations = new WeakMap<z.ZodType, Declaration>();

/** Declares a setting, a schema that is no other's: the schema itself, its text for the reference, and how else it can be given. */
export function setting<S extends z.ZodType>(schema: S, help: string, ...sources: readonly Source[]): S {
  declarations.set(schema, { help, sources });
  return schema;
}

/** Every declared setting in `schema`, in its order. */
export function settingsOf(schema: z.ZodType, path: readonly string[] = []): readonly Setting[] {
  const declaration = declarations.get(schema);
  const own = declaration === undefined ? [] : [{ ...declaration, path, schema }];
  const inner = unwrap(schema);
  if (inner instanceof z.ZodObject) {
    const shape: Readonly<Record<string, z.ZodType>> = inner.shape;
    return [...own, ...Object.entries(shape).flatMap(([key, each]) => settingsOf(each, [...path, key]))];
  }
  if (inner instanceof z.ZodArray && inner.element instanceof z.ZodType) {
    return [...own, ...settingsOf(inner.element, [...path.slice(0, -1), `${path.at(-1)}[]`])];
  }
  return own;
}

/** The default as the file would have it; `undefined` = there is none. */
export function defaultOf(schema: z.ZodType): unknown {
  return schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault
    ? schema.def.defaultValue
    : undefined;
}

/** Without its default, and without being optional. */
export function unwrap(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional) {
    const inner = schema.unwrap();
    return inner instanceof z.ZodType ? unwrap(inner) : schema;
  }
  return schema;
}
