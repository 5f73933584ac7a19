import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { waitFor } from "../tests/helpers/until.ts";
import { PREFACE } from "./frame.ts";
import { BodyBudget, ErrorCode, encodeHeaders, type Stream } from "./index.ts";
import { resolveLimits } from "./limits.ts";
import { FrameType, frame, headers, REQUEST, RESPONSE, Setting, serve, TRAILERS, u32 } from "./testing.ts";

/** Answers nothing. */
const hang = (stream: Stream) => stream.read(() => {});

describe("floods end in GOAWAY ENHANCE_YOUR_CALM", () => {
  const ping = frame(FrameType.PING, 0, 0, Buffer.alloc(8));
  const empty = Buffer.alloc(0);
  const floods: [name: string, first: Buffer, each: (i: number) => Buffer][] = [
    ["PING", empty, () => ping],
    ["SETTINGS", empty, () => frame(FrameType.SETTINGS, 0, 0)],
    ["PRIORITY", empty, () => frame(FrameType.PRIORITY, 0, 1, [0, 0, 0, 0, 1])],
    ["WINDOW_UPDATE", empty, () => frame(FrameType.WINDOW_UPDATE, 0, 0, u32(1))],
    ["empty DATA", headers(1, false), () => frame(FrameType.DATA, 0, 1)],
    ["unknown frames", empty, () => frame(99, 0, 0)],
    [
      "rapid reset",
      empty,
      (i) => Buffer.concat([headers(2 * i + 1, false), frame(FrameType.RST_STREAM, 0, 2 * i + 1, u32(8))]),
    ],
    [
      "streams that we reset",
      empty,
      (i) => Buffer.concat([headers(2 * i + 1, false), frame(FrameType.WINDOW_UPDATE, 0, 2 * i + 1, u32(0))]),
    ],
    ["malformed requests", empty, (i) => headers(2 * i + 1, true, [":method", "GET"])],
  ];
  it.each(floods)("%s", async (_, first, each) => {
    const { peer, connection, opened, closes, closed } = serve({ controlFramesPerSecond: 100 }, hang);
    peer.start();
    peer.send(first);
    await peer.settle();
    for (let i = 0; i < 3000 && !peer.ended; i++) {
      peer.socket.write(each(i));
    }
    expect(await peer.goaway()).toBe(ErrorCode.ENHANCE_YOUR_CALM);
    expect(connection.streamCount).toBe(0);
    expect(closes).toHaveLength(opened.length);
    peer.socket.end();
    expect(await closed).toMatchObject({ code: ErrorCode.ENHANCE_YOUR_CALM });
  });

  it("not: ordinary calls of any number, with a WINDOW_UPDATE each", async () => {
    const { peer, connection } = serve({ controlFramesPerSecond: 10, maxConcurrentStreams: 10 });
    peer.start();
    for (let i = 0; i < 2000; i++) {
      const id = 2 * i + 1;
      peer.send(
        headers(id, false),
        frame(FrameType.DATA, 1, id, [1]),
        frame(FrameType.WINDOW_UPDATE, 0, 0, u32(1)),
      );
    }
    await peer.until((f) => f.streamId === 3999 && f.flags === 5);
    expect(connection.streamCount).toBe(0);
    expect(peer.frames.some((f) => f.type === FrameType.GOAWAY)).toBe(false);
  });
});

/** Keeps the event loop busy. */
function work(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end) {
    // Work.
  }
}

describe("work", () => {
  it.each([
    ["the peer resets", (id: number) => frame(FrameType.RST_STREAM, 0, id, u32(8))],
    ["the peer makes us reset", (id: number) => frame(FrameType.WINDOW_UPDATE, 0, id, u32(0))],
  ])("that %s counts by what it cost", async (_, reset) => {
    const { peer, closed } = serve({ controlFramesPerSecond: 100 }, (stream) => {
      stream.read(() => {});
      work(2);
    });
    peer.start();
    // Far fewer than the frames that the connection may send.
    for (let i = 0; i < 500 && !peer.ended; i++) {
      peer.send(headers(2 * i + 1, true), reset(2 * i + 1));
      await peer.settle().catch(() => {});
    }
    expect(await peer.goaway()).toBe(ErrorCode.ENHANCE_YOUR_CALM);
    peer.socket.end();
    expect(await closed).toMatchObject({ code: ErrorCode.ENHANCE_YOUR_CALM });
  });

  it("of one connection does not run all before the others get a turn", async () => {
    const order: string[] = [];
    const connections = ["busy", "other"].map((name) =>
      serve({}, (stream) => {
        order.push(name);
        work(1);
        stream.reply(RESPONSE, Buffer.from(name), TRAILERS);
      }),
    );
    const [busy, other] = connections.map(({ peer }) => peer);
    if (busy === undefined || other === undefined) {
      throw new TypeError("no peers");
    }
    busy.start();
    other.start();
    await Promise.all([busy.settle(), other.settle()]);
    busy.send(...Array.from({ length: 100 }, (_, i) => headers(2 * i + 1, true)));
    other.send(headers(1, true));
    await busy.until((f) => f.streamId === 199 && f.type === FrameType.DATA);
    // In one turn it had a few, and all of them in the end.
    expect(order.indexOf("other")).toBeLessThan(20);
    expect(order.filter((name) => name === "busy")).toHaveLength(100);
  });
});

describe("header blocks", () => {
  const start = frame(FrameType.HEADERS, 0, 1, REQUEST.bytes);
  it("CONTINUATION without end, by count", async () => {
    const { peer } = serve();
    peer.start();
    peer.send(start, ...Array.from({ length: 17 }, () => frame(FrameType.CONTINUATION, 0, 1, [0x82])));
    expect(await peer.goaway()).toBe(ErrorCode.ENHANCE_YOUR_CALM);
  });
  it("CONTINUATION without end, by bytes", async () => {
    const { peer } = serve({ maxHeaderListBytes: 1000 });
    peer.start();
    peer.send(
      start,
      ...Array.from({ length: 5 }, () => frame(FrameType.CONTINUATION, 0, 1, Buffer.alloc(1000))),
    );
    expect(await peer.goaway()).toBe(ErrorCode.ENHANCE_YOUR_CALM);
  });
  it("that stop in the middle", async () => {
    const { peer } = serve({ prefaceTimeoutMs: 40 });
    peer.start();
    peer.send(start);
    expect(await peer.goaway()).toBe(ErrorCode.ENHANCE_YOUR_CALM);
  });
  it("a list above the limit is answered with 431, and the connection goes on", async () => {
    const { peer, opened } = serve({ maxHeaderListBytes: 500 });
    peer.start();
    peer.send(headers(1, true, [...REQUEST.pairs, "a", "b".repeat(400)]), headers(3, true));
    const answer = await peer.until((f) => f.type === FrameType.HEADERS && f.streamId === 1);
    expect(answer.payload).toEqual(encodeHeaders([":status", "431"]).bytes);
    await peer.until((f) => f.streamId === 3 && f.flags === 5);
    expect(opened.map(({ id }) => id)).toEqual([3]);
  });
  it("a header bomb is answered with 431", async () => {
    const { peer } = serve();
    peer.start();
    const value = Buffer.alloc(3900, 97);
    const bomb = Buffer.concat([
      REQUEST.bytes,
      Buffer.from("4001617fbd1d", "hex"),
      value,
      Buffer.alloc(10000, 0xbe),
    ]);
    peer.send(frame(FrameType.HEADERS, 5, 1, bomb));
    expect((await peer.until((f) => f.type === FrameType.HEADERS)).payload.toString("latin1")).toContain(
      "431",
    );
  });
});

describe("streams", () => {
  it("above the limit are refused, and the others served", async () => {
    const { peer, opened, connection } = serve({ maxConcurrentStreams: 2 }, hang);
    peer.start();
    peer.send(headers(1, false), headers(3, false), headers(5, false));
    expect(await peer.rst(5)).toBe(ErrorCode.REFUSED_STREAM);
    expect(connection.streamCount).toBe(2);
    for (const stream of opened) {
      stream.reply(RESPONSE, Buffer.from("x"), TRAILERS);
    }
    // One more only once another is over, on both sides (section 5.1.2); what comes for a refused
    // one is no error.
    peer.send(frame(FrameType.DATA, 1, 5), frame(FrameType.DATA, 1, 1), headers(7, false));
    await peer.settle();
    expect(opened.map(({ id }) => id)).toEqual([1, 3, 7]);
  });

  it("wait while the answers before them pile up, and are run as the peer takes those", async () => {
    const { peer, opened } = serve({ maxConnectionBufferedBytes: 1000 }, (stream) =>
      stream.collect(10, () => stream.reply(RESPONSE, Buffer.alloc(600), TRAILERS)),
    );
    peer.start([Setting.INITIAL_WINDOW_SIZE, 0]);
    for (let i = 0; i < 50; i++) {
      peer.send(headers(2 * i + 1, true));
    }
    await peer.settle();
    expect(opened).toHaveLength(2);
    for (let i = 0; i < 50; i++) {
      peer.send(frame(FrameType.WINDOW_UPDATE, 0, 2 * i + 1, u32(600)));
    }
    await peer.until((f) => f.streamId === 99 && f.type === FrameType.HEADERS && (f.flags & 1) === 1);
    expect(opened.map(({ id }) => id)).toEqual(Array.from({ length: 50 }, (_, i) => 2 * i + 1));
    expect(peer.frames.filter((f) => f.type === FrameType.RST_STREAM)).toEqual([]);
  });

  it("that wait and are canceled are never run", async () => {
    const { peer, opened, connection } = serve({ maxConnectionBufferedBytes: 1000 }, (stream) =>
      stream.collect(10, () => stream.reply(RESPONSE, Buffer.alloc(1000), TRAILERS)),
    );
    peer.start([Setting.INITIAL_WINDOW_SIZE, 0]);
    peer.send(headers(1, true), headers(3, true), headers(5, true));
    peer.send(frame(FrameType.RST_STREAM, 0, 3, u32(8)), frame(FrameType.RST_STREAM, 0, 1, u32(8)));
    await peer.settle();
    expect(opened.map(({ id }) => id)).toEqual([1, 5]);
    expect(connection.streamCount).toBe(1);
  });

  it("more than a few wait where nothing is answered yet, for answers that are expected to be large", async () => {
    const { peer, opened } = serve({ maxConnectionBufferedBytes: 64_000 }, hang);
    peer.start();
    for (let i = 0; i < 200; i++) {
      peer.send(headers(2 * i + 1, true));
    }
    await peer.settle();
    expect(opened).toHaveLength(4);
    // One that comes in pieces waits for room by itself, and makes way.
    opened[0]?.respond(RESPONSE);
    await peer.settle();
    expect(opened).toHaveLength(5);
    // Now it is known how large they are.
    opened[1]?.reply(RESPONSE, Buffer.from("x"), TRAILERS);
    // They are started in several turns.
    await waitFor(() => expect(opened).toHaveLength(200));
  });

  it("of one kind wait, and not those of another", async () => {
    const { peer, opened } = serve({ maxConnectionBufferedBytes: 1000 }, hang);
    peer.start();
    const other = REQUEST.pairs.map((text) => (text === "/a.B/C" ? "/a.B/D" : text));
    peer.send(...[1, 3, 5, 7, 9, 11].map((id) => headers(id, true)), headers(13, true, other));
    await peer.settle();
    expect(opened.map(({ id }) => id)).toEqual([1, 3, 5, 7, 13]);
    // As large as all the room, so one at a time from now on; but one there always is.
    opened[0]?.reply(RESPONSE, Buffer.alloc(1000), TRAILERS);
    opened[1]?.reply(RESPONSE, Buffer.alloc(1000), TRAILERS);
    await peer.settle();
    expect(opened).toHaveLength(5);
    opened[2]?.reply(RESPONSE, Buffer.alloc(1000), TRAILERS);
    opened[3]?.reply(RESPONSE, Buffer.alloc(1000), TRAILERS);
    await peer.settle();
    expect(opened.map(({ id }) => id)).toEqual([1, 3, 5, 7, 13, 9]);
  });

  it("that buffer above their own bound are reset", async () => {
    const { peer, closes } = serve({ maxStreamBufferedBytes: 1000 }, (stream) => {
      stream.respond(RESPONSE);
      for (let i = 0; i < 3; i++) {
        stream.write(Buffer.alloc(600));
      }
    });
    peer.start([Setting.INITIAL_WINDOW_SIZE, 0]);
    peer.send(headers(1, true));
    expect(await peer.rst(1)).toBe(ErrorCode.ENHANCE_YOUR_CALM);
    expect(closes).toEqual([ErrorCode.ENHANCE_YOUR_CALM]);
  });

  it("whose window the peer never opens are reset, where they hold much", async () => {
    const { peer, closes, connection } = serve({ stallTimeoutMs: 40, stallBytes: 2 });
    peer.start([Setting.INITIAL_WINDOW_SIZE, 0]);
    peer.send(headers(1, false), frame(FrameType.DATA, 1, 1, [1, 2, 3]));
    expect(await peer.rst(1)).toBe(ErrorCode.ENHANCE_YOUR_CALM);
    expect(closes).toEqual([ErrorCode.ENHANCE_YOUR_CALM]);
    expect(connection.bufferedBytes).toBe(0);
  });

  it("whose window the peer opens late are waited for, where they hold little", async () => {
    const { peer, closes } = serve({ stallTimeoutMs: 10, stallBytes: 3, keepaliveMs: 200 });
    peer.start([Setting.INITIAL_WINDOW_SIZE, 0]);
    peer.send(headers(1, false), frame(FrameType.DATA, 1, 1, [1, 2, 3]));
    // By then the others would long be given up.
    await peer.until((f) => f.type === FrameType.PING);
    expect(closes).toEqual([]);
    peer.send(frame(FrameType.WINDOW_UPDATE, 0, 1, u32(3)));
    await peer.until((f) => f.type === FrameType.HEADERS && (f.flags & 1) === 1);
    expect(closes).toEqual([undefined]);
  });
});

describe("flow control", () => {
  it("DATA above the stream's window", async () => {
    const { peer } = serve({ streamWindowBytes: 65535 }, (stream) => stream.pause());
    peer.start();
    peer.send(
      headers(1, false),
      ...Array.from({ length: 5 }, () => frame(FrameType.DATA, 0, 1, Buffer.alloc(16384))),
    );
    expect(await peer.rst(1)).toBe(ErrorCode.FLOW_CONTROL_ERROR);
  });
  it("DATA above the connection's window", async () => {
    const { peer } = serve({ connectionWindowBytes: 65535 }, (stream) => stream.pause());
    peer.start();
    peer.send(
      headers(1, false),
      ...Array.from({ length: 5 }, () => frame(FrameType.DATA, 0, 1, Buffer.alloc(16384))),
    );
    expect(await peer.goaway()).toBe(ErrorCode.FLOW_CONTROL_ERROR);
  });
  it("a peer that does not read is cut off", async () => {
    const { peer, closed } = serve({
      maxOutputBytes: 10_000,
      maxConnectionBufferedBytes: 10_000,
      controlFramesPerSecond: 0,
    });
    peer.socket.pause();
    peer.start();
    for (let i = 0; i < 5000; i++) {
      peer.socket.write(frame(FrameType.PING, 0, 0, Buffer.alloc(8)));
    }
    expect(await closed).toMatchObject({ code: ErrorCode.ENHANCE_YOUR_CALM });
  });
  it("a socket that stalls is cut off", async () => {
    const { peer, closed } = serve({ stallTimeoutMs: 40 }, (stream) => {
      stream.respond(RESPONSE);
      stream.write(Buffer.alloc(2_000_000));
    });
    peer.start([Setting.INITIAL_WINDOW_SIZE, 10_000_000]);
    peer.send(frame(FrameType.WINDOW_UPDATE, 0, 0, u32(10_000_000)), headers(1, true));
    peer.socket.pause();
    expect(await closed).toMatchObject({ code: ErrorCode.ENHANCE_YOUR_CALM });
  });
});

describe("time", () => {
  it.each([
    ["no preface", Buffer.alloc(0)],
    ["half a preface", PREFACE.subarray(0, 10)],
    ["no SETTINGS", PREFACE],
  ])("%s", async (_, bytes) => {
    const { peer, closed } = serve({ prefaceTimeoutMs: 40, lingerMs: 20 });
    peer.send(bytes);
    expect(await peer.goaway()).toBe(ErrorCode.PROTOCOL_ERROR);
    expect(await closed).toMatchObject({ message: "no preface in time" });
  });
  it.each([
    ["that stops", []],
    ["that is put off with frames of its own", [1, 2, 3, 4, 5, 6, 7, 8, 9]],
  ])("a header block %s", async (_, pieces) => {
    const { peer, closed } = serve({ prefaceTimeoutMs: 40, lingerMs: 20, controlFramesPerSecond: 0 });
    peer.start();
    peer.send(frame(FrameType.HEADERS, 1, 1, REQUEST.bytes));
    for (const piece of pieces) {
      // Less than the time that a whole block has, and all of them more.
      await delay(15);
      peer.send(frame(FrameType.CONTINUATION, 0, 1, [piece]));
    }
    expect(await peer.goaway()).toBe(ErrorCode.ENHANCE_YOUR_CALM);
    expect(await closed).toMatchObject({ message: "header block without end" });
  });
  it("an idle connection is drained", async () => {
    const { peer, closed } = serve({ idleTimeoutMs: 40, drainPingTimeoutMs: 20, lingerMs: 20 });
    peer.start();
    expect(await peer.goaway(true)).toBe(ErrorCode.NO_ERROR);
    expect(await closed).toBeUndefined();
  });
  it("a silent peer with streams is pinged, and cut off", async () => {
    const { peer, closed, closes } = serve({ keepaliveMs: 40, keepaliveTimeoutMs: 40 }, hang);
    peer.start();
    peer.send(headers(1, false));
    await peer.until((f) => f.type === FrameType.PING);
    expect(await closed).toMatchObject({ code: ErrorCode.CONNECT_ERROR });
    expect(closes).toEqual([ErrorCode.CONNECT_ERROR]);
  });
});

it("a body above the bound of collect is told as such", async () => {
  const bodies: (number | string)[] = [];
  const { peer } = serve({ lingerMs: 20 }, (stream) =>
    stream.collect(5, (_, body) => {
      bodies.push(typeof body === "string" ? body : body.length);
      stream.reply(RESPONSE, Buffer.from("x"), TRAILERS);
    }),
  );
  peer.start();
  peer.send(
    headers(1, false),
    frame(FrameType.DATA, 0, 1, [1, 2, 3]),
    frame(FrameType.DATA, 0, 1, [1, 2, 3]),
  );
  peer.send(headers(3, false), frame(FrameType.DATA, 0, 3, [1, 2, 3]), frame(FrameType.DATA, 1, 3, [1, 2]));
  expect(await peer.rst(1)).toBe(ErrorCode.NO_ERROR);
  await peer.settle();
  expect(bodies).toEqual(["too long", 5]);
});

it("bodies in pieces share a budget, and give back what they took", async () => {
  const budget = new BodyBudget(20);
  const bodies: (number | string)[] = [];
  const { peer } = serve({ lingerMs: 20 }, (stream) =>
    stream.collect(
      10,
      (_, body) => {
        bodies.push(typeof body === "string" ? body : body.length);
        stream.reply(RESPONSE, Buffer.from("x"), TRAILERS);
      },
      budget,
    ),
  );
  peer.start();
  const piece = (id: number, end: boolean) => frame(FrameType.DATA, end ? 1 : 0, id, [1, 2, 3]);
  peer.send(headers(1, false), piece(1, false), headers(3, false), piece(3, false));
  peer.send(headers(5, false), piece(5, false), headers(7, false), piece(7, false));
  await peer.settle();
  // Six bytes for each of the first three, with room to grow; there is none left for the fourth.
  expect(bodies).toEqual(["no room"]);
  peer.send(headers(9, false), piece(9, true));
  await peer.settle();
  expect(bodies).toEqual(["no room", 3]);
  peer.send(piece(1, true), frame(FrameType.RST_STREAM, 0, 3, u32(8)), piece(5, true));
  await peer.settle();
  expect(bodies).toEqual(["no room", 3, 6, 6]);
  expect(budget.take(20)).toBe(true);
});

it("options out of range are refused", () => {
  expect(() => resolveLimits({ maxFrameBytes: 100 })).toThrow(RangeError);
  expect(() => resolveLimits({ idleTimeoutMs: -1 })).toThrow(RangeError);
});
