/**
 * A stream of requests over HTTP/1.1. Prism has no such method, so the test adds one to the data
 * plane.
 */
import { EmptySchema } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { implement } from "../../server/calls/implement.ts";
import { describeService, startPlane } from "../helpers/plane.ts";
import { openSocket } from "./socket.ts";
import { envelope } from "./wire.ts";

const sink = describeService(EmptySchema, EmptySchema, [{ name: "Take", clientStreaming: true }]);

async function take(requests: AsyncIterable<unknown>) {
  for await (const _request of requests) {
    // Reading is enough.
  }
  return {};
}

const startSink = (directPath: boolean) =>
  startPlane({ directPath, services: (calls) => [implement(sink, { take } as never, calls)] });

test.each([true, false])(
  "the connection of one that is too large is read on (direct path: %s)",
  async (directPath) => {
    await using server = await startSink(directPath);
    using socket = await openSocket(server);
    const body = envelope(Buffer.alloc(400_000));
    const head = (length: number) =>
      `POST /test.Service/Take HTTP/1.1\r\nHost: a\r\nContent-Type: application/connect+proto\r\nContent-Length: ${length}\r\n\r\n`;
    const answers = (bytes: Buffer) => bytes.toString("latin1").split("HTTP/1.1 200 OK").length - 1;
    socket.write(head(body.length));
    socket.write(body.subarray(0, 100_000));
    expect(String(await socket.until((bytes) => bytes.includes("\r\n0\r\n\r\n")))).toContain(
      "resource_exhausted",
    );
    socket.write(body.subarray(100_000));
    const small = envelope(Buffer.alloc(0));
    socket.write(head(small.length));
    socket.write(small);
    await socket.until((bytes) => answers(bytes) === 2);
  },
);
