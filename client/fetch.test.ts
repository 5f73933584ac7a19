import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { expect, onTestFinished, test } from "vitest";
import { GetResponseSchema } from "../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { KeyResponseSchema } from "../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { PrismClient } from "./web.ts";

const FIRST = encodeEnvelope(0, toBinary(KeyResponseSchema, create(KeyResponseSchema, { key: "first" })));
const END = encodeEnvelope(2, new TextEncoder().encode("{}"));

/** A client of a server that answers every call with these bytes. */
async function answering(type: string, body: Uint8Array, status = 200) {
  const server = http.createServer((_, response) => {
    response.writeHead(status, { "content-type": type }).end(body);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = new PrismClient(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, {
    retries: 0,
  });
  onTestFinished(async () => {
    await client.close();
    server.close();
    server.closeAllConnections();
  });
  return client;
}

test.each([
  ["a stream without its end message", FIRST, "no end message"],
  ["a stream that ends within a message", FIRST.subarray(0, -1), "incomplete envelope"],
  ["a compressed message", encodeEnvelope(1, new Uint8Array(1)), "compressed message"],
  ["a message of other bytes", encodeEnvelope(0, Uint8Array.of(0xff)), ""],
  ["an end message that is no JSON", encodeEnvelope(2, new Uint8Array(1)), "invalid end stream"],
])("%s is an error", async (_, body, told) => {
  const client = await answering("application/connect+proto", body);
  await expect(Array.fromAsync(client.keyvalue.scanKeys())).rejects.toMatchObject({
    name: "PrismError",
    message: expect.stringContaining(told),
  });
});

test("a whole stream is read", async () => {
  const client = await answering("application/connect+proto", Buffer.concat([FIRST, END]));
  expect(await Array.fromAsync(client.keyvalue.scanKeys())).toEqual(["first"]);
});

test("an answer that is no message, or no answer of a gateway, is an error", async () => {
  const garbled = await answering("application/proto", Uint8Array.of(0xff));
  await expect(garbled.keyvalue.get("key")).rejects.toMatchObject({ name: "PrismError" });
  const page = await answering("text/html", Buffer.from("<html>"));
  await expect(page.keyvalue.get("key")).rejects.toThrow("unsupported content type text/html");
  const error = await answering(
    "application/json",
    Buffer.from('{"code":"unavailable","message":"told"}'),
    503,
  );
  await expect(error.keyvalue.get("key")).rejects.toThrow("told");
});

test("a time limit longer than a timer holds does not end the call at once", async () => {
  const answer = toBinary(GetResponseSchema, create(GetResponseSchema, { value: Uint8Array.of(1) }));
  const client = await answering("application/proto", answer);
  expect(await client.keyvalue.get("key", { timeoutMs: 2 ** 40 })).toEqual(Uint8Array.of(1));
});
