import { startTestServer, type TestServer } from "../../../tests/helpers/server.ts";
import { MAX_TTL_SECONDS } from "../../limits.ts";
import { type Harness, NAMESPACES } from "../conformance/harness.ts";
import { createManualClock } from "../conformance/manual-clock.ts";
import { describeBackend } from "../conformance/suite.ts";
import { createGuardedBackend } from "../layers/guarded.ts";
import { createRemoteBackend } from "./backend.ts";

const harness: Harness = {
  name: "a plugin",
  capabilities: ["entries", "scans", "lists"],
  durable: true,
  batches: false,
  movesClock: true,
  // A second of the plugin is a millisecond of the suite.
  maxTtlMs: MAX_TTL_SECONDS,
  async create() {
    const clock = createManualClock();
    const plugin: TestServer = await startTestServer({
      clock,
      adjust: (config) => ({
        ...config,
        server: { ...config.server, shutdownGraceMs: 0 },
        namespaces: NAMESPACES.map((name) => ({ name, pattern: "keyvalue", backend: "database" })),
      }),
    });
    const config = { type: "remote", endpoint: plugin.address } as const;
    return {
      backend: createGuardedBackend(createRemoteBackend(config, { secondMs: 1 })),
      advance: (ms) => clock.advance(ms * 1000),
      dispose: plugin.stop,
    };
  },
};
describeBackend(harness);
