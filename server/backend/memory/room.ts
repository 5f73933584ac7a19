import { fine } from "../diagnosis.ts";
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
  async *diagnose() {
    yield fine("data", "in the gateway's memory, and gone when it ends");
  },
} as const satisfies Room<MemoryConfig>;
