import { z } from "zod";

/** `type: memory`: all data is in this process and is lost when it ends. */
export const memorySchema = z.strictObject({
  type: z.literal("memory"),
});

/** The checked options of a memory store. */
export type MemoryConfig = z.infer<typeof memorySchema>;
