import { createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import * as prism from "../../client/node.ts";
import { describeProtocol, http1, http2 } from "./conformance.ts";

describeProtocol("gRPC-Web, HTTP/1.1", (baseUrl) =>
  http1((nodeOptions) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1", nodeOptions })),
);

describeProtocol("gRPC", (baseUrl) =>
  http2(baseUrl, (sessionManager) => createGrpcTransport({ baseUrl, sessionManager })),
);

describeProtocol("gRPC, Prism's own transport", (baseUrl) => {
  const transport = prism.createGrpcTransport({ baseUrl });
  return { transport, close: () => transport.close() };
});
