import { Agent } from "node:http";
import type { Transport } from "@connectrpc/connect";
import { Http2SessionManager } from "@connectrpc/connect-node";
import { type Harness, NAMESPACES } from "../../server/backend/conformance/harness.ts";
import { createManualClock } from "../../server/backend/conformance/manual-clock.ts";
import { describeBackend } from "../../server/backend/conformance/suite.ts";
import { createGuardedBackend } from "../../server/backend/layers/guarded.ts";
import { MAX_TTL_SECONDS } from "../../server/limits.ts";
import { startTestServer } from "../helpers/server.ts";
import { createWireBackend } from "../helpers/wire-backend.ts";

/** A transport and a way to end its connections. */
export interface Connection {
  readonly transport: Transport;
  close(): void;
}

/** Over kept-alive HTTP/1.1 connections. */
export function http1(create: (nodeOptions: { agent: Agent }) => Transport): Connection {
  const agent = new Agent({ keepAlive: true });
  return { transport: create({ agent }), close: () => agent.destroy() };
}

/** Over one connection of HTTP/2. */
export function http2(
  baseUrl: string,
  create: (sessionManager: Http2SessionManager) => Transport,
): Connection {
  const sessionManager = new Http2SessionManager(baseUrl);
  return { transport: create(sessionManager), close: () => sessionManager.abort() };
}

/** Runs the stores' own suite through the whole server and one protocol. */
export function describeProtocol(name: string, connect: (baseUrl: string) => Connection): void {
  const harness: Harness = {
    name: `memory behind ${name}`,
    capabilities: ["entries", "scans", "lists"],
    durable: true,
    atomic: "key",
    movesClock: true,
    // A second on the wire is a millisecond of the suite: see createWireBackend.
    maxTtlMs: MAX_TTL_SECONDS,
    async create() {
      const clock = createManualClock();
      const server = await startTestServer({
        clock,
        adjust: (config) => ({
          ...config,
          server: { ...config.server, shutdownGraceMs: 0 },
          namespaces: NAMESPACES.map((name) => ({ name, pattern: "keyvalue", backend: "database" })),
        }),
      });
      const connection = connect(server.baseUrl);
      return {
        backend: createGuardedBackend(createWireBackend(connection.transport)),
        advance: (ms) => clock.advance(ms * 1000),
        async dispose() {
          connection.close();
          await server.stop();
        },
      };
    },
  };
  describeBackend(harness);
}
