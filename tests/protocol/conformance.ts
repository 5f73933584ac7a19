import { Agent } from "node:http";
import type { Transport } from "@connectrpc/connect";
import { Http2SessionManager } from "@connectrpc/connect-node";
import { describeBackend } from "../../server/backend/conformance/suite.ts";
import { createWireBackend } from "../helpers/wire-backend.ts";
import { startSuiteServer, wireHarness } from "../helpers/wire-harness.ts";

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
  describeBackend(
    wireHarness(`memory behind ${name}`, async (clock) => {
      const server = await startSuiteServer(clock);
      const connection = connect(server.baseUrl);
      return {
        backend: createWireBackend(connection.transport),
        async close() {
          connection.close();
          await server.stop();
        },
      };
    }),
  );
}
