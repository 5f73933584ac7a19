import type { Clock } from "../../server/backend/clock.ts";
import {
  type Harness,
  LIST_EDITS,
  NAMES,
  NAMESPACES,
  STREAMS,
  type Subject,
} from "../../server/backend/conformance/harness.ts";
import { createManualClock } from "../../server/backend/conformance/manual-clock.ts";
import type { Backend } from "../../server/backend/contract.ts";
import { createGuardedBackend } from "../../server/backend/layers/guarded.ts";
import { MAX_TTL_SECONDS } from "../../server/limits.ts";
import { startTestServer, type TestServer } from "./server.ts";

/** What the suite calls over a wire, and how to give it back. */
export interface WireSubject {
  readonly backend: Backend;
  close(): Promise<void>;
}

/**
 * A store that the suite reaches over a wire, which counts time to live in seconds: a second there
 * is a millisecond of the suite. `start` makes the store on a clock that the suite moves.
 */
export function wireHarness(name: string, start: (clock: Clock) => Promise<WireSubject>): Harness {
  return {
    name,
    capabilities: ["entries", "commits", "scans", "lists", ...LIST_EDITS, "records", ...STREAMS, ...NAMES],
    durable: true,
    atomic: "key",
    overWire: true,
    movesClock: true,
    maxTtlMs: MAX_TTL_SECONDS,
    async create(): Promise<Subject> {
      const clock = createManualClock();
      const { backend, close } = await start(clock);
      return {
        backend: createGuardedBackend(backend),
        advance: (ms) => clock.advance(ms * 1000),
        dispose: close,
      };
    },
  };
}

/** A server with every namespace of the suite on a memory store. */
export function startSuiteServer(clock: Clock): Promise<TestServer> {
  return startTestServer({
    clock,
    adjust: (config) => ({
      ...config,
      server: { ...config.server, shutdownGraceMs: 0 },
      namespaces: NAMESPACES.map((name) => ({ name, pattern: "keyvalue", backend: "database" })),
    }),
  });
}
