import { duplexPair } from "node:stream";
import { expect, it } from "vitest";
import { ClientConnection } from "./client-connection.ts";
import { PREFACE } from "./frame.ts";
import { createClientConnection, createCompat, createServerConnection, type Stream } from "./index.ts";
import { FrameType, frame, headers, REQUEST, RESPONSE, Setting, settings, TRAILERS, u32 } from "./testing.ts";

/**
 * Cases of one run; a longer one: HTTP2_FUZZ_CASES=1000000 vitest run fuzz. HTTP2_FUZZ_SEED repeats
 * one.
 */
const CASES = Number(process.env.HTTP2_FUZZ_CASES ?? 3000);
const SEED = Number(process.env.HTTP2_FUZZ_SEED ?? Date.now() % 2 ** 31);

/** mulberry32: a number in [0, n). */
function random(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % n;
  };
}

/** What a client says on a connection that goes well, frame by frame, and what a server does. */
const CLIENT = [
  PREFACE,
  frame(FrameType.SETTINGS, 0, 0, settings([Setting.INITIAL_WINDOW_SIZE, 100])),
  frame(FrameType.SETTINGS, 1, 0),
  headers(1, false, [...REQUEST.pairs, "content-length", "5"]),
  frame(FrameType.DATA, 1, 1, [1, 2, 3, 4, 5]),
  frame(FrameType.HEADERS, 0x2c, 3, [2, 0, 0, 0, 0, 16, ...REQUEST.bytes, 0, 0]),
  frame(FrameType.WINDOW_UPDATE, 0, 0, u32(1000)),
  frame(FrameType.DATA, 8, 3, [3, 9, 9, 0, 0, 0]),
  frame(FrameType.HEADERS, 1, 5, REQUEST.bytes.subarray(0, 4)),
  frame(FrameType.CONTINUATION, 4, 5, REQUEST.bytes.subarray(4)),
  frame(FrameType.PING, 0, 0, Buffer.alloc(8)),
  headers(3, true, ["trailer", "x"]),
  frame(
    FrameType.HEADERS,
    5,
    7,
    Buffer.concat([REQUEST.bytes, Buffer.from("40016103626364be20", "hex").subarray(0, 8)]),
  ),
  frame(FrameType.RST_STREAM, 0, 7, u32(8)),
  frame(FrameType.PRIORITY, 0, 9, [0, 0, 0, 1, 3]),
  frame(FrameType.WINDOW_UPDATE, 0, 1, u32(1000)),
  frame(
    FrameType.SETTINGS,
    0,
    0,
    settings([Setting.INITIAL_WINDOW_SIZE, 70000], [Setting.HEADER_TABLE_SIZE, 0]),
  ),
  headers(9, true),
  frame(FrameType.GOAWAY, 0, 0, Buffer.alloc(8)),
];
const SERVER = [
  frame(
    FrameType.SETTINGS,
    0,
    0,
    settings([Setting.INITIAL_WINDOW_SIZE, 100], [Setting.MAX_CONCURRENT_STREAMS, 2]),
  ),
  frame(FrameType.SETTINGS, 1, 0),
  headers(1, false, [":status", "100"]),
  frame(FrameType.HEADERS, 4, 1, RESPONSE.bytes),
  frame(FrameType.DATA, 0, 1, [1, 2, 3, 4, 5]),
  frame(FrameType.WINDOW_UPDATE, 0, 3, u32(1000)),
  frame(FrameType.HEADERS, 5, 1, TRAILERS.bytes),
  frame(FrameType.PING, 0, 0, Buffer.alloc(8)),
  frame(FrameType.RST_STREAM, 0, 3, u32(7)),
  frame(FrameType.HEADERS, 4, 5, RESPONSE.bytes),
  frame(FrameType.DATA, 1, 5, [1, 2, 3]),
  frame(FrameType.GOAWAY, 0, 0, Buffer.concat([u32(5), u32(0)])),
];

function mutate(recorded: readonly Buffer[], pick: (n: number) => number): Buffer {
  const frames = recorded.map((bytes) => Buffer.from(bytes));
  for (let edits = pick(4); edits > 0; edits--) {
    const at = pick(frames.length);
    const chosen = frames[at] ?? PREFACE;
    switch (pick(6)) {
      case 0:
        frames.splice(at, 1);
        break;
      case 1:
        frames.splice(pick(frames.length + 1), 0, Buffer.from(chosen));
        break;
      case 2:
        chosen[pick(chosen.length)] = pick(256);
        break;
      case 3:
        chosen[pick(Math.min(9, chosen.length))] = [0, 1, 4, 5, 8, 0x7f, 0xff][pick(7)] ?? 0;
        break;
      case 4:
        frames[at] = chosen.subarray(0, pick(chosen.length));
        break;
      default:
        chosen[pick(chosen.length)] = (chosen[0] ?? 0) ^ (1 << pick(8));
    }
    if (frames.length === 0) {
      break;
    }
  }
  return Buffer.concat(frames);
}

const BODY = Buffer.alloc(300, 1);

/** What servers do with a stream, by turns. */
function behave(stream: Stream, how: number, closed: () => void): void {
  if (how === 0) {
    stream.collect(100, () => stream.reply(RESPONSE, BODY, TRAILERS));
  } else if (how === 1) {
    stream.respond(RESPONSE);
    stream.read((_, chunk, end) => {
      stream.write(chunk);
      if (end) {
        stream.end(TRAILERS);
      }
    });
  } else if (how === 2) {
    stream.read(() => {});
    stream.pause();
    setImmediate(() => stream.resume());
  } else if (how === 3) {
    stream.reply(RESPONSE, BODY, undefined);
  } else if (how === 4) {
    const { request, response } = createCompat(stream);
    response.on("close", closed);
    request.on("error", () => {}).on("end", () => response.end(BODY));
    response.on("error", () => {}).writeHead(200);
    request.on("data", (chunk) => response.write(chunk));
  } else {
    stream.reset();
  }
}

/** One connection; every stream that opens must close, once. */
async function runCase(seed: number): Promise<void> {
  const pick = random(seed);
  const [near, far] = duplexPair();
  const asServer = pick(3) > 0;
  const bytes = mutate(asServer ? CLIENT : SERVER, pick);
  let open = 0;
  const errors: unknown[] = [];
  const options = { lingerMs: 1, onCallbackError: (error: unknown) => errors.push(error) };
  const watch = (stream: Stream) => {
    open++;
    let closes = 0;
    const closed = () => {
      open--;
      expect(++closes).toBe(1);
    };
    stream.whenClosed(closed);
    return closed;
  };
  const connection = asServer
    ? createServerConnection(near, options, (stream) => {
        behave(stream, pick(6), watch(stream));
      })
    : createClientConnection(near, options);
  const closed = new Promise<void>((resolve) => {
    connection.onClose = () => resolve();
  });
  if (connection instanceof ClientConnection) {
    for (let i = 0; i < 4; i++) {
      const stream = connection.request(REQUEST);
      watch(stream);
      stream.collect(1000, () => {});
      stream.endWith(BODY.subarray(0, pick(300)));
    }
  }
  far.on("data", () => {}).on("error", () => {});
  for (let at = 0; at < bytes.length; ) {
    const end = at + 1 + pick(pick(2) === 0 ? 12 : 400);
    // Straight into the engine: faster than a stream, and in the same turn.
    near.emit("data", bytes.subarray(at, end));
    at = end;
    if (pick(8) === 0) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  if (pick(2) === 0) {
    near.destroy();
  } else {
    connection.destroy();
    near.destroy();
  }
  await closed;
  expect(errors).toEqual([]);
  expect(open).toBe(0);
  expect(connection.streamCount).toBe(0);
  expect(connection.bufferedBytes).toBe(0);
}

it(`survives ${CASES} mutated connections from seed ${SEED}`, { timeout: 24 * 3600 * 1000 }, async () => {
  for (let i = 0; i < CASES; i++) {
    try {
      await runCase((SEED + i) | 0);
    } catch (error) {
      throw new Error(`HTTP2_FUZZ_SEED=${SEED + i} HTTP2_FUZZ_CASES=1 repeats it`, { cause: error });
    }
  }
});
