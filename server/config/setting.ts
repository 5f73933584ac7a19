import { z } from "zod";

/** Another way to give a setting. It wins over the file, and a flag wins over a variable. */
export interface Source {
  /** The command-line flag with its dashes. Absent = none. */
  readonly flag?: `--${string}`;
  /** The environment variable. Empty = not set. */
  readonly env: `${"PRISM" | "OTEL"}_${string}`;
  /** The placeholder for the flag's value in the help text. Absent = the flag takes no value. */
  readonly argument?: string;
  /**
   * The help text, and the default, if the flag does something else than the setting. Absent = the
   * setting's own text.
   */
  readonly help?: string;
  /** The type of the text. Absent = the setting's own type. */
  readonly schema?: z.ZodType<string | number>;
  /** The part of the setting that it replaces. Absent = all of it. */
  readonly part?: string;
  /**
   * Converts the checked text to the result of the setting's own schema. `undefined` = it replaces
   * nothing. Folders start at `cwd`.
   */
  readonly toValue?: (text: string, cwd: string) => unknown;
}

/** A setting's declaration, besides its schema, which has its default and bounds. */
interface Declaration {
  /** What the setting does, and what 0 means. This text is in docs/configuration.md. */
  readonly help: string;
  readonly sources: readonly Source[];
}

/** A declared setting and its place in the file. */
export interface Setting extends Declaration {
  /** `["limits", "max_value_bytes"]`. The items of a list are the step `namespaces[]`. */
  readonly path: readonly string[];
  readonly schema: z.ZodType;
}

const declarations = new WeakMap<z.ZodType, Declaration>();

/**
 * Declares a setting. The schema must belong to no other setting. Adds the text for the reference
 * and the other ways to give it.
 */
export function setting<S extends z.ZodType>(schema: S, help: string, ...sources: readonly Source[]): S {
  declarations.set(schema, { help, sources });
  // Where zod looks for texts when it makes a JSON Schema.
  z.globalRegistry.add(schema, { description: help });
  return schema;
}

/** Every declared setting in `schema`, in order. */
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

/** The default in the file's form; `undefined` = none. */
export function defaultOf(schema: z.ZodType): unknown {
  return schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault
    ? schema.def.defaultValue
    : undefined;
}

/** The schema without its default and its optionality. */
export function unwrap(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional) {
    const inner = schema.unwrap();
    return inner instanceof z.ZodType ? unwrap(inner) : schema;
  }
  return schema;
}
