import type { Room } from "../room.ts";
import { type MemoryConfig, memorySchema } from "./config.ts";

/** A store in this process's memory. */
export const memoryRoom = {
  type: "memory",
  schema: memorySchema,
  ofOneProcess: true,
  layers: ["watched"],
  async create(config, { clock }) {
    const { createMemoryBackend } = await import("./backend.ts");
    return [createMemoryBackend(config, { clock })];
  },
} as const satisfies Room<MemoryConfig>;
