/**
 * Peers that ask for much and read nothing: their cost in memory, and their effect on others. The
 * server is a separate process.
 */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import net from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { KeyValueBasicInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { KeyValueScanInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { type ServerProcess, spawnServer, temporaryFolder } from "../helpers/process.ts";
import { waitFor } from "../helpers/until.ts";
import { END_HEADERS, END_STREAM, frame, headerBlock } from "./socket.ts";
import { envelope, methodPath } from "./wire.ts";

const { get, set } = KeyValueBasicInterface.method;
const { scan } = KeyValueScanInterface.method;

const MIB = 1024 * 1024;
const VALUE_BYTES = MIB;
const MAX_UNSENT_BYTES = 64 * MIB;
/**
 * Room for what a busy server holds besides, above all garbage that is not collected yet. Without a
 * bound each attack takes a multiple of it.
 */
const MARGIN_BYTES = 200 * MIB;
/**
 * What remains some seconds later: garbage below 64 MiB is not searched for (`garbage.ts`), and
 * V8's heap has grown.
 */
const REMAINDER_BYTES = 150 * MIB;

const JSON_TYPE = "application/json";
const GRPC_TYPE = "application/grpc";

/** A server with one value, `big`, and a small bound on waiting answers. */
async function startSmallServer(http2: "engine" | "node", folder: string): Promise<ServerProcess> {
  const file = join(folder, "prism.yaml");
  await writeFile(
    file,
    JSON.stringify({
      server: { http2 },
      database: { type: "memory" },
      limits: { max_unsent_bytes: MAX_UNSENT_BYTES },
    }),
  );
  return await spawnServer(["--config", file]);
}

const uint = (bytes: number, value: number) => {
  const out = Buffer.alloc(bytes);
  out.writeUIntBE(value, 0, bytes);
  return out;
};

/**
 * The start of an HTTP/2 client that takes nothing of any answer: SETTINGS_INITIAL_WINDOW_SIZE of
 * 0.
 */
const NO_WINDOW = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  frame("SETTINGS", 0, 0, Buffer.concat([uint(2, 4), uint(4, 0)])),
]);

/** Calls over HTTP/2, on streams of one connection. */
function http2Calls(
  count: number,
  path: string,
  type: string,
  body: Uint8Array,
  more: Readonly<Record<string, string>> = {},
): Buffer {
  return Buffer.concat(
    Array.from({ length: count }, (_, i) => {
      const fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "a",
        "content-type": type,
        te: "trailers",
        ...more,
      };
      const id = 2 * i + 1;
      return Buffer.concat([
        frame("HEADERS", END_HEADERS, id, headerBlock(fields)),
        frame("DATA", END_STREAM, id, body),
      ]);
    }),
  );
}

/** Pipelined calls over HTTP/1.1. */
function http1Calls(count: number, path: string, type: string, body: Uint8Array): Buffer {
  const head = `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}\r\n\r\n`;
  const call = Buffer.concat([Buffer.from(head), body]);
  return Buffer.concat(Array.from({ length: count }, () => call));
}

const JSON_GET = Buffer.from('{"key":"big"}');
/** GetRequest { key: "big" }. */
const GRPC_GET = envelope(Buffer.from([0x12, 3, 0x62, 0x69, 0x67]));

interface Attack {
  readonly name: string;
  readonly connections: number;
  readonly bytes: Buffer;
  readonly http2?: "node";
}

const ATTACKS: readonly Attack[] = [
  {
    name: "HTTP/1.1, 400 pipelined Gets",
    connections: 2,
    bytes: http1Calls(400, methodPath(get), JSON_TYPE, JSON_GET),
  },
  {
    name: "HTTP/1.1, a Get on each of 150 connections",
    connections: 150,
    bytes: http1Calls(1, methodPath(get), JSON_TYPE, JSON_GET),
  },
  {
    name: "HTTP/1.1, 3,000 requests of 18 bytes behind a Get",
    connections: 10,
    bytes: Buffer.concat([
      http1Calls(1, methodPath(get), JSON_TYPE, JSON_GET),
      Buffer.from("GET / HTTP/1.1\r\n\r\n".repeat(3000)),
    ]),
  },
  {
    name: "HTTP/2, 64 Gets on each of 10 connections without a window",
    connections: 10,
    bytes: Buffer.concat([NO_WINDOW, http2Calls(64, methodPath(get), GRPC_TYPE, GRPC_GET)]),
  },
  {
    // Connect's handlers take the compressed requests.
    name: "HTTP/2, the same on Connect's handlers",
    connections: 10,
    bytes: Buffer.concat([
      NO_WINDOW,
      http2Calls(64, methodPath(get), JSON_TYPE, gzipSync(JSON_GET), { "content-encoding": "gzip" }),
    ]),
  },
  {
    name: "HTTP/2, 64 scans on each of 10 connections without a window",
    connections: 10,
    bytes: Buffer.concat([NO_WINDOW, http2Calls(64, methodPath(scan), GRPC_TYPE, envelope(Buffer.alloc(0)))]),
  },
  {
    name: "node:http2, 64 Gets on each of 10 connections without a window",
    connections: 10,
    bytes: Buffer.concat([NO_WINDOW, http2Calls(64, methodPath(get), GRPC_TYPE, GRPC_GET)]),
    http2: "node",
  },
];

/** The server's resident memory. */
function residentBytes({ child }: ServerProcess): number {
  const [, kib] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8")) ?? [];
  return Number(kib) * 1024;
}

async function call(server: ServerProcess, method: string, request: object): Promise<Response> {
  return await fetch(`http://${server.address}${method}`, {
    method: "POST",
    headers: { "content-type": JSON_TYPE },
    body: JSON.stringify(request),
  });
}

/**
 * Connects and sends. Answers of HTTP/1.1 are not read; those of HTTP/2 are read as far as its
 * windows allow.
 */
async function attack({ address }: ServerProcess, bytes: Buffer, reads: boolean): Promise<net.Socket> {
  const [host, port] = address.split(":");
  const socket = net.connect(Number(port), host);
  // It is cut off, as it should be.
  socket.on("error", () => {});
  await once(socket, "connect");
  if (reads) {
    socket.resume();
  }
  socket.write(bytes);
  return socket;
}

test.skipIf(process.platform !== "linux").each(ATTACKS)(
  "$name",
  async (each) => {
    await using folder = await temporaryFolder();
    await using server = await startSmallServer(each.http2 ?? "engine", folder.path);
    const value = Buffer.alloc(VALUE_BYTES, 7).toString("base64");
    expect((await call(server, methodPath(set), { key: "big", value })).status).toBe(200);
    expect((await call(server, methodPath(set), { key: "small", value: "AA==" })).status).toBe(200);
    const before = residentBytes(server);

    const reads = each.name.includes("HTTP/2") || each.http2 !== undefined;
    const sockets: net.Socket[] = [];
    for (let i = 0; i < each.connections; i++) {
      sockets.push(await attack(server, each.bytes, reads));
    }
    let peak = 0;
    for (let i = 0; i < 60; i++) {
      // Others are served meanwhile.
      const answer = await call(server, methodPath(get), { key: "small" });
      expect(await answer.json()).toEqual({ value: "AA==" });
      peak = Math.max(peak, residentBytes(server));
      await delay(50);
    }
    expect(peak - before).toBeLessThan(MAX_UNSENT_BYTES + MARGIN_BYTES);

    for (const socket of sockets) {
      socket.destroy();
    }
    const after = () => expect(residentBytes(server) - before).toBeLessThan(REMAINDER_BYTES);
    await waitFor(after, 200);
  },
  60_000,
);
