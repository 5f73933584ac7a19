/** node:http2 with a constant answer: the most that any server on it can do. */
import http2 from "node:http2";
import { create, toBinary } from "@bufbuild/protobuf";
import { GetResponseSchema } from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { listening } from "./store.ts";

const answer = envelope(
  toBinary(GetResponseSchema, create(GetResponseSchema, { value: Buffer.alloc(100, "v") })),
);

function envelope(message: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

const server = http2.createServer();
server.on("stream", (stream: http2.ServerHttp2Stream) => {
  stream.on("data", () => {});
  stream.on("end", () => {
    stream.respond({ ":status": 200, "content-type": "application/grpc+proto" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(answer);
  });
});
server.listen(0, "127.0.0.1", () => listening(server.address()));
