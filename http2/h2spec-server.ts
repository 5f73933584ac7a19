// A server for h2spec and curl: answers every request with a body of a few bytes. `node
// h2spec-server.ts PORT` (0: a free one) prints its port.
import net from "node:net";
import { createServerConnection, encodeHeaders, type NoBody, type Stream } from "./index.ts";

const HEADERS = encodeHeaders([":status", "200", "content-type", "text/plain"]);
const BODY = Buffer.from("hello, this is a body\n");

function answer(stream: Stream, body: Buffer | NoBody): void {
  stream.reply(HEADERS, typeof body !== "string" && body.length > 0 ? body : BODY, undefined);
}

const server = net.createServer((socket) => {
  createServerConnection(socket, {}, (stream) => stream.collect(1024 * 1024, answer));
});
server.listen(Number(process.argv[2] ?? 0), "127.0.0.1", () => {
  const address = server.address();
  console.log(typeof address === "object" ? address?.port : address);
});
