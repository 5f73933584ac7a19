import type { Room } from "../room.ts";
import { describePlace, type KafkaConfig, kafkaSchema } from "./config.ts";

/** A store in Kafka. It keeps streams only. */
export const kafkaRoom = {
  type: "kafka",
  schema: kafkaSchema,
  layers: ["measured", "breaker", "coalescedByKey", "watched"],
  async create(config, tools) {
    const { createKafkaBackend } = await import("./backend.ts");
    return [createKafkaBackend(config, tools)];
  },
  async *diagnose(config, timeoutMs) {
    const { diagnose } = await import("./diagnose.ts");
    yield* diagnose(config, timeoutMs);
  },
  place: describePlace,
} as const satisfies Room<KafkaConfig>;
