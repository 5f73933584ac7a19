import type { Room } from "../room.ts";
import { type RemoteConfig, remoteSchema } from "./config.ts";

/** A store in another process. */
export const remoteRoom = {
  type: "remote",
  schema: remoteSchema,
  layers: ["measured"],
  async create(config) {
    const { createRemoteBackend } = await import("./backend.ts");
    return [createRemoteBackend(config)];
  },
  async *diagnose(config, timeoutMs) {
    const { diagnose } = await import("./diagnose.ts");
    yield* diagnose(config, timeoutMs);
  },
  place: ({ endpoint }) => endpoint,
} as const satisfies Room<RemoteConfig>;
