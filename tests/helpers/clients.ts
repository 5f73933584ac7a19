import type { PrismClient } from "../../client/client.ts";
import { PrismClient as NodeClient } from "../../client/node.ts";
import { PrismClient as WebClient } from "../../client/web.ts";
import type { TestServer } from "./server.ts";

/** Both clients: gRPC over HTTP/2 from Node, and Connect over HTTP/1.1 like a browser. */
export const CLIENTS = [
  {
    kind: "node",
    connect: (server: TestServer, timeoutMs = 0): PrismClient =>
      new NodeClient(server.address, { timeoutMs }),
  },
  {
    kind: "web",
    connect: (server: TestServer, timeoutMs = 0): PrismClient => new WebClient(server.baseUrl, { timeoutMs }),
  },
] as const;

/** An argument that TypeScript would refuse. */
export const any = (given: unknown) => given as never;
