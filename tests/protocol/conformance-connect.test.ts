import { createConnectTransport } from "@connectrpc/connect-node";
import { describeProtocol, http1, http2 } from "./conformance.ts";

describeProtocol("Connect, JSON, HTTP/1.1", (baseUrl) =>
  http1((nodeOptions) =>
    createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: false, nodeOptions }),
  ),
);

describeProtocol("Connect, protobuf, HTTP/2", (baseUrl) =>
  http2(baseUrl, (sessionManager) => createConnectTransport({ baseUrl, httpVersion: "2", sessionManager })),
);
