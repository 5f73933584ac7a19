import { duplexPair } from "node:stream";
import { describe, expect, it } from "vitest";
import { PREFACE } from "./frame.ts";
import { createClientConnection, ErrorCode, encodeHeaders, type Stream } from "./index.ts";
import {
  FrameType,
  frame,
  headers,
  RawPeer,
  REQUEST,
  RESPONSE,
  Setting,
  serve,
  settings,
  TRAILERS,
  u32,
} from "./testing.ts";

const hang = (stream: Stream) => stream.read(() => {});

describe("connection errors", () => {
  const cases: [name: string, code: number, ...frames: Buffer[]][] = [
    ["a frame above the limit", ErrorCode.FRAME_SIZE_ERROR, frame(FrameType.DATA, 0, 1, Buffer.alloc(16385))],
    ["DATA on stream 0", ErrorCode.PROTOCOL_ERROR, frame(FrameType.DATA, 0, 0, [1])],
    ["DATA on an idle stream", ErrorCode.PROTOCOL_ERROR, frame(FrameType.DATA, 0, 1, [1])],
    ["HEADERS on stream 0", ErrorCode.PROTOCOL_ERROR, headers(0, true)],
    ["HEADERS on an even stream", ErrorCode.PROTOCOL_ERROR, headers(2, true)],
    ["a stream id that went down", ErrorCode.STREAM_CLOSED, headers(5, true), headers(3, true)],
    [
      "padding longer than the frame",
      ErrorCode.PROTOCOL_ERROR,
      headers(1, false),
      frame(FrameType.DATA, 8, 1, [9, 1]),
    ],
    [
      "padding without its length",
      ErrorCode.FRAME_SIZE_ERROR,
      headers(1, false),
      frame(FrameType.DATA, 8, 1),
    ],
    [
      "HEADERS too short for its priority",
      ErrorCode.FRAME_SIZE_ERROR,
      frame(FrameType.HEADERS, 0x24, 1, [0]),
    ],
    ["a broken header block", ErrorCode.COMPRESSION_ERROR, frame(FrameType.HEADERS, 5, 1, [0x80])],
    ["CONTINUATION of nothing", ErrorCode.PROTOCOL_ERROR, frame(FrameType.CONTINUATION, 4, 1)],
    [
      "a frame amid a header block",
      ErrorCode.PROTOCOL_ERROR,
      frame(FrameType.HEADERS, 1, 1, REQUEST.bytes),
      frame(FrameType.PING, 0, 0, Buffer.alloc(8)),
    ],
    ["PING of 7 bytes", ErrorCode.FRAME_SIZE_ERROR, frame(FrameType.PING, 0, 0, Buffer.alloc(7))],
    ["PING on a stream", ErrorCode.PROTOCOL_ERROR, frame(FrameType.PING, 0, 1, Buffer.alloc(8))],
    ["SETTINGS of 5 bytes", ErrorCode.FRAME_SIZE_ERROR, frame(FrameType.SETTINGS, 0, 0, Buffer.alloc(5))],
    ["SETTINGS on a stream", ErrorCode.PROTOCOL_ERROR, frame(FrameType.SETTINGS, 0, 1)],
    ["ACK with settings", ErrorCode.FRAME_SIZE_ERROR, frame(FrameType.SETTINGS, 1, 0, Buffer.alloc(6))],
    [
      "a window of 2^31",
      ErrorCode.FLOW_CONTROL_ERROR,
      frame(FrameType.SETTINGS, 0, 0, settings([4, 2 ** 31])),
    ],
    ["a frame size of 1", ErrorCode.PROTOCOL_ERROR, frame(FrameType.SETTINGS, 0, 0, settings([5, 1]))],
    ["ENABLE_PUSH of 2", ErrorCode.PROTOCOL_ERROR, frame(FrameType.SETTINGS, 0, 0, settings([2, 2]))],
    ["WINDOW_UPDATE of 0", ErrorCode.PROTOCOL_ERROR, frame(FrameType.WINDOW_UPDATE, 0, 0, u32(0))],
    [
      "a window above 2^31-1",
      ErrorCode.FLOW_CONTROL_ERROR,
      frame(FrameType.WINDOW_UPDATE, 0, 0, u32(2 ** 31 - 1)),
    ],
    ["RST_STREAM of an idle stream", ErrorCode.PROTOCOL_ERROR, frame(FrameType.RST_STREAM, 0, 1, u32(8))],
    ["RST_STREAM of 3 bytes", ErrorCode.FRAME_SIZE_ERROR, frame(FrameType.RST_STREAM, 0, 1, [0, 0, 8])],
    ["PUSH_PROMISE", ErrorCode.PROTOCOL_ERROR, frame(FrameType.PUSH_PROMISE, 4, 1, [0, 0, 0, 2, 0x82])],
    ["GOAWAY on a stream", ErrorCode.PROTOCOL_ERROR, frame(FrameType.GOAWAY, 0, 1, Buffer.alloc(8))],
  ];
  it.each(cases)("%s", async (_, code, ...frames) => {
    const { peer, connection, opened, closes } = serve({}, hang);
    peer.start();
    peer.send(...frames);
    expect(await peer.goaway()).toBe(code);
    expect(connection.streamCount).toBe(0);
    expect(closes).toHaveLength(opened.length);
  });

  it.each([
    ["not the preface", Buffer.from("GET / HTTP/1.1\r\n\r\n\r\n\r\n\r\n\r\n\r\n")],
    ["no SETTINGS first", Buffer.concat([PREFACE, frame(FrameType.PING, 0, 0, Buffer.alloc(8))])],
  ])("%s", async (_, bytes) => {
    const { peer } = serve();
    peer.send(bytes);
    expect(await peer.goaway()).toBe(ErrorCode.PROTOCOL_ERROR);
  });
});

describe("stream errors", () => {
  const P = ErrorCode.PROTOCOL_ERROR;
  const cases: [name: string, code: number, ...frames: Buffer[]][] = [
    ["no path", P, headers(1, true, [":method", "GET", ":scheme", "http"])],
    ["an empty path", P, headers(1, true, [":method", "GET", ":scheme", "http", ":path", ""])],
    ["a response's field", P, headers(1, true, [...REQUEST.pairs, ":status", "200"])],
    ["trailers without the end", P, headers(1, false), headers(1, false, ["a", "b"])],
    ["trailers with a pseudo-header field", P, headers(1, false), headers(1, true, [":path", "/"])],
    [
      "less than content-length",
      P,
      headers(1, false, [...REQUEST.pairs, "content-length", "5"]),
      frame(0, 1, 1, [1]),
    ],
    [
      "more than content-length",
      P,
      headers(1, false, [...REQUEST.pairs, "content-length", "1"]),
      frame(0, 0, 1, [1, 2]),
    ],
    ["no body but a content-length", P, headers(1, true, [...REQUEST.pairs, "content-length", "1"])],
    ["DATA after the end", ErrorCode.STREAM_CLOSED, headers(1, true), frame(FrameType.DATA, 0, 1, [1])],
    ["HEADERS after the end", ErrorCode.STREAM_CLOSED, headers(1, true), headers(1, true)],
    ["WINDOW_UPDATE of 0", P, headers(1, false), frame(FrameType.WINDOW_UPDATE, 0, 1, u32(0))],
    ["a window above 2^31-1", 3, headers(1, false), frame(FrameType.WINDOW_UPDATE, 0, 1, u32(2 ** 31 - 1))],
    [
      "a stream that depends on itself",
      P,
      frame(FrameType.HEADERS, 0x25, 1, [0, 0, 0, 1, 0, ...REQUEST.bytes]),
    ],
  ];
  it.each(cases)("%s", async (_, code, ...frames) => {
    const { peer, connection, opened, closes } = serve({}, hang);
    peer.start();
    peer.send(...frames);
    expect(await peer.rst(1)).toBe(code);
    await peer.settle();
    expect(closes).toEqual(opened.map(() => code));
    // What was on its way is no error.
    peer.send(
      frame(FrameType.DATA, 1, 1, [1]),
      frame(FrameType.WINDOW_UPDATE, 0, 1, u32(1)),
      headers(3, false),
    );
    await peer.settle();
    expect(connection.streamCount).toBe(1);
  });

  it("a callback that throws resets its stream and no other", async () => {
    const errors: unknown[] = [];
    const { peer, connection } = serve({ onCallbackError: (error) => errors.push(error) }, (stream) => {
      if (stream.id === 1) {
        throw new Error("in onStream");
      }
      stream.read(() => {
        throw new Error("in onData");
      });
    });
    peer.start();
    peer.send(headers(1, false), headers(3, false), frame(FrameType.DATA, 0, 3, [1]));
    expect(await peer.rst(1)).toBe(ErrorCode.INTERNAL_ERROR);
    expect(await peer.rst(3)).toBe(ErrorCode.INTERNAL_ERROR);
    expect(errors).toHaveLength(2);
    expect(connection.streamCount).toBe(0);
  });
});

describe("a stream", () => {
  it("takes padding, priority, CONTINUATION and trailers", async () => {
    const { peer, opened, closes } = serve();
    peer.start();
    const { bytes } = encodeHeaders([...REQUEST.pairs, "a", "1", "a", "2"]);
    peer.send(
      frame(FrameType.HEADERS, 0x28, 1, [3, 0, 0, 0, 0, 9, ...bytes.subarray(0, 5), 0, 0, 0]),
      frame(FrameType.CONTINUATION, 0, 1, bytes.subarray(5, 9)),
      frame(FrameType.CONTINUATION, 4, 1, bytes.subarray(9)),
      frame(FrameType.DATA, 8, 1, [2, 104, 105, 0, 0]),
      headers(1, true, ["t", "x"]),
    );
    await peer.until((f) => f.flags === 5);
    const [stream] = opened;
    expect(stream).toMatchObject({ id: 1, closed: true, trailers: { fields: ["t", "x"] } });
    expect([stream?.method, stream?.path, stream?.authority, stream?.scheme]).toEqual([
      "POST",
      "/a.B/C",
      "x",
      "http",
    ]);
    expect(stream?.header("a")).toBe("1, 2");
    expect(peer.frames.find((f) => f.type === FrameType.DATA)?.payload.toString()).toBe("hi");
    expect(closes).toEqual([undefined]);
  });

  it("waits with its body until somebody reads", async () => {
    const { peer, opened } = serve({}, () => {});
    peer.start();
    peer.send(headers(1, false), frame(0, 0, 1, [1, 2]), frame(0, 1, 1, [3]), headers(3, true));
    await peer.settle();
    const got: [number[], boolean][] = [];
    for (const stream of opened) {
      stream.read((_, chunk, end) => got.push([[...chunk], end]));
    }
    expect(got).toEqual([
      [[1, 2, 3], true],
      [[], true],
    ]);
  });

  it("that is paused stops the peer at its window", async () => {
    const { peer, opened } = serve({ streamWindowBytes: 65535 }, (stream) => {
      stream.read(() => {});
      stream.pause();
    });
    peer.start();
    peer.send(headers(1, false), ...Array.from({ length: 4 }, () => frame(0, 0, 1, Buffer.alloc(16000))));
    await peer.settle();
    expect(peer.frames.some((f) => f.type === FrameType.WINDOW_UPDATE && f.streamId === 1)).toBe(false);
    opened[0]?.resume();
    const update = await peer.until((f) => f.type === FrameType.WINDOW_UPDATE && f.streamId === 1);
    expect(update.payload.readUInt32BE(0)).toBe(48000);
  });

  it("shares the connection's window fairly, says when it drains, and obeys changes of the initial window", async () => {
    let drains = 0;
    const { peer } = serve({}, (stream) => {
      stream.respond(RESPONSE);
      stream.whenDrained(() => {
        drains++;
        stream.end(TRAILERS);
      });
      expect(stream.write(Buffer.alloc(100_000))).toBe(false);
    });
    peer.start([Setting.INITIAL_WINDOW_SIZE, 10]);
    peer.send(headers(1, true), headers(3, true));
    await peer.settle();
    expect([peer.bodyBytes(1), peer.bodyBytes(3)]).toEqual([10, 10]);
    peer.send(frame(FrameType.SETTINGS, 0, 0, settings([Setting.INITIAL_WINDOW_SIZE, 200_000])));
    await peer.settle();
    expect(peer.bodyBytes(1) + peer.bodyBytes(3)).toBe(65535);
    expect(Math.abs(peer.bodyBytes(1) - peer.bodyBytes(3))).toBeLessThanOrEqual(16384);
    peer.send(frame(FrameType.WINDOW_UPDATE, 0, 0, u32(200_000)));
    await peer.until((f) => f.streamId === 1 && f.flags === 5);
    await peer.until((f) => f.streamId === 3 && f.flags === 5);
    expect([peer.bodyBytes(1), peer.bodyBytes(3), drains]).toEqual([100_000, 100_000, 2]);
  });

  it("that is answered early tells the peer to stop", async () => {
    const { peer, closes, connection } = serve({ lingerMs: 20 }, (stream) =>
      stream.reply(RESPONSE, Buffer.from("no"), undefined),
    );
    peer.start();
    peer.send(headers(1, false));
    expect(await peer.rst(1)).toBe(ErrorCode.NO_ERROR);
    peer.send(frame(0, 0, 1, Buffer.alloc(100)), headers(1, true, ["t", "x"]));
    await peer.settle();
    expect(closes).toEqual([undefined]);
    expect(connection.closing).toBe(false);
  });

  it("closes with the code of the peer's RST_STREAM, or of a lost connection", async () => {
    const { peer, closes, connection, closed } = serve({}, hang);
    peer.start();
    peer.send(headers(1, false), headers(3, false), frame(FrameType.RST_STREAM, 0, 1, u32(8)));
    await peer.settle();
    peer.socket.destroy();
    await closed;
    expect(closes).toEqual([ErrorCode.CANCEL, ErrorCode.CONNECT_ERROR]);
    expect(connection.streamCount).toBe(0);
  });

  it("sends a header block that is larger than a frame", async () => {
    const large = encodeHeaders([":status", "200", "a", "b".repeat(40_000)]);
    const { peer } = serve({}, (stream) => stream.reply(large, Buffer.from("x"), TRAILERS));
    peer.start();
    peer.send(headers(1, true));
    await peer.until((f) => f.flags === 5 && f.streamId === 1);
    const parts = peer.frames.filter((f) => f.streamId === 1).map((f) => [f.type, f.flags, f.payload.length]);
    expect(parts.slice(0, 3).map(([type, flags]) => [type, flags])).toEqual([
      [1, 0],
      [9, 0],
      [9, 4],
    ]);
  });

  it("says a table size before the first block, where the peer lowered it", async () => {
    const { peer } = serve();
    peer.start([Setting.HEADER_TABLE_SIZE, 0]);
    peer.send(headers(1, true), headers(3, true));
    await peer.until((f) => f.streamId === 3 && f.flags === 5);
    const blocks = peer.frames.filter((f) => f.type === FrameType.HEADERS);
    expect(blocks[0]?.payload[0]).toBe(0x20);
    expect(blocks.filter((f) => f.payload[0] === 0x20)).toHaveLength(1);
  });
});

describe("drain", () => {
  it("serves the streams that arrive between the two GOAWAYs, and refuses later ones", async () => {
    const { peer, connection, opened, closed } = serve({ lingerMs: 20 }, hang);
    peer.start();
    peer.send(headers(1, true));
    await peer.settle();
    const drained = connection.drain();
    const first = await peer.until((f) => f.type === FrameType.GOAWAY);
    expect(first.payload.readUInt32BE(0)).toBe(2 ** 31 - 1);
    const ping = await peer.until((f) => f.type === FrameType.PING && f.flags === 0);
    peer.send(headers(3, true), frame(FrameType.PING, 1, 0, ping.payload));
    const last = await peer.until((f) => f.type === FrameType.GOAWAY && f !== first);
    expect(last.payload.readUInt32BE(0)).toBe(3);
    peer.send(headers(5, true));
    expect(await peer.rst(5)).toBe(ErrorCode.REFUSED_STREAM);
    expect(opened.map(({ id }) => id)).toEqual([1, 3]);
    for (const stream of opened) {
      stream.reply(RESPONSE, Buffer.from("x"), TRAILERS);
    }
    await drained;
    expect(await closed).toBeUndefined();
    expect(peer.frames.filter((f) => f.flags === 5)).toHaveLength(2);
  });

  it("does not wait long for a peer that answers no PING", async () => {
    const { peer, connection } = serve({ drainPingTimeoutMs: 20, lingerMs: 20 });
    peer.start();
    await peer.settle();
    await connection.drain();
    expect(peer.frames.filter((f) => f.type === FrameType.GOAWAY)).toHaveLength(2);
  });

  it("resolves at once on a closed connection, and destroy closes one", async () => {
    const { peer, connection, closed, closes } = serve({ lingerMs: 20 }, hang);
    peer.start();
    peer.send(headers(1, true));
    await peer.settle();
    connection.destroy(ErrorCode.INTERNAL_ERROR);
    expect(await peer.goaway()).toBe(ErrorCode.INTERNAL_ERROR);
    await closed;
    await connection.drain();
    expect(await connection.ping()).toBeUndefined();
    expect(closes).toEqual([ErrorCode.INTERNAL_ERROR]);
  });
});

describe("client", () => {
  function connect() {
    const [near, far] = duplexPair();
    const connection = createClientConnection(near, { maxQueuedStreams: 2, lingerMs: 20 });
    const peer = new RawPeer(far, true);
    const open = () => {
      const result = { stream: connection.request(REQUEST), closes: [] as unknown[] };
      result.stream.whenClosed((stream, code) => result.closes.push(code, stream.refused));
      result.stream.endWith(Buffer.from("x"));
      return result;
    };
    return { connection, peer, open };
  }
  const settle = (peer: RawPeer) => peer.settle();
  const answer = (id: number) =>
    Buffer.concat([frame(1, 4, id, RESPONSE.bytes), frame(0, 0, id, [1]), frame(1, 5, id, TRAILERS.bytes)]);

  it("keeps to the server's streams, queues, and refuses above the bound of the queue", async () => {
    const { connection, peer, open } = connect();
    peer.send(frame(FrameType.SETTINGS, 0, 0, settings([Setting.MAX_CONCURRENT_STREAMS, 1])));
    await settle(peer);
    const calls = [open(), open(), open(), open()];
    await settle(peer);
    expect(calls.map(({ closes }) => closes)).toEqual([[], [], [], [ErrorCode.REFUSED_STREAM, true]]);
    expect(connection.streamCount).toBe(1);
    for (const id of [1, 3, 5]) {
      for (const call of calls) {
        call.stream.read(() => {});
      }
      peer.send(answer(id));
      await settle(peer);
    }
    expect(calls.slice(0, 3).map(({ closes }) => closes)).toEqual([
      [undefined, false],
      [undefined, false],
      [undefined, false],
    ]);
    expect(peer.frames.filter((f) => f.type === FrameType.HEADERS).map((f) => f.streamId)).toEqual([1, 3, 5]);
    expect(connection.streamCount).toBe(0);
  });

  it("knows by GOAWAY and REFUSED_STREAM what was not run", async () => {
    const { connection, peer, open } = connect();
    const codes: number[] = [];
    connection.onDraining = (code) => codes.push(code);
    peer.send(frame(FrameType.SETTINGS, 0, 0));
    await settle(peer);
    const calls = [open(), open(), open()];
    peer.send(
      frame(FrameType.RST_STREAM, 0, 3, u32(7)),
      frame(FrameType.GOAWAY, 0, 0, Buffer.concat([u32(1), u32(0)])),
    );
    await settle(peer);
    expect(calls.map(({ closes }) => closes)).toEqual([[], [7, true], [7, true]]);
    expect(codes).toEqual([0]);
    expect(connection.closing).toBe(true);
    const late = open();
    calls[0]?.stream.collect(10, () => {});
    peer.send(answer(1));
    await peer.until((f) => f.type === FrameType.GOAWAY);
    expect([calls[0]?.closes, late.closes]).toEqual([
      [undefined, false],
      [7, true],
    ]);
  });

  it.each([
    ["PUSH_PROMISE", frame(FrameType.PUSH_PROMISE, 4, 1, [0, 0, 0, 2, 0x82])],
    ["HEADERS on a stream of the server", frame(FrameType.HEADERS, 5, 2, RESPONSE.bytes)],
    ["HEADERS on an idle stream", frame(FrameType.HEADERS, 5, 3, RESPONSE.bytes)],
    ["ENABLE_PUSH of a server", frame(FrameType.SETTINGS, 0, 0, settings([2, 1]))],
  ])("refuses %s", async (_, bytes) => {
    const { peer, open } = connect();
    peer.send(frame(FrameType.SETTINGS, 0, 0));
    const call = open();
    peer.send(bytes);
    expect(await peer.goaway()).toBe(ErrorCode.PROTOCOL_ERROR);
    expect(call.closes).toEqual([ErrorCode.PROTOCOL_ERROR, false]);
  });

  it.each([
    ["no status", [frame(1, 4, 1, TRAILERS.bytes)]],
    ["DATA before headers", [frame(0, 0, 1, [1])]],
    ["an interim response that ends", [headers(1, true, [":status", "100"])]],
    ["a request's field", [headers(1, false, [":status", "200", ":path", "/"])]],
  ])("resets on %s", async (_, frames) => {
    const { peer, open } = connect();
    peer.send(frame(FrameType.SETTINGS, 0, 0));
    const call = open();
    await settle(peer);
    peer.send(...frames);
    expect(await peer.rst(1)).toBe(ErrorCode.PROTOCOL_ERROR);
    expect(call.closes).toEqual([ErrorCode.PROTOCOL_ERROR, false]);
  });
});

it.each([
  ["100-continue", true],
  ["100-Continue", true],
  ["something else", false],
])("Expect: %s", async (value, continues) => {
  const { peer } = serve();
  peer.start();
  peer.send(headers(1, false, [...REQUEST.pairs, "expect", value]));
  await peer.settle();
  const informational = peer.frames.filter((f) => f.type === FrameType.HEADERS);
  expect(informational.map(({ flags, payload }) => [flags, payload])).toEqual(
    continues ? [[4, encodeHeaders([":status", "100"]).bytes]] : [],
  );
  peer.send(frame(FrameType.DATA, 1, 1, [1, 2, 3]));
  await peer.until((f) => f.type === FrameType.HEADERS && (f.flags & 1) === 1);
  expect(peer.bodyBytes(1)).toBe(3);
});

it("Expect: 100-continue without a body", async () => {
  const { peer } = serve();
  peer.start();
  peer.send(headers(1, true, [...REQUEST.pairs, "expect", "100-continue"]));
  await peer.until((f) => f.type === FrameType.HEADERS && (f.flags & 1) === 1);
  expect(peer.frames.filter((f) => f.type === FrameType.HEADERS)).toHaveLength(2);
});
