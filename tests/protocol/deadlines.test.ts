/** A deadline ends a call and its work, whoever set it. So does a caller that leaves. */
import http2 from "node:http2";
import { setTimeout } from "node:timers/promises";
import { createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { describe, expect, test } from "vitest";
import { Health } from "../../gen/grpc/health/v1/health_pb.ts";
import { KeyValueBasicInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { KeyValueScanInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { startTestServer, type TestServer } from "../helpers/server.ts";
import { waitFor } from "../helpers/until.ts";
import { expectFailure, expectService, type Failure, linesOf, withId } from "./expect.ts";
import { useServer } from "./fixture.ts";
import { connect } from "./raw.ts";
import { callRequest, POST_WIRES, timeout } from "./wire.ts";

const { set } = KeyValueBasicInterface.method;
const { scan } = KeyValueScanInterface.method;
const { watch } = Health.method;
const [, , , , GRPC] = POST_WIRES;

const exceeded: Failure = { code: "deadline_exceeded", reason: "DEADLINE_EXCEEDED" };

describe("the caller's deadline", () => {
  const fixture = useServer();

  test.each(POST_WIRES)("$name: ends a stream", async (wire) => {
    const request = callRequest(wire, watch, { service: "" }, timeout(wire, 50));
    const since = performance.now();
    // A stream with messages still ends with its error.
    const failed = await expectFailure(fixture.server, fixture.on(wire), request, exceeded);
    expect(failed.messages).toHaveLength(1);
    expect(performance.now() - since).toBeGreaterThan(45);
    await expectService(fixture.on(wire), wire);
  });

  test.each(POST_WIRES)("$name: that has passed already is not worth a try", async (wire) => {
    const request = callRequest(wire, set, { key: "never" }, timeout(wire, 0));
    await expectFailure(fixture.server, fixture.on(wire), request, exceeded);
    await expectService(fixture.on(wire), wire);
  });

  test.each(POST_WIRES)("$name: further away than a timer can be", async (wire) => {
    const [name, far] =
      wire.protocol === "connect"
        ? ["connect-timeout-ms", ["9999999999", "2147483648"]]
        : ["grpc-timeout", ["99999999H", "99999999S", "35792M"]];
    const calls = far.map((each) => withId(callRequest(wire, watch, { service: "" }, { [name]: each })));
    const connections = calls.map(() => connect(fixture.server, wire.http));
    const ended = connections.map((each, i) => calls[i] && each.call(calls[i]).catch(() => {}));
    // Node turns such a timer into one of 1 ms.
    await setTimeout(30);
    await expectService(fixture.on(wire), wire);
    expect(calls.flatMap(({ id }) => linesOf(fixture.server, id))).toEqual([]);
    for (const each of connections) {
      each[Symbol.dispose]();
    }
    await Promise.all(ended);
  });
});

describe("max_timeout_ms bounds every call", () => {
  const fixture = useServer((config) => ({ ...config, limits: { ...config.limits, maxTimeoutMs: 60 } }));

  test.each(POST_WIRES)("$name", async (wire) => {
    for (const headers of [{}, timeout(wire, 60_000)]) {
      const request = callRequest(wire, watch, { service: "" }, headers);
      await expectFailure(fixture.server, fixture.on(wire), request, exceeded);
    }
  });
});

describe("a scan whose reader is slow", () => {
  /** 40 pages of 1 MiB: far more than sockets and windows hold. */
  async function serverWithMuch(): Promise<{ server: TestServer; pages: () => number }> {
    let reads = 0;
    // The store reads the time once for each page, which tells how far it got.
    const clock = {
      now() {
        reads++;
        return 1;
      },
    };
    const server = await startTestServer({ clock });
    const client = createClient(KeyValueBasicInterface, createGrpcTransport({ baseUrl: server.baseUrl }));
    const value = new Uint8Array(1024 * 1024);
    for (let i = 0; i < 40; i++) {
      await client.set({ key: `k${i}`, value });
    }
    return { server, pages: () => reads };
  }

  test("ends at its deadline, and its work with it", async () => {
    const { server, pages } = await serverWithMuch();
    await using _ = server;
    const session = http2.connect(server.baseUrl);
    const { path, headers, body, id } = withId(callRequest(GRPC, scan, {}, { "grpc-timeout": "200m" }));
    const stream = session.request({ ...headers, ":path": path, ":method": "POST" });
    stream.end(body);
    stream.on("error", () => {});
    stream.pause();
    await waitFor(() => expect(linesOf(server, id)).not.toEqual([]));
    expect(linesOf(server, id)).toEqual([
      expect.objectContaining({ code: "deadline_exceeded", call: "Scan" }),
    ]);
    const before = pages();
    const trailers = new Promise<http2.IncomingHttpHeaders>((resolve) => stream.once("trailers", resolve));
    stream.resume();
    expect((await trailers)["grpc-status"]).toBe("4");
    expect(pages()).toBe(before);
    session.destroy();
  });

  test("stops reading the store when its reader leaves", async () => {
    const { server, pages } = await serverWithMuch();
    await using _ = server;
    const { baseUrl } = server;
    const transports: Transport[] = [
      createGrpcTransport({ baseUrl }),
      createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }),
      createConnectTransport({ baseUrl, httpVersion: "1.1" }),
      createConnectTransport({ baseUrl, httpVersion: "2" }),
    ];
    for (const [i, transport] of transports.entries()) {
      const before = pages();
      const leave = new AbortController();
      const call = createClient(KeyValueScanInterface, transport).scan({}, { signal: leave.signal });
      await expect(
        (async () => {
          for await (const _entry of call) {
            leave.abort();
          }
        })(),
      ).rejects.toThrow();
      const canceled = () => server.log.filter(({ call, code }) => call === "Scan" && code === "canceled");
      await waitFor(() => expect(canceled()).toHaveLength(i + 1));
      // Of 40: under load the end is noticed late.
      expect(pages() - before).toBeLessThan(40);
      await createClient(KeyValueBasicInterface, transport).exists({ key: "k0" });
    }
  });
});
