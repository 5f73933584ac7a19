/** A call over the wire counts on its namespace until it ends, whichever way it ends. */
import { randomBytes } from "node:crypto";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { PrismClient } from "../../client/node.ts";
import { KeyValueBasicInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { KeyValueScanInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { ListBasicInterface } from "../../gen/prism/interfaces/list/list_basic_pb.ts";
import { startTestServer } from "../helpers/server.ts";
import { rawCall } from "./raw.ts";
import { openSocket } from "./socket.ts";
import { callRequest, envelope, methodPath, POST_WIRES, timeout } from "./wire.ts";

const { get, set } = KeyValueBasicInterface.method;
const { scan, count } = KeyValueScanInterface.method;
const { length } = ListBasicInterface.method;

test("none is left under way by calls that end well, fail, or have no time left", async () => {
  await using server = await startTestServer();
  for (const wire of POST_WIRES) {
    for (const request of [
      callRequest(wire, set, { key: "k", value: new Uint8Array(1) }),
      callRequest(wire, get, { key: "k" }),
      callRequest(wire, get, { key: "missing" }),
      callRequest(wire, get, { namespace: "missing", key: "k" }),
      callRequest(wire, scan, {}),
      callRequest(wire, count, {}),
      callRequest(wire, length, { listKey: "l" }),
    ]) {
      await rawCall(server, request);
    }
    const late = await rawCall(server, callRequest(wire, set, { key: "k" }, timeout(wire, 0)));
    expect(late.code).toBe("deadline_exceeded");
    const shortly = await rawCall(server, callRequest(wire, scan, {}, timeout(wire, 1)));
    expect(["ok", "deadline_exceeded"]).toContain(shortly.code);
  }
  expect(await server.registry.drain("default", 10_000)).toBe(0);
  const answer = await rawCall(server, callRequest(POST_WIRES[0], get, { key: "k" }));
  expect(answer).toMatchObject({ code: "unavailable", details: [{ retryable: true, retryAfterMs: 1000 }] });
});

test("a scan is under way until its reader has taken it, or leaves; it goes on in a namespace that is gone", async () => {
  await using server = await startTestServer();
  const client = new PrismClient(server.address);
  const value = new Uint8Array(100_000);
  const keys = Array.from({ length: 200 }, (_, i) => `k${i}`);
  await Promise.all(keys.map((key) => client.keyvalue.set(key, value)));

  const [read, left] = [0, 1].map(() => client.keyvalue.scan("")[Symbol.asyncIterator]());
  await read?.next();
  await left?.next();
  expect(await server.registry.drain("default", 1)).toBe(2);
  await left?.return?.();
  const { ended } = await server.registry.drop("default");
  let found = 1;
  while ((await read?.next())?.done === false) {
    found++;
  }
  expect(found).toBe(keys.length);
  await ended;
  await expect(client.keyvalue.get("k0")).rejects.toMatchObject({ reason: "namespace_not_found" });
  await client.close();
});

test("a caller that breaks off leaves nothing under way, on Connect's own handlers too", async () => {
  await using server = await startTestServer();
  const client = new PrismClient(server.address);
  await Promise.all(
    Array.from({ length: 16 }, (_, i) => client.keyvalue.set(`k${i}`, randomBytes(1_000_000))),
  );
  await client.close();
  for (const encoding of ["identity", "gzip"]) {
    const body = encoding === "gzip" ? envelope(gzipSync("{}"), 1) : envelope(Buffer.from("{}"));
    const socket = await openSocket(server);
    socket.write(
      `POST ${methodPath(scan)} HTTP/1.1\r\nHost: a\r\nContent-Type: application/connect+json\r\nConnect-Content-Encoding: ${encoding}\r\nContent-Length: ${body.length}\r\n\r\n`,
    );
    socket.write(body);
    await socket.until((bytes) => bytes.length > 100_000);
    socket[Symbol.dispose]();
  }
  expect(await server.registry.drain("default", 10_000)).toBe(0);
});
