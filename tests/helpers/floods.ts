/**
 * Floods that ill-behaved peers send over HTTP/2, as data: each row is one way to make a server
 * work for nothing.
 */
import { gzipSync } from "node:zlib";
import { END_HEADERS, END_STREAM, frame, HTTP2_START, headerBlock } from "../protocol/socket.ts";

/**
 * One flood. Its connection opens with `first` and then sends `each` with increasing stream ids.
 */
export interface Flood {
  readonly name: string;
  readonly first?: Buffer;
  readonly each: (streamId: number) => Buffer;
  /**
   * Sent for every stream of a round, after the whole round of `each`: follows when the work has
   * begun.
   */
  readonly later?: (streamId: number) => Buffer;
}

const BASIC = "/prism.interfaces.keyvalue.KeyValueBasicInterface";
const SCAN = "/prism.interfaces.keyvalue.KeyValueScanInterface/Scan";

function fields(path: string, more: Readonly<Record<string, string>>): Buffer {
  return headerBlock({
    ":method": "POST",
    ":scheme": "http",
    ":path": path,
    ":authority": "localhost",
    ...more,
  });
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

/** A request with one message, in its two frames. */
interface Call {
  readonly head: Buffer;
  readonly body: Buffer;
}

const SCAN_CALL: Call = {
  head: fields(SCAN, { "content-type": "application/grpc", te: "trailers" }),
  body: Buffer.alloc(5),
};
const GET_CALL: Call = {
  head: fields(`${BASIC}/Exists`, { "content-type": "application/grpc", te: "trailers" }),
  body: Buffer.from([0, 0, 0, 0, 3, 0x12, 1, 0x61]),
};
/** For Connect's own handlers, because the direct path takes no compressed requests. */
const GZIP_CALL: Call = {
  head: fields(`${BASIC}/Exists`, { "content-type": "application/json", "content-encoding": "gzip" }),
  body: gzipSync('{"key":"a"}'),
};
const UNKNOWN_CALL: Call = {
  head: fields("/nothing/Here", { "content-type": "application/grpc", te: "trailers" }),
  body: Buffer.alloc(5),
};

const headers = (id: number, { head }: Call, flags = 0) => frame("HEADERS", END_HEADERS | flags, id, head);
const data = (id: number, { body }: Call) => frame("DATA", END_STREAM, id, body);
const call = (id: number, each: Call) => Buffer.concat([headers(id, each), data(id, each)]);
const reset = (id: number) => frame("RST_STREAM", 0, id, u32(8));
const windowUpdate = (id: number, bytes: number) => frame("WINDOW_UPDATE", 0, id, u32(bytes));
const initialWindow = (bytes: number) =>
  frame("SETTINGS", 0, 0, Buffer.concat([Buffer.of(0, 4), u32(bytes)]));
/** A frame of an unknown type. */
const unknownFrame = Buffer.from([0, 0, 0, 99, 0, 0, 0, 0, 0]);
/** Priority fields that name the stream itself. */
const onItself = (id: number) => Buffer.concat([u32(id), Buffer.of(1)]);
const PRIORITY_FLAG = 0x20;
const big = fields(`${BASIC}/Exists`, Object.fromEntries(range(120).map((i) => [`x-${i}`, "a".repeat(120)])));

function range(length: number): number[] {
  return Array.from({ length }, (_, i) => i);
}

/** Resets by the peer, and frames that make the server reset, on each kind of call. */
function thrownAway(name: string, each: Call): Flood[] {
  return [
    { name: `${name}: reset at once`, each: (id) => Buffer.concat([call(id, each), reset(id)]) },
    { name: `${name}: reset later`, each: (id) => call(id, each), later: reset },
    {
      name: `${name}: reset by WINDOW_UPDATE of 0`,
      each: (id) => call(id, each),
      later: (id) => windowUpdate(id, 0),
    },
    {
      name: `${name}: reset by HEADERS that depend on themselves`,
      each: (id) => call(id, each),
      later: (id) =>
        frame(
          "HEADERS",
          END_HEADERS | END_STREAM | PRIORITY_FLAG,
          id,
          Buffer.concat([onItself(id), each.head]),
        ),
    },
  ];
}

/** All floods. */
export const FLOODS: readonly Flood[] = [
  ...thrownAway("scan", SCAN_CALL),
  ...thrownAway("gzip call", GZIP_CALL),
  { name: "Exists: reset at once", each: (id) => Buffer.concat([call(id, GET_CALL), reset(id)]) },
  { name: "Exists: reset later", each: (id) => call(id, GET_CALL), later: reset },
  {
    name: "headers of a gzip call: reset at once",
    each: (id) => Buffer.concat([headers(id, GZIP_CALL), reset(id)]),
  },
  { name: "headers of a gzip call: reset later", each: (id) => headers(id, GZIP_CALL), later: reset },
  {
    name: "headers of a scan: reset at once",
    each: (id) => Buffer.concat([headers(id, SCAN_CALL), reset(id)]),
  },
  { name: "unknown path: reset at once", each: (id) => Buffer.concat([call(id, UNKNOWN_CALL), reset(id)]) },
  { name: "unknown path: reset later", each: (id) => call(id, UNKNOWN_CALL), later: reset },
  {
    name: "scan: reset by a window above 2^31-1",
    each: (id) => call(id, SCAN_CALL),
    later: (id) => windowUpdate(id, 0x7fffffff),
  },
  {
    name: "scan: reset by DATA after its end",
    each: (id) => call(id, SCAN_CALL),
    later: (id) => data(id, SCAN_CALL),
  },
  {
    name: "scan: reset by a PRIORITY of wrong size",
    each: (id) => call(id, SCAN_CALL),
    later: (id) => frame("PRIORITY", 0, id, Buffer.of(0)),
  },
  {
    name: "scan: never read, its window of one byte",
    first: initialWindow(1),
    each: (id) => call(id, SCAN_CALL),
    later: (id) => windowUpdate(id, 1),
  },
  { name: "scan: not reset", first: windowUpdate(0, 0x7ffeffff), each: (id) => call(id, SCAN_CALL) },
  { name: "gzip call: not reset", each: (id) => call(id, GZIP_CALL) },
  {
    name: "HEADERS that depend on themselves",
    each: (id) =>
      frame("HEADERS", END_HEADERS | PRIORITY_FLAG, id, Buffer.concat([onItself(id), SCAN_CALL.head])),
  },
  {
    name: "malformed requests",
    each: (id) => frame("HEADERS", END_HEADERS, id, headerBlock({ ":method": "GET" })),
  },
  {
    name: "a body that is longer than content-length",
    each: (id) =>
      Buffer.concat([
        frame(
          "HEADERS",
          END_HEADERS,
          id,
          Buffer.concat([SCAN_CALL.head, headerBlock({ "content-length": "1" })]),
        ),
        data(id, SCAN_CALL),
      ]),
  },
  { name: "large headers", each: (id) => frame("HEADERS", END_HEADERS | END_STREAM, id, big) },
  {
    name: "CONTINUATION",
    each: (id) =>
      Buffer.concat([
        frame("HEADERS", END_STREAM, id, SCAN_CALL.head),
        ...range(15).map(() => frame("CONTINUATION", 0, id)),
        frame("CONTINUATION", END_HEADERS, id),
      ]),
  },
  { name: "PING", each: () => frame("PING", 0, 0, Buffer.alloc(8)) },
  { name: "SETTINGS", each: () => frame("SETTINGS", 0, 0) },
  {
    name: "SETTINGS that change the windows of many streams",
    first: Buffer.concat(range(1000).map((i) => headers(2 * i + 1, SCAN_CALL))),
    each: (id) => initialWindow(id),
  },
  { name: "PRIORITY", each: (id) => frame("PRIORITY", 0, id, Buffer.of(0, 0, 0, 0, 1)) },
  { name: "WINDOW_UPDATE", each: () => windowUpdate(0, 1) },
  { name: "empty DATA", first: headers(1, SCAN_CALL), each: () => frame("DATA", 0, 1) },
  { name: "frames of an unknown type", each: () => unknownFrame },
  { name: "GOAWAY", each: () => frame("GOAWAY", 0, 0, Buffer.alloc(8)) },
  { name: "RST_STREAM of idle streams", each: reset },
  { name: "PUSH_PROMISE", each: (id) => frame("PUSH_PROMISE", END_HEADERS, id, Buffer.alloc(4)) },
  { name: "frames that are too large", each: () => frame("PING", 0, 0, Buffer.alloc(8), 0xffffff) },
];

/** The start of every connection. */
export const OPENING = HTTP2_START;
