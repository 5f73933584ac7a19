import { z } from "zod";
import { configSchema } from "./schema.ts";

/** A value that has an environment variable in it. Its type is known only when it is read. */
const FROM_ENVIRONMENT = { type: "string", pattern: "\\$\\{.+\\}" } as const;

/**
 * The JSON Schema (draft 7, which all editors know) of a configuration file. It has the keys, types
 * and bounds of the settings, and their texts. It does not have rules over several settings, nor
 * the forms of addresses and URLs: `prism config check` has them all. The type of a store is no
 * variable, because the schema chooses by it.
 */
export function configJsonSchema(): object {
  const { $schema, ...schema } = z.toJSONSchema(configSchema, {
    target: "draft-07",
    io: "input",
    override: ({ jsonSchema, path }) => {
      if (path.at(-1) !== "propertyNames" && isRefusing(jsonSchema)) {
        takeVariables(jsonSchema);
      }
    },
  });
  return {
    $schema,
    title: "Configuration of Prism",
    description: "Times are in milliseconds, sizes in bytes; file names start at the folder of this file.",
    ...schema,
  };
}

type JsonSchema = z.core.JSONSchema.BaseSchema;

/** Whether it would refuse the text of a variable, which may have any form. */
function isRefusing({ type, enum: values, pattern }: JsonSchema): boolean {
  return (
    values !== undefined || pattern !== undefined || ["integer", "number", "boolean"].includes(String(type))
  );
}

/** Changes the schema of a scalar to one that also takes `${NAME}`. */
function takeVariables(schema: JsonSchema): void {
  const { description, default: value, ...rules } = schema;
  for (const rule of Object.keys(rules)) {
    delete schema[rule];
  }
  schema.anyOf = [rules, FROM_ENVIRONMENT];
}
