import { describe, expect, it } from "vitest";
import { PREFACE } from "./frame.ts";
import { FrameReader } from "./frame-reader.ts";
import { FrameType, frame } from "./testing.ts";

interface Seen {
  type: number;
  streamId: number;
  payload: string;
  source: Buffer;
}

function read(chunks: Buffer[], expectPreface = false, stopAfter = 99): Seen[] {
  const seen: Seen[] = [];
  const reader = new FrameReader(16384, expectPreface);
  for (const chunk of chunks) {
    reader.push(chunk, {
      onFrame: (type, _flags, streamId, bytes, start, end) => {
        seen.push({ type, streamId, payload: bytes.toString("latin1", start, end), source: bytes });
        return seen.length < stopAfter;
      },
    });
  }
  return seen;
}

const bytes = Buffer.concat([
  frame(FrameType.SETTINGS, 0, 0),
  frame(FrameType.DATA, 1, 1, Buffer.from("hello")),
  frame(FrameType.PING, 0, 0, Buffer.from("12345678")),
  frame(FrameType.DATA, 0, 2 ** 31 + 3),
]);

describe("frame reader", () => {
  it("hands out frames in place", () => {
    const seen = read([bytes]);
    expect(seen.map(({ type, streamId, payload }) => [type, streamId, payload])).toEqual([
      [FrameType.SETTINGS, 0, ""],
      [FrameType.DATA, 1, "hello"],
      [FrameType.PING, 0, "12345678"],
      // The reserved bit is ignored.
      [FrameType.DATA, 3, ""],
    ]);
    expect(seen.every(({ source }) => source === bytes)).toBe(true);
  });

  it("reads the same, however the bytes are cut", () => {
    const whole = Buffer.concat([PREFACE, bytes]);
    const expected = read([whole], true).map(({ payload }) => payload);
    for (let size = 1; size < whole.length; size++) {
      const chunks: Buffer[] = [];
      for (let at = 0; at < whole.length; at += size) {
        chunks.push(whole.subarray(at, at + size));
      }
      expect(read(chunks, true).map(({ payload }) => payload)).toEqual(expected);
    }
  });

  it("stops where the sink says so", () => {
    expect(read([bytes], false, 2)).toHaveLength(2);
  });

  it("refuses a large frame by its head alone", () => {
    expect(() =>
      read([frame(FrameType.SETTINGS, 0, 0), Buffer.from([0, 0x40, 1, 0, 0, 0, 0, 0, 1])]),
    ).toThrow("16385");
  });

  it.each([
    ["another protocol", Buffer.from("GET / HTTP/1.1\r\n")],
    ["a preface that goes wrong late", Buffer.from("PRI * HTTP/2.0\r\n\r\nSX")],
  ])("refuses %s", (_, chunk) => {
    expect(() => read([chunk], true)).toThrow("preface");
  });

  it.each([
    ["PING", frame(FrameType.PING, 0, 0, Buffer.alloc(8))],
    ["an acknowledgement", frame(FrameType.SETTINGS, 1, 0)],
  ])("refuses %s as the first frame", (_, chunk) => {
    expect(() => read([chunk])).toThrow("SETTINGS");
  });
});
