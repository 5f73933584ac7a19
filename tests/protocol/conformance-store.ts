import * as prism from "../../client/node.ts";
import { LIST_EDITS, NAMES, NAMESPACES, STREAMS } from "../../server/backend/conformance/harness.ts";
import { describeBackend } from "../../server/backend/conformance/suite.ts";
import { createGuardedBackend } from "../../server/backend/layers/guarded.ts";
import type { BackendConfig } from "../../server/backend/rooms.ts";
import { MAX_TTL_SECONDS } from "../../server/limits.ts";
import { startTestServer } from "../helpers/server.ts";
import { createWireBackend } from "../helpers/wire-backend.ts";

/** An empty store, and a way to empty it while it is open. */
export interface TestStore {
  readonly config: BackendConfig;
  clear(): Promise<void>;
}

/**
 * Runs the stores' own suite through the whole gateway and gRPC, for a durable store. `shardOf` is
 * for a store of several shards. A store without streams says so.
 */
export function describeBehindGrpc(
  name: string,
  create: () => TestStore,
  {
    shardOf,
    streams = true,
  }: { readonly shardOf?: ((key: string) => number) | undefined; readonly streams?: boolean } = {},
): void {
  describeBackend({
    name: `${name} behind gRPC`,
    capabilities: [
      ...(["entries", "commits", "scans", "lists", "records"] as const),
      ...LIST_EDITS,
      ...NAMES,
      ...(streams ? STREAMS : []),
    ],
    durable: true,
    atomic: "key",
    overWire: true,
    ...(shardOf && { shardOf }),
    // The clock is a server's or the machine's.
    movesClock: false,
    maxTtlMs: MAX_TTL_SECONDS,
    async create() {
      const { config: database, clear } = create();
      const server = await startTestServer({
        adjust: (config) => ({
          ...config,
          server: { ...config.server, shutdownGraceMs: 0 },
          backends: { database },
          namespaces: NAMESPACES.map((name) => ({ name, pattern: "keyvalue", backend: "database" })),
        }),
      });
      const transport = prism.createGrpcTransport({ baseUrl: server.baseUrl });
      return {
        backend: createGuardedBackend(createWireBackend(transport)),
        advance() {},
        clear,
        async dispose() {
          transport.close();
          await server.stop();
        },
      };
    },
  });
}
