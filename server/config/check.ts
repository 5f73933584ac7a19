import { z } from "zod";
import { oneOf } from "../nearest.ts";
import { renderPath } from "./problem.ts";

/** A finding of {@link check} or {@link checkNames}: a setting and what is wrong with it. */
export interface Finding {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/** The result of {@link check}. */
export type Checked<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly findings: readonly Finding[] };

/** The operator's text at a path, to be quoted in messages; "" = there is nothing to quote. */
export type SourceOf = (path: readonly PropertyKey[]) => string;

/** Enough of a value to find it by. */
const MAX_QUOTED = 60;

const NO_SOURCE: SourceOf = () => "";

/**
 * Runs a schema and words its issues: what was expected and what was found. A message of the schema
 * itself is kept. Values are quoted only through `sourceOf`, so none comes from the environment.
 */
export function check<T>(schema: z.ZodType<T>, value: unknown, sourceOf: SourceOf = NO_SOURCE): Checked<T> {
  const knownKeys = new Map<string, readonly string[]>();
  const result = schema.safeParse(value, {
    reportInput: true,
    error: (issue) => {
      if (issue.code === "unrecognized_keys" && issue.inst instanceof z.ZodObject) {
        knownKeys.set(renderPath(issue.path ?? []), Object.keys(issue.inst.shape));
      }
      // Empty = the schema has no message of its own; `describe` words it.
      return "";
    },
  });
  if (result.success) {
    return { ok: true, value: result.data };
  }
  const findings = result.error.issues.flatMap((issue): Finding[] => {
    if (issue.code !== "unrecognized_keys") {
      return [{ path: issue.path, message: describe(issue, sourceOf(issue.path)) }];
    }
    const known = knownKeys.get(renderPath(issue.path)) ?? [];
    return issue.keys.map((key) => ({
      path: [...issue.path, key],
      message: `unknown key; ${oneOf(known, key)}`,
    }));
  });
  return { ok: false, findings };
}

function describe(issue: z.core.$ZodIssue, source: string): string {
  if (issue.message !== "") {
    return issue.message;
  }
  switch (issue.code) {
    case "invalid_type":
      return (
        (typeof issue.input === "string" ? withUnit(issue.path, source) : undefined) ??
        wrongType(EXPECTED[issue.expected] ?? issue.expected, issue.input)
      );
    case "invalid_value":
      return `expected one of: ${issue.values.join(", ")}; ${found(issue.input, source)}`;
    case "invalid_union": {
      // The stores' schemas are told apart by `type`. The issue's path ends with it; its input is
      // the whole mapping.
      const { discriminator, options } = issue as { discriminator?: string; options?: unknown[] };
      const type = (issue.input as Record<string, unknown>)[discriminator ?? ""];
      return `expected one of: ${options?.join(", ")}; ${found(type, source)}`;
    }
    case "too_small":
      return `expected ${amount("at least", issue.minimum, issue.origin)}, ${found(issue.input, source)}`;
    case "too_big":
      return `expected ${amount("at most", issue.maximum, issue.origin)}, ${found(issue.input, source)}`;
    case "invalid_key":
      return issue.issues.map((inner) => describe(inner, "")).join("; ");
    default:
      return "not valid";
  }
}

const EXPECTED: Readonly<Record<string, string>> = {
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "a boolean",
  array: "a list",
  object: "a mapping",
  record: "a mapping",
};

function wrongType(expected: string, input: unknown): string {
  if (input === undefined) {
    return `missing; expected ${expected}`;
  }
  // YAML made `8980` a number before the schema asked for text.
  const hint = expected === "text" && typeof input !== "object" ? "; put it in quotes to make it text" : "";
  return `expected ${expected}, ${found(input, "")}${hint}`;
}

/**
 * Units that operators write, by the last word of the setting's name. Each is given in the
 * setting's own unit.
 */
const UNITS: Readonly<
  Record<string, { readonly unit: string; readonly sizes: Readonly<Record<string, number>> }>
> = {
  ms: {
    unit: "milliseconds",
    sizes: { ms: 1, s: 1_000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 },
  },
  bytes: {
    unit: "bytes",
    sizes: {
      b: 1,
      k: 1024,
      kb: 1_000,
      kib: 1024,
      m: 1024 ** 2,
      mb: 1_000_000,
      mib: 1024 ** 2,
      g: 1024 ** 3,
      gb: 1_000_000_000,
      gib: 1024 ** 3,
    },
  },
};

/**
 * The number to write instead of `10s` or `4MB`. `undefined` = the text is no amount with a unit,
 * or the setting has none.
 */
function withUnit(path: readonly PropertyKey[], source: string): string | undefined {
  const kind = UNITS[String(path.at(-1)).split("_").at(-1) ?? ""];
  const [, amount, unit = ""] = /^(\d{1,9}(?:\.\d{1,3})?)\s*([a-z]*)$/i.exec(source) ?? [];
  if (kind === undefined || amount === undefined) {
    return undefined;
  }
  const size =
    unit === "" ? 1 : Object.hasOwn(kind.sizes, unit.toLowerCase()) && kind.sizes[unit.toLowerCase()];
  if (typeof size !== "number") {
    return undefined;
  }
  const number = Math.round(Number(amount) * size);
  return `expected a number of ${kind.unit}; for ${source} write ${number}${unit === "" ? ", without quotes" : ""}`;
}

function amount(bound: string, limit: number | bigint, origin: string): string {
  if (origin === "string") {
    return limit === 1 ? "text that is not empty" : `text of ${bound} ${limit} characters`;
  }
  return origin === "array" ? `a list of ${bound} ${limit} items` : `${bound} ${limit}`;
}

function found(value: unknown, source: string): string {
  if (value === undefined) {
    return "but it is missing";
  }
  if (source === "") {
    return `found ${typeName(value)}`;
  }
  return `found ${typeof value === "string" ? quote(source) : source}`;
}

/** `source` in double quotes, on one line, shortened. */
export function quote(source: string): string {
  return JSON.stringify(shorten(source));
}

/** Enough of a text to find it by. */
export function shorten(text: string): string {
  return text.length <= MAX_QUOTED ? text : `${text.slice(0, MAX_QUOTED)}...`;
}

function typeName(value: unknown): string {
  if (value === null) {
    return "nothing";
  }
  if (Array.isArray(value)) {
    return "a list";
  }
  switch (typeof value) {
    case "string":
      return value === "" ? "empty text" : "text";
    case "number":
      return Number.isFinite(value) ? "a number" : "no finite number";
    case "boolean":
      return "a boolean";
    default:
      return "a mapping";
  }
}
