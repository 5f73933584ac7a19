/** Tails of a real gateway on SQLite: kills and restarts, and readers that do not read. */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import http2 from "node:http2";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { expect, test } from "vitest";
import { TailRequestSchema, TimeSeriesService } from "../gen/prism/timeseries/v1/timeseries_pb.ts";
import { type ServerProcess, spawnServer, temporaryFolder } from "./helpers/process.ts";
import { waitFor } from "./helpers/until.ts";
import { envelope, methodPath } from "./protocol/wire.ts";

function clientOf(server: ServerProcess) {
  const baseUrl = `http://${server.address}`;
  const sessionManager = new Http2SessionManager(baseUrl);
  const streams = createClient(TimeSeriesService, createGrpcTransport({ baseUrl, sessionManager }));
  return { streams, [Symbol.dispose]: () => sessionManager.abort() };
}

const ROUNDS = 3;

test("readers go on from their offsets after each kill -9: no event is lost, and none comes twice", async () => {
  await using folder = await temporaryFolder();
  const args = ["--data-dir", folder.path];
  const acknowledged: string[] = [];
  const readers = Array.from({ length: 5 }, () => ({ next: 0n, seen: [] as string[] }));

  /** Appends until the gateway is gone. */
  async function write({ streams }: ReturnType<typeof clientOf>, round: number): Promise<void> {
    for (let i = 0; ; i++) {
      const payload = `${round}:${i}`;
      await streams.append({ stream: "a", event: { payload: Buffer.from(payload) } });
      acknowledged.push(payload);
    }
  }

  /** Reads until the gateway is gone. */
  async function read(
    { streams }: ReturnType<typeof clientOf>,
    reader: (typeof readers)[number],
  ): Promise<void> {
    for await (const { event } of streams.tail({ stream: "a", fromOffset: reader.next })) {
      expect(event?.offset).toBe(reader.next);
      reader.next++;
      reader.seen.push(Buffer.from(event?.payload ?? []).toString());
    }
  }

  for (let round = 0; round < ROUNDS; round++) {
    await using server = await spawnServer(args);
    using client = clientOf(server);
    await client.streams.createStream({ stream: "a" });
    const before = acknowledged.length;
    const work = [write(client, round), ...readers.map((reader) => read(client, reader))];
    const ended = Promise.allSettled(work);
    await Promise.race([
      waitFor(() => expect(acknowledged.length).toBeGreaterThan(before + 50)),
      ...work.map((each) => each.then(() => Promise.reject(new Error("a call ended by itself")))),
    ]);
    server.child.kill("SIGKILL");
    const failures = (await ended).map((result) => result.status === "rejected" && String(result.reason));
    expect(failures.filter((failure) => String(failure).includes("Assertion"))).toEqual([]);
  }

  await using server = await spawnServer(args);
  using client = clientOf(server);
  const stored: string[] = [];
  for await (const { event } of client.streams.tail({ stream: "a", untilEnd: true })) {
    stored.push(Buffer.from(event?.payload ?? []).toString());
  }
  // An append that was under way may be there too.
  expect(stored.filter((payload) => acknowledged.includes(payload))).toEqual(acknowledged);
  expect(stored.length - acknowledged.length).toBeLessThanOrEqual(ROUNDS);
  for (const reader of readers) {
    const tail = client.streams.tail({ stream: "a", fromOffset: reader.next, untilEnd: true });
    for await (const { event } of tail) {
      reader.seen.push(Buffer.from(event?.payload ?? []).toString());
    }
    expect(reader.seen).toEqual(stored);
  }
}, 120_000);

const MIB = 1024 * 1024;
const SLOW_READERS = 20;
const EVENTS = 64;

/** Room for garbage that is not collected yet. All that the slow readers miss is a multiple. */
const MARGIN_BYTES = 300 * MIB;

function residentBytes({ child }: ServerProcess): number {
  const [, kib] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8")) ?? [];
  return Number(kib) * 1024;
}

test.skipIf(process.platform !== "linux")(
  "readers that do not read hold up nobody, and hold next to nothing",
  async () => {
    await using folder = await temporaryFolder();
    await using server = await spawnServer(["--data-dir", join(folder.path, "data")]);
    using client = clientOf(server);
    await client.streams.createStream({ stream: "a" });
    const sessions = Array.from({ length: SLOW_READERS }, () => http2.connect(`http://${server.address}`));
    const body = envelope(toBinary(TailRequestSchema, create(TailRequestSchema, { stream: "a" })));
    for (const session of sessions) {
      // It is cut off at the end.
      session.on("error", () => {});
      const call = session.request({
        ":method": "POST",
        ":path": methodPath(TimeSeriesService.method.tail),
        "content-type": "application/grpc",
        te: "trailers",
      });
      call.on("error", () => {});
      // Its window is never opened again.
      call.pause();
      call.end(body);
      await once(call, "response");
    }
    const before = residentBytes(server);
    let peak = 0;
    let seen = 0;
    const tail = client.streams.tail({ stream: "a" })[Symbol.asyncIterator]();
    for (let i = 0; i < EVENTS; i++) {
      await client.streams.append({ stream: "a", event: { payload: Buffer.alloc(MIB, i) } });
      const { value } = await tail.next();
      seen += value?.event?.offset === BigInt(i) ? 1 : 0;
      peak = Math.max(peak, residentBytes(server));
    }
    expect(seen).toBe(EVENTS);
    expect(peak - before).toBeLessThan(MARGIN_BYTES);
    expect(MARGIN_BYTES * 2).toBeLessThan(SLOW_READERS * EVENTS * MIB);
    for (const session of sessions) {
      session.destroy();
    }
  },
  120_000,
);
