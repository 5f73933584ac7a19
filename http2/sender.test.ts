import { duplexPair } from "node:stream";
import { expect, it } from "vitest";
import { ChunkQueue } from "./chunk-queue.ts";
import { ControlBudget } from "./control-budget.ts";
import { PREFACE } from "./frame.ts";
import { createServerConnection, type Stream } from "./index.ts";
import { FrameType, frame, headers, RESPONSE, Setting, serve, TRAILERS, u32 } from "./testing.ts";

it("gathers what a turn sends into one write", async () => {
  const [near] = duplexPair();
  let writes = 0;
  near._write = (_chunk, _encoding, done) => {
    writes++;
    done();
  };
  createServerConnection(near, {}, (stream) => stream.reply(RESPONSE, Buffer.from("x"), TRAILERS));
  near.emit(
    "data",
    Buffer.concat([PREFACE, frame(FrameType.SETTINGS, 0, 0), ...[1, 3, 5, 7].map((id) => headers(id, true))]),
  );
  await new Promise((resolve) => setImmediate(resolve));
  expect(writes).toBe(1);
  near.destroy();
});

it("answers in as few frames as there can be", async () => {
  const ways: Record<number, (stream: Stream) => void> = {
    1: (stream) => stream.respond(TRAILERS, true),
    3: (stream) => {
      stream.respond(RESPONSE);
      stream.endWith(Buffer.from("x"));
    },
    5: (stream) => {
      stream.respond(RESPONSE);
      stream.write(Buffer.from("x"));
      stream.end(TRAILERS);
    },
    7: (stream) => {
      stream.respond(RESPONSE);
      stream.end();
    },
    9: (stream) => stream.reply(RESPONSE, Buffer.alloc(20_000), undefined),
  };
  const { peer, connection, closes } = serve({}, (stream) => ways[stream.id]?.(stream));
  peer.start();
  peer.send(...[1, 3, 5, 7, 9].map((id) => headers(id, true)));
  await peer.settle();
  const shape = (id: number) =>
    peer.frames.filter((f) => f.streamId === id).map((f) => [f.type, f.flags, f.payload.length]);
  const [head, tail] = [RESPONSE.bytes.length, TRAILERS.bytes.length];
  expect(shape(1)).toEqual([[1, 5, tail]]);
  expect(shape(3)).toEqual([
    [1, 4, head],
    [0, 1, 1],
  ]);
  expect(shape(5)).toEqual([
    [1, 4, head],
    [0, 0, 1],
    [1, 5, tail],
  ]);
  expect(shape(7)).toEqual([
    [1, 4, head],
    [0, 1, 0],
  ]);
  expect(shape(9)).toEqual([
    [1, 4, head],
    [0, 0, 16384],
    [0, 1, 3616],
  ]);
  expect(closes).toEqual([undefined, undefined, undefined, undefined, undefined]);
  expect(connection.streamCount).toBe(0);
});

it("obeys a larger frame size of the peer", async () => {
  const { peer } = serve({}, (stream) => stream.reply(RESPONSE, Buffer.alloc(60_000), undefined));
  peer.start([Setting.MAX_FRAME_SIZE, 2 ** 20]);
  peer.send(frame(FrameType.WINDOW_UPDATE, 0, 0, u32(1)), headers(1, true));
  await peer.settle();
  expect(peer.frames.filter((f) => f.type === FrameType.DATA).map((f) => f.payload.length)).toEqual([60_000]);
});

it("a queue gives back its bytes in order, whatever their sizes", () => {
  const queue = new ChunkQueue();
  const put: number[] = [];
  const got: number[] = [];
  for (let i = 0; i < 300; i++) {
    const chunk = Buffer.alloc((i * 37) % 3000, i);
    queue.push(chunk);
    put.push(...chunk);
    if (i % 3 === 0 && queue.bytes > 0) {
      got.push(...queue.shift(1 + ((i * 91) % 5000)));
    }
  }
  while (queue.bytes > 0) {
    got.push(...queue.shift(777));
  }
  expect(Buffer.from(got).equals(Buffer.from(put))).toBe(true);
});

it("a control budget lets a burst pass, then a rate, and more to those who earn it", () => {
  const budget = new ControlBudget(10, 5);
  const start = performance.now();
  const count = (now: number) => {
    budget.setTime(now);
    for (let passed = 0; ; passed++) {
      try {
        budget.spend();
      } catch {
        return passed;
      }
    }
  };
  expect(count(start)).toBe(25);
  expect(count(start + 1000)).toBeGreaterThanOrEqual(9);
  expect(count(start + 1000)).toBe(0);
  budget.earn();
  expect(count(start + 1000)).toBe(1);
  expect(count(start + 1e9)).toBe(25);
});
