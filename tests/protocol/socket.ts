/**
 * A bare socket, for bytes that no HTTP client would send, and HTTP/2's frames (RFC 9113) as far as
 * tests need them.
 */
import { once } from "node:events";
import net from "node:net";
import type { TestServer } from "../helpers/server.ts";
import { addressOf } from "./raw.ts";

/** A TCP connection to the data plane. */
export interface RawSocket extends Disposable {
  write(bytes: string | Uint8Array): void;
  /** Everything received so far. */
  received(): Buffer;
  /** Resolves when the received bytes make `test` true. Rejects if the connection closes first. */
  until(test: (received: Buffer) => boolean): Promise<Buffer>;
  /** Resolves with everything received when the connection has closed, for any reason. */
  closed(): Promise<Buffer>;
  /** Closes the sending side. */
  end(): void;
}

/** Connects. A connection that the server drops at once counts as connected and closed. */
export async function openSocket(server: Pick<TestServer, "baseUrl">): Promise<RawSocket> {
  const { host, port } = addressOf(server);
  const socket = net.connect({ host, port, allowHalfOpen: true });
  await once(socket, "connect");
  let received: Buffer = Buffer.alloc(0);
  socket.on("error", () => {});
  const closed = new Promise<void>((resolve) => {
    socket.once("close", () => resolve());
  });
  socket.on("data", (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    socket.emit("progress");
  });
  socket.once("end", () => socket.end());
  return {
    write: (bytes) => void socket.write(bytes),
    received: () => received,
    async until(test) {
      while (!test(received)) {
        const progress = new Promise<"progress">((resolve) => {
          socket.once("progress", () => resolve("progress"));
        });
        if ((await Promise.race([progress, closed])) !== "progress" && !test(received)) {
          throw new Error(`closed after ${JSON.stringify(received.toString("latin1"))}`);
        }
      }
      return received;
    },
    async closed() {
      await closed;
      return received;
    },
    end: () => void socket.end(),
    [Symbol.dispose]: () => void socket.destroy(),
  };
}

const TYPES = [
  "DATA",
  "HEADERS",
  "PRIORITY",
  "RST_STREAM",
  "SETTINGS",
  "PUSH_PROMISE",
  "PING",
  "GOAWAY",
  "WINDOW_UPDATE",
  "CONTINUATION",
] as const;
type FrameType = (typeof TYPES)[number];

/** The start of an HTTP/2 client: preface and empty SETTINGS. */
export const HTTP2_START = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  frame("SETTINGS", 0, 0),
]);

/** Flags of HEADERS and DATA. */
export const END_STREAM = 0x1;
export const END_HEADERS = 0x4;

/** One frame. `length` replaces the true length in its head. */
export function frame(
  type: FrameType,
  flags: number,
  stream: number,
  payload: Uint8Array = Buffer.alloc(0),
  length = payload.byteLength,
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(length, 0, 3);
  head.writeUInt8(TYPES.indexOf(type), 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/**
 * A block of header fields, each literal, not indexed and not Huffman-coded (RFC 7541 section
 * 6.2.2).
 */
export function headerBlock(fields: Readonly<Record<string, string>>): Buffer {
  return Buffer.concat(
    Object.entries(fields).flatMap(([name, value]) => [Buffer.of(0), headerText(name), headerText(value)]),
  );
}

/** Below 127 bytes the length takes one byte. */
function headerText(text: string): Buffer {
  const bytes = Buffer.from(text, "latin1");
  if (bytes.length > 126) {
    throw new RangeError("too long for this encoder");
  }
  return Buffer.concat([Buffer.of(bytes.length), bytes]);
}

/** A received frame. */
export interface Frame {
  readonly type: FrameType | undefined;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** The whole frames among the received bytes. */
export function parseFrames(received: Buffer): Frame[] {
  const frames: Frame[] = [];
  for (let at = 0; at + 9 <= received.length; ) {
    const end = at + 9 + received.readUIntBE(at, 3);
    if (end > received.length) {
      break;
    }
    frames.push({
      type: TYPES[received.readUInt8(at + 3)],
      flags: received.readUInt8(at + 4),
      stream: received.readUInt32BE(at + 5) & 0x7fffffff,
      payload: received.subarray(at + 9, end),
    });
    at = end;
  }
  return frames;
}
