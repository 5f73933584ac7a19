import { MAX_TTL_SECONDS } from "../../limits.ts";
import type { Backend } from "../contract.ts";
import { createGuardedBackend } from "../layers/guarded.ts";
import { createMemoryBackend } from "../memory/backend.ts";
import { ALL_CAPABILITIES, type Harness } from "./harness.ts";
import { createManualClock } from "./manual-clock.ts";

/** A memory store within what `wrap` puts around it. */
export function memoryHarness(name: string, wrap: (memory: Backend) => Backend): Harness {
  return {
    name,
    capabilities: ALL_CAPABILITIES,
    durable: false,
    countsCheaply: true,
    atomic: "namespace",
    movesClock: true,
    maxTtlMs: MAX_TTL_SECONDS * 1000,
    async create() {
      const clock = createManualClock();
      const inner = createMemoryBackend({ type: "memory" }, { clock });
      return {
        backend: createGuardedBackend(wrap(inner)),
        advance: clock.advance,
        async dispose() {},
      };
    },
  };
}
