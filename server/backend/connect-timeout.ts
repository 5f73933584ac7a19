import { z } from "zod";

/**
 * How long a store's server may take to accept a connection, in milliseconds: `connect_timeout_ms`
 * in the options of stores. 0 is refused: calls would pile up.
 */
export const connectTimeoutSchema = z
  .number()
  .min(1)
  .max(60_000)
  .int()
  .default(5_000)
  .describe("How long the server may take to accept a connection.");
