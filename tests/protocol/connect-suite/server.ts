/**
 * The server under test: Prism's data plane with the suite's service instead of Prism's own.
 * Arguments: the implementation of HTTP/2 (`engine` or `node`), and the path for calls that the
 * direct path can take (`direct` or `connect`).
 */
import { create } from "@bufbuild/protobuf";
import { pino } from "pino";
import { createLogPolicy } from "../../../server/calls/policies/log.ts";
import { createDataPlane, type DataPlaneOptions } from "../../../server/data-plane.ts";
import { LISTEN_BACKLOG, PING_TIMEOUT_MS, STALL_TIMEOUT_MS } from "../../../server/limits.ts";
import {
  type ServerCompatRequest,
  ServerCompatRequestSchema,
  ServerCompatResponseSchema,
} from "./gen/connectrpc/conformance/v1/server_compat_pb.ts";
import { createConformanceService } from "./service.ts";
import { readMessages, writeMessage } from "./stdio.ts";

const [http2, path] = process.argv.slice(2);

/** The part of Prism's bound on a message that is no value in base64. */
const AROUND_VALUE_BYTES = 64 * 1024;

function options({
  useTls,
  serverCreds,
  clientTlsCert,
  messageReceiveLimit,
}: ServerCompatRequest): DataPlaneOptions {
  const maxValueBytes =
    messageReceiveLimit === 0 ? 4 * 1024 * 1024 : ((messageReceiveLimit - AROUND_VALUE_BYTES) / 4) * 3;
  return {
    services: createConformanceService,
    policies: (failures) => [createLogPolicy(failures)],
    log: pino({ level: "error" }, pino.destination({ fd: 2, sync: true })),
    port: {
      tls:
        useTls && serverCreds !== undefined
          ? {
              cert: Buffer.from(serverCreds.cert).toString(),
              key: Buffer.from(serverCreds.key).toString(),
              clientCa: clientTlsCert.length > 0 ? Buffer.from(clientTlsCert).toString() : undefined,
            }
          : undefined,
      maxConnections: 1000,
      maxConnectionsPerPeer: 0,
      maxConcurrentStreams: 100,
      maxHeaderBytes: 16 * 1024,
      headerTimeoutMs: 10_000,
      requestTimeoutMs: 60_000,
      idleTimeoutMs: 60_000,
      pingTimeoutMs: PING_TIMEOUT_MS,
      stallTimeoutMs: STALL_TIMEOUT_MS,
      backlog: LISTEN_BACKLOG,
    },
    http2: http2 === "node" ? "node" : "engine",
    jsonUnknownFields: "reject",
    corsOrigins: [],
    maxValueBytes,
    maxReceivingBytes: 64 * 1024 * 1024,
    maxUnsentBytes: 64 * 1024 * 1024,
    maxTimeoutMs: 0,
    directPath: path !== "connect",
    adminPort: () => 0,
  };
}

for await (const request of readMessages(ServerCompatRequestSchema)) {
  const dataPlane = await createDataPlane(options(request));
  const { address, port } = await dataPlane.listen("127.0.0.1", 0);
  process.once("SIGTERM", () => void dataPlane.close(0));
  const pemCert = request.useTls ? request.serverCreds?.cert : undefined;
  writeMessage(
    ServerCompatResponseSchema,
    create(ServerCompatResponseSchema, { host: address, port, ...(pemCert && { pemCert }) }),
  );
  break;
}
