import { type Duplex, duplexPair } from "node:stream";
import { FrameType, PREFACE, Setting, writeFrameHead } from "./frame.ts";
import { FrameReader } from "./frame-reader.ts";
import {
  type ConnectionOptions,
  createServerConnection,
  encodeHeaders,
  type HeaderPairs,
  type Stream,
} from "./index.ts";

/** A frame as a peer sees it. */
export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

/** The bytes of a frame, well-formed or not. */
export function frame(
  type: number,
  flags: number,
  streamId: number,
  payload: Uint8Array | number[] = [],
): Buffer {
  const bytes = Buffer.alloc(9 + payload.length);
  bytes.set(payload, writeFrameHead(bytes, 0, payload.length, type, flags, streamId));
  return bytes;
}

/** A payload of one 32-bit number. */
export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

/** The payload of SETTINGS. */
export function settings(...values: [number, number][]): Buffer {
  return Buffer.concat(values.map(([id, value]) => Buffer.concat([Buffer.from([0, id]), u32(value)])));
}

export const REQUEST = encodeHeaders([
  ":method",
  "POST",
  ":scheme",
  "http",
  ":path",
  "/a.B/C",
  ":authority",
  "x",
]);
export const RESPONSE = encodeHeaders([":status", "200", "content-type", "text/plain"]);
export const TRAILERS = encodeHeaders(["grpc-status", "0"]);

/** HEADERS with END_HEADERS, and END_STREAM if `end`. */
export function headers(streamId: number, end: boolean, pairs: HeaderPairs = REQUEST.pairs): Buffer {
  return frame(FrameType.HEADERS, end ? 5 : 4, streamId, encodeHeaders(pairs).bytes);
}

/** The other end of a connection, by hand: sends any bytes and sees every frame. */
export class RawPeer {
  readonly frames: Frame[] = [];
  ended = false;
  readonly socket: Duplex;
  #wake: () => void = () => {};

  constructor(socket: Duplex, isServer = false) {
    this.socket = socket;
    const reader = new FrameReader(2 ** 24 - 1, isServer);
    socket.on("data", (chunk: Buffer) => {
      reader.push(chunk, {
        onFrame: (type, flags, streamId, bytes, start, end) => {
          this.frames.push({ type, flags, streamId, payload: Buffer.from(bytes.subarray(start, end)) });
          return true;
        },
      });
      this.#wake();
    });
    const over = () => {
      this.ended = true;
      this.#wake();
    };
    socket.on("end", over).on("close", over).on("error", over);
  }

  send(...frames: Uint8Array[]): void {
    this.socket.write(Buffer.concat(frames));
  }

  /** Preface and SETTINGS. */
  start(...values: [number, number][]): void {
    this.send(PREFACE, frame(FrameType.SETTINGS, 0, 0, settings(...values)));
  }

  /** The first frame that fits, once it is there; rejects when the connection ends without one. */
  async until(fits: (frame: Frame) => boolean): Promise<Frame> {
    for (;;) {
      const found = this.frames.find(fits);
      if (found !== undefined) {
        return found;
      }
      if (this.ended) {
        throw new Error(
          `ended after ${JSON.stringify(this.frames.map(({ type, streamId }) => [type, streamId]))}`,
        );
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** The error code of the first GOAWAY that has one (or of any, with `any`). */
  async goaway(any = false): Promise<number> {
    const { payload } = await this.until(
      (f) => f.type === FrameType.GOAWAY && (any || f.payload.readUInt32BE(4) !== 0),
    );
    return payload.readUInt32BE(4);
  }

  /** The error code of the RST_STREAM of a stream. */
  async rst(streamId: number): Promise<number> {
    const found = await this.until((f) => f.type === FrameType.RST_STREAM && f.streamId === streamId);
    return found.payload.readUInt32BE(0);
  }

  /** Body bytes received of a stream so far. */
  bodyBytes(streamId: number): number {
    return this.frames
      .filter((f) => f.type === FrameType.DATA && f.streamId === streamId)
      .reduce((sum, f) => sum + f.payload.length, 0);
  }

  /** Everything that was sent before is dealt with when this resolves. */
  async settle(): Promise<void> {
    const payload = Buffer.alloc(8);
    payload.writeDoubleBE(Math.random());
    this.send(frame(FrameType.PING, 0, 0, payload));
    await this.until((f) => f.type === FrameType.PING && f.flags === 1 && f.payload.equals(payload));
  }
}

/** Answers with the body that came, and trailers. */
export function echo(stream: Stream): void {
  stream.collect(64 * 1024 * 1024, (_, body) => {
    if (typeof body !== "string") {
      stream.reply(RESPONSE, body, TRAILERS);
    }
  });
}

/** A server and a peer, joined in memory. `closes` gets the code of every stream that closes. */
export function serve(options: ConnectionOptions = {}, onStream: (stream: Stream) => void = echo) {
  const [near, far] = duplexPair();
  const opened: Stream[] = [];
  const closes: (number | undefined)[] = [];
  const connection = createServerConnection(near, options, (stream) => {
    opened.push(stream);
    stream.whenClosed((_, code) => closes.push(code));
    onStream(stream);
  });
  const closed = new Promise<Error | undefined>((resolve) => {
    connection.onClose = resolve;
  });
  return { connection, peer: new RawPeer(far), opened, closes, closed };
}

export { FrameType, Setting };
