/** Tails of streams: what reaches a reader, how they end, and what they refuse. */
import { join } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { createConnectTransport as createWebTransport } from "@connectrpc/connect-web";
import { describe, expect, test } from "vitest";
import { ErrorSchema, Reason } from "../../gen/prism/common/errors_pb.ts";
import { type TailRequestSchema, TimeSeriesService } from "../../gen/prism/timeseries/v1/timeseries_pb.ts";
import { sqliteSchema } from "../../server/backend/sqlite/config.ts";
import type { Config } from "../../server/config/config.ts";
import { temporaryFolder } from "../helpers/process.ts";
import { startTestServer, type TestServer } from "../helpers/server.ts";
import { waitFor } from "../helpers/until.ts";
import { expectFailure, type Failure } from "./expect.ts";
import { useServer } from "./fixture.ts";
import { callRequest, POST_WIRES } from "./wire.ts";

const { tail } = TimeSeriesService.method;
const fixture = useServer();
const invalid = (field: string): Failure => ({ code: "invalid_argument", reason: "INVALID_FIELD", field });

const CASES = (
  [
    ["no name", { stream: "" }, invalid("stream")],
    ["an offset below -1", { stream: "a", fromOffset: -2n }, invalid("from_offset")],
    ["a negative time", { stream: "a", fromTimestampMillis: -1n }, invalid("from_timestamp_millis")],
    ["a tag without a name", { stream: "a", filterTags: { "": "x" } }, invalid("filter_tags")],
    ["tags of too many bytes", { stream: "a", filterTags: { x: "v".repeat(4096) } }, invalid("filter_tags")],
    [
      "an unknown namespace",
      { stream: "a", namespace: "no-such" },
      { code: "not_found", reason: "NAMESPACE_NOT_FOUND", namespace: "no-such" },
    ],
    [
      "an unknown stream",
      { stream: "no-such" },
      { code: "not_found", reason: "STREAM_NOT_FOUND", field: "stream" },
    ],
    [
      "the end of an unknown stream",
      { stream: "no-such", fromOffset: -1n },
      { code: "not_found", reason: "STREAM_NOT_FOUND", field: "stream" },
    ],
  ] as const satisfies readonly (readonly [string, MessageInitShape<typeof TailRequestSchema>, Failure])[]
).map(([name, request, failure]) => ({ name, request, failure }));

describe.each(POST_WIRES)("$name", (wire) => {
  test.each(CASES)("$name", async ({ request, failure }) => {
    await expectFailure(fixture.server, fixture.on(wire), callRequest(wire, tail, request), failure, []);
  });
});

/** Clients of a server, in three protocols; the last one is the browser's. */
const TRANSPORTS = [
  ["gRPC", (baseUrl: string) => createGrpcTransport({ baseUrl })],
  [
    "Connect JSON",
    (baseUrl: string) => createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: false }),
  ],
  ["fetch", (baseUrl: string) => createWebTransport({ baseUrl, useBinaryFormat: true })],
] as const;

const STORES = ["memory", "sqlite"] as const;

type Streams = Client<typeof TimeSeriesService>;

/** A server on one of the stores, with a client. Its shutdown waits so long for calls. */
async function start(
  type: (typeof STORES)[number],
  transportTo: (typeof TRANSPORTS)[number][1],
  shutdownGraceMs = 0,
) {
  const folder = await temporaryFolder();
  const main =
    type === "memory" ? { type } : sqliteSchema.parse({ type, path: join(folder.path, "prism.db") });
  const adjust = (config: Config): Config => ({
    ...config,
    server: { ...config.server, shutdownGraceMs },
    backends: { ...config.backends, main },
  });
  const server = await startTestServer({ adjust });
  return {
    server,
    streams: createClient(TimeSeriesService, transportTo(server.baseUrl)),
    async [Symbol.asyncDispose]() {
      await server.stop();
      await folder[Symbol.asyncDispose]();
    },
  };
}

async function append(streams: Streams, payloads: readonly string[], tags = {}, timestampMillis = 0n) {
  const events = payloads.map((text) => ({ payload: Buffer.from(text), tags, timestampMillis }));
  await streams.appendBatch({ stream: "a", events });
}

/** A tail whose headers are there: from now on it misses no event. */
async function openTail(streams: Streams, request: MessageInitShape<typeof TailRequestSchema> = {}) {
  const leaving = new AbortController();
  const begun = Promise.withResolvers<void>();
  const onHeader = () => begun.resolve();
  const responses = streams.tail({ stream: "a", ...request }, { onHeader, signal: leaving.signal });
  const iterator = responses[Symbol.asyncIterator]();
  // The client sends the request when the first message is wanted.
  let coming = iterator.next();
  const next = async () => {
    const { value } = await coming;
    coming = iterator.next();
    coming.catch(() => {});
    const event = value?.event;
    return event && `${event.offset} ${Buffer.from(event.payload)}`;
  };
  await Promise.race([begun.promise, coming]);
  return {
    next,
    leave: () => leaving.abort(),
    /** How it ends. */
    async failure() {
      const error = await coming.then(
        () => undefined,
        (thrown: unknown) => ConnectError.from(thrown),
      );
      const [detail] = error?.findDetails(ErrorSchema) ?? [];
      return { code: error && Code[error.code], reason: detail?.reason };
    },
  };
}

async function untilTails({ registry }: TestServer, calls: number): Promise<void> {
  await waitFor(() => {
    const [namespace] = registry.namespaces;
    expect(Reflect.get(Object(namespace), "callsUnderWay")).toBe(calls);
  });
}

// Connect's own handlers send the headers with the first message.
describe.skipIf(process.env.PRISM_TEST_PATH === "connect").each(STORES)("on %s", (type) => {
  describe.each(TRANSPORTS)("over %s", (_, transportTo) => {
    test("a tail stands before the first event, and gets those that are there and those that come", async () => {
      await using use = await start(type, transportTo);
      const { streams, server } = use;
      await streams.createStream({ stream: "a" });
      const [all, end] = [await openTail(streams), await openTail(streams, { fromOffset: -1n })];
      await append(streams, ["x", "y"]);
      for (const each of [all, end]) {
        expect([await each.next(), await each.next()]).toEqual(["0 x", "1 y"]);
      }
      const [second, last] = [
        await openTail(streams, { fromOffset: 1n }),
        await openTail(streams, { fromOffset: -1n }),
      ];
      await append(streams, ["z"]);
      expect([await second.next(), await second.next()]).toEqual(["1 y", "2 z"]);
      expect([await all.next(), await end.next(), await last.next()]).toEqual(["2 z", "2 z", "2 z"]);
      for (const each of [all, end, second, last]) {
        each.leave();
      }
      await untilTails(server, 0);
    });

    test("a tail gets only events with its tags and of its time", async () => {
      await using use = await start(type, transportTo);
      const { streams } = use;
      await append(streams, ["0"], { kind: "x" }, 1000n);
      const x = await openTail(streams, { filterTags: { kind: "x" } });
      const late = await openTail(streams, { fromTimestampMillis: 2000n });
      await append(streams, ["1"], { kind: "y" }, 2000n);
      await append(streams, ["2"], { kind: "x" }, 1000n);
      await append(streams, ["3"], { kind: "x" }, 3000n);
      expect([await x.next(), await x.next(), await x.next()]).toEqual(["0 0", "2 2", "3 3"]);
      expect([await late.next(), await late.next()]).toEqual(["1 1", "3 3"]);
      x.leave();
      late.leave();
    });

    test("it ends with the events that are there, if no others are wanted", async () => {
      await using use = await start(type, transportTo);
      const { streams } = use;
      await append(streams, ["0", "1"]);
      for (const [fromOffset, wanted] of [
        [0n, ["0 0", "1 1"]],
        [1n, ["1 1"]],
        [-1n, []],
      ] as const) {
        const tailed = await openTail(streams, { fromOffset, untilEnd: true });
        for (const event of [...wanted, undefined]) {
          expect(await tailed.next()).toBe(event);
        }
      }
    });

    test("it ends when its stream is deleted, at the shutdown, and when the namespace is drained", async () => {
      await using use = await start(type, transportTo, 3_600_000);
      const { streams, server } = use;
      await append(streams, ["0"]);
      const deleted = await openTail(streams, { fromOffset: 1n });
      await streams.deleteStream({ stream: "a" });
      expect(await deleted.failure()).toEqual({ code: "NotFound", reason: Reason.STREAM_NOT_FOUND });

      await append(streams, ["0"]);
      const stopped = await openTail(streams, { fromOffset: 1n });
      const stopping = server.stop();
      expect(await stopped.failure()).toEqual({ code: "Unavailable", reason: Reason.SHUTTING_DOWN });
      await stopping;

      await using other = await start(type, transportTo);
      await append(other.streams, ["0"]);
      const drained = await openTail(other.streams);
      expect(await drained.next()).toBe("0 0");
      expect(await other.server.registry.drain("default", 60_000)).toBe(0);
      expect(await drained.failure()).toEqual({ code: "Unavailable", reason: Reason.STORE_UNAVAILABLE });
    });
  });
});
