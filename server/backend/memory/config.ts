import { z } from "zod";

/** `type: memory`: everything is in this process and gone when it ends. */
export const memorySchema = z.strictObject({
  type: z.literal("memory"),
});

/** The checked options of a memory store. */
export type MemoryConfig = z.infer<typeof memorySchema>;
