import { Code } from "@connectrpc/connect";
import { describe, type Value } from "./convert.ts";
import { invalidField, PrismError } from "./errors.ts";

/** How values of one type are stored. `client.keyvalue.as(codec)` uses it. */
export interface Codec<T> {
  /** What is stored. */
  encode(value: T): Value;
  /** The value of stored bytes. Throws, or rejects, if they are of none. */
  decode(bytes: Uint8Array<ArrayBuffer>): T | Promise<T>;
}

/**
 * A validator as zod, valibot, arktype and others have it: the part of the Standard Schema
 * interface (https://standardschema.dev) that is used here.
 */
export interface StandardSchema<T> {
  readonly "~standard": {
    readonly version: 1;
    readonly validate: (value: unknown) => Checked<T> | Promise<Checked<T>>;
  };
}

/** What a validator says. */
type Checked<T> = { readonly value: T; readonly issues?: undefined } | { readonly issues: readonly Issue[] };

interface Issue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** Bytes that are no UTF-8 are no JSON. */
const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * Values as JSON. With a `schema` each value that is read is checked and comes as the schema makes
 * it; without one it is taken for a T. A value without a JSON form throws `invalid_field`; what is
 * read and does not fit throws reason `corrupt_data`.
 *
 * ```ts
 * const users = client.keyvalue.as(json(z.object({ name: z.string() })));
 * await users.set("user:1", { name: "alice" });
 * ```
 */
export function json<T>(schema?: StandardSchema<T>): Codec<T> {
  return {
    encode(value) {
      let text: string | undefined;
      try {
        text = JSON.stringify(value);
      } catch (error) {
        throw invalidField(`value has no JSON form: ${messageOf(error)}`);
      }
      if (text === undefined) {
        throw invalidField(`value has no JSON form: it is ${describe(value)}`);
      }
      return text;
    },

    decode(bytes) {
      let value: unknown;
      try {
        value = JSON.parse(utf8.decode(bytes));
      } catch (error) {
        throw misfit(`it is no JSON: ${messageOf(error)}`);
      }
      if (schema === undefined) {
        return value as T;
      }
      const checked = schema["~standard"].validate(value);
      return checked instanceof Promise ? checked.then(accepted) : accepted(checked);
    },
  };
}

function accepted<T>(checked: Checked<T>): T {
  if (checked.issues === undefined) {
    return checked.value;
  }
  const [issue] = checked.issues;
  const path = issue?.path?.map((part) => String(typeof part === "object" ? part.key : part)).join(".");
  throw misfit(`${path ? `${path}: ` : ""}${issue?.message ?? "it does not fit the schema"}`);
}

/** What is stored is not of the type that is wanted. */
function misfit(why: string): PrismError {
  return new PrismError(`the stored value does not fit: ${why}`, {
    reason: "corrupt_data",
    code: Code.DataLoss,
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
