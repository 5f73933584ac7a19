import { z } from "zod";
import { memorySchema } from "./memory/config.ts";
import { postgresSchema } from "./postgres/config.ts";
import { redisSchema } from "./redis/config.ts";
import { remoteSchema } from "./remote/config.ts";
import { sqliteSchema } from "./sqlite/config.ts";

export { pluginSchema } from "./remote/config.ts";

/** The options of a store, whichever its `type`. Only gathers the rooms' schemas, so that reading a configuration loads no store. */
export const backendSchema = z.discriminatedUnion("type", [
  memorySchema,
  sqliteSchema,
  postgresSchema,
  redisSchema,
  remoteSchema,
]);

/** The checked options of a store. */
export type BackendConfig = z.infer<typeof backendSchema>;
