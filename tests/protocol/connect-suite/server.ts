/**
 * The server under test: a plane with the suite's service instead of Prism's own.
 * Arguments: the implementation of HTTP/2 (`engine` or `node`), and the path for calls that the
 * direct path can take (`direct` or `connect`).
 */
import { create } from "@bufbuild/protobuf";
import { pino } from "pino";
import { createLogPolicy } from "../../../server/calls/policies/log.ts";
import { startPlane } from "../../helpers/plane.ts";
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

const start = ({ useTls, serverCreds, clientTlsCert, messageReceiveLimit }: ServerCompatRequest) =>
  startPlane({
    services: createConformanceService,
    policies: (failures) => [createLogPolicy(failures)],
    log: pino({ level: "error" }, pino.destination({ fd: 2, sync: true })),
    http2: http2 === "node" ? "node" : "engine",
    maxValueBytes:
      messageReceiveLimit === 0 ? 4 * 1024 * 1024 : ((messageReceiveLimit - AROUND_VALUE_BYTES) / 4) * 3,
    maxReceivingBytes: 64 * 1024 * 1024,
    maxUnsentBytes: 64 * 1024 * 1024,
    directPath: path !== "connect",
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
      maxConcurrentStreams: 100,
      maxHeaderBytes: 16 * 1024,
    },
  });

for await (const request of readMessages(ServerCompatRequestSchema)) {
  const plane = await start(request);
  const { host, port } = plane;
  process.once("SIGTERM", () => void plane[Symbol.asyncDispose]());
  const pemCert = request.useTls ? request.serverCreds?.cert : undefined;
  writeMessage(
    ServerCompatResponseSchema,
    create(ServerCompatResponseSchema, { host, port, ...(pemCert && { pemCert }) }),
  );
  break;
}
